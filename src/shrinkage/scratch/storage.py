"""A network in one .npz file: arrays, and a description as JSON. Nothing is pickled."""

from __future__ import annotations

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
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense, Dropout, Layer
from shrinkage.scratch.network import Network
from shrinkage.scratch.optimizers import Optimizer

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
    try:
        with path.open("rb") as opened, zipfile.ZipFile(opened):  # NumPy reads more than archives
            opened.seek(0)
            file = np.load(opened, allow_pickle=False)
            arrays = {name: file[name] for name in file.files}
        description = json.loads(str(arrays["description"]))
        if description["format"] > FORMAT:
            raise NotImplementedError
        return _network(description, arrays)
    except NotImplementedError:
        raise ValueError(f"{str(path)!r} was written by a newer version of shrinkage") from None
    except (ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} holds no network that save() wrote: {error}") from error


def _network(description: dict[str, Any], arrays: dict[str, Array]) -> Network:
    network = Network(
        [_layer_from_plain(plain) for plain in description["layers"]],
        loss=_kind(loss_kinds, description["loss"], LOSSES)(),
        optimizer=_optimizer_from_plain(description["optimizer"]),
    )
    for index, layer in enumerate(network.dense):
        for name in ("weights", "biases"):
            array, shape = arrays[f"{name}_{index}"], getattr(layer, name).shape
            if (array.shape, array.dtype) != (shape, layer.dtype):
                raise ValueError(f"{name} {index} is {array.dtype} of shape {array.shape}")
            setattr(layer, name, array)
        network.optimizer.memories[layer] = {
            name: numbers
            | {
                key.removeprefix(f"{name}_{index}_"): array
                for key, array in arrays.items()
                if key.startswith(f"{name}_{index}_")
            }
            for name, numbers in description["memories"][index].items()
        }
    return network


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
    optimizer.iterations, optimizer.current_lr = plain["iterations"], plain["current_lr"]
    return optimizer
