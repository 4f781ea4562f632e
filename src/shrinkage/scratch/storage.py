"""A network in one .npz file: arrays, and a description as JSON. Nothing is pickled."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from shrinkage.penalties import Penalty, parse, to_text
from shrinkage.scratch import layers as layer_kinds
from shrinkage.scratch import losses as loss_kinds
from shrinkage.scratch import optimizers as optimizer_kinds
from shrinkage.scratch.checks import Array, checked_number, checked_size
from shrinkage.scratch.layers import Dense, Dropout, Layer
from shrinkage.scratch.network import Network
from shrinkage.scratch.optimizers import Memory, Optimizer

FORMAT = 1
LAYERS = ("Dense", "Dropout", "ReLU", "Sigmoid", "Softmax")
LOSSES = (
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SoftmaxCategoricalCrossEntropy",
)
OPTIMIZERS = ("SGD", "AdaGrad", "RMSProp", "Adam")


def save(network: Network, path: Path) -> None:
    """Write `network` beside `path`, then put it in its place."""
    arrays: dict[str, Array] = {}
    numbers: list[dict[str, dict[str, float]]] = []  # remembered of each layer
    for index, layer in enumerate(network.dense):
        arrays[f"weights_{index}"], arrays[f"biases_{index}"] = layer.weights, layer.biases
        memory = network.optimizer.memories.get(layer, {})
        numbers.append({name: {} for name in memory})
        for name, key, one in (
            (n, k, one) for n, part in memory.items() for k, one in part.items()
        ):
            if isinstance(one, np.ndarray):
                arrays[f"{name}_{index}_{key}"] = one
            else:
                numbers[index][name][key] = one
    description = {
        "format": FORMAT,
        "layers": [_layer_to_plain(layer) for layer in network.layers],
        "loss": _known(network.loss, loss_kinds, LOSSES),
        "optimizer": _optimizer_to_plain(network.optimizer),
        "memories": numbers,
    }
    if not path.parent.is_dir() or path.is_dir():
        raise FileNotFoundError(f"{str(path)!r} must name a file in a folder that is there")
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            np.savez(file, description=np.array(json.dumps(description)), **arrays)  # type: ignore[arg-type]
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> Network:
    """The network in the file at `path`."""
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)):  # NumPy reads more than archives
            file = np.load(io.BytesIO(content), allow_pickle=False)
        description = json.loads(str(file["description"]))
        if not _is_newer(description):
            return _network(description, {name: file[name] for name in file.files})
    except Exception as error:  # damaged bytes have no end of ways to fail
        raise ValueError(f"{str(path)!r} holds no network that save() wrote: {error}") from error
    raise ValueError(f"{str(path)!r} was written by a newer version of shrinkage")


def _is_newer(description: dict[str, Any]) -> bool:
    number = description["format"]
    if not isinstance(number, int) or number < FORMAT:
        raise ValueError(f"its format is {number!r}")
    return number > FORMAT


def _network(description: dict[str, Any], arrays: dict[str, Array]) -> Network:
    dense = [plain for plain in description["layers"] if plain["kind"] == "Dense"]
    for index, plain in enumerate(dense):  # before memory is taken for as many as it says
        shape = arrays[f"weights_{index}"].shape
        if (plain["n_in"], plain["n_out"]) != shape:
            raise ValueError(f"weights {index} have shape {shape}")
    network = Network(
        [_layer_from_plain(plain) for plain in description["layers"]],
        loss=_kind(loss_kinds, description["loss"], LOSSES)(),
        optimizer=_optimizer_from_plain(description["optimizer"]),
    )
    for index, layer in enumerate(network.dense):
        for name in ("weights", "biases"):
            setattr(layer, name, _like(getattr(layer, name), arrays[f"{name}_{index}"]))
        memory = {
            name: numbers
            | {
                key.removeprefix(f"{name}_{index}_"): array
                for key, array in arrays.items()
                if key.startswith(f"{name}_{index}_")
            }
            for name, numbers in description["memories"][index].items()
        }
        if memory:
            _check_memory(network.optimizer, layer, memory)
            network.optimizer.memories[layer] = memory
    return network


def _like(present: Array, array: Array) -> Array:
    """`array`, if it has the shape and type of the present one."""
    if (array.shape, array.dtype) != (present.shape, present.dtype):
        raise ValueError(f"an array is {array.dtype} of shape {array.shape}")
    return array


def _check_memory(optimizer: Optimizer, layer: Dense, memory: dict[str, Memory]) -> None:
    """Refuse what the optimizer would not remember of that layer itself."""
    if memory.keys() != {"weights", "biases"}:
        raise ValueError(f"it remembers {', '.join(memory)}")
    for name, mine in memory.items():
        fresh: Memory = {}
        w = getattr(layer, name)
        optimizer.move_(np.zeros_like(w), np.zeros_like(w), fresh)
        if mine and mine.keys() != fresh.keys():
            raise ValueError(f"it remembers {', '.join(mine)} of {name}")
        for key, one in mine.items():
            if isinstance(fresh[key], np.ndarray):
                _like(fresh[key], one)
            elif not (isinstance(one, type(fresh[key])) and 0 <= one < np.inf):
                raise ValueError(f"it remembers {key}={one!r}")


def _kind(module: ModuleType, name: str, names: tuple[str, ...]) -> Any:
    """The class of that name, if it is one of these."""
    if name not in names:
        raise ValueError(f"{name!r} is none of {', '.join(names)}")
    return getattr(module, name)


def _known(thing: object, module: ModuleType, names: tuple[str, ...]) -> str:
    """The name of the thing's kind, if that is one of the library's."""
    name = type(thing).__name__
    if name not in names or type(thing) is not getattr(module, name):
        raise ValueError(
            f"{type(thing).__module__}.{name} cannot be saved: only {', '.join(names)} of "
            "shrinkage.scratch can"
        )
    return name


def _layer_to_plain(layer: Layer) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": _known(layer, layer_kinds, LAYERS)}
    if isinstance(layer, Dense):
        for name in ("weight_penalty", "bias_penalty"):
            penalty: Penalty | None = getattr(layer, name)
            plain[name] = None if penalty is None else to_text(penalty)
        plain |= {"n_in": layer.n_in, "n_out": layer.n_out, "how": layer.how}
        plain["dtype"] = layer.dtype.name
    if isinstance(layer, Dropout):
        state = layer.rng.bit_generator.state
        if state["bit_generator"] != "PCG64":
            raise ValueError(f"{layer!r} cannot be saved: its generator was replaced")
        plain |= {"rate": layer.rate, "state": state}
    return plain


def _layer_from_plain(plain: dict[str, Any]) -> Layer:
    options = {name: value for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "Dense":
        for name in ("weight_penalty", "bias_penalty"):
            options[name] = None if options[name] is None else parse(options[name])
    state = options.pop("state", None)
    layer: Layer = _kind(layer_kinds, plain["kind"], LAYERS)(**options)
    if isinstance(layer, Dropout):
        layer.rng.bit_generator.state = state
    return layer


def _optimizer_to_plain(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "kind": _known(optimizer, optimizer_kinds, OPTIMIZERS),
        "settings": {name: getattr(optimizer, name) for name in optimizer.settings},
        "iterations": optimizer.iterations,
        "current_lr": optimizer.current_lr,
    }


def _optimizer_from_plain(plain: dict[str, Any]) -> Optimizer:
    optimizer: Optimizer = _kind(optimizer_kinds, plain["kind"], OPTIMIZERS)(**plain["settings"])
    optimizer.iterations = checked_size("iterations", plain["iterations"], least=0)
    optimizer.current_lr = checked_number("current_lr", plain["current_lr"])
    return optimizer
