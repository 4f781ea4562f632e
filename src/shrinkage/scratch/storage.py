"""The parts of a network in one .npz file: arrays, and a description as JSON, but no pickle.

For the Dense layer number i the file holds ``weights_i`` and ``biases_i``, and what the optimizer
remembers of them as ``weights_i_m`` and the like. All else is in the description.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shrinkage.atomic_file import replace_file
from shrinkage.penalties import Penalty, parse, to_text
from shrinkage.scratch.activations import ReLU, Sigmoid, Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Memory, Optimizer
from shrinkage.scratch.checks import Array, check_number, check_size
from shrinkage.scratch.compatibility import check_parts
from shrinkage.scratch.layers import Dense, Dropout, Layer, dense_layers
from shrinkage.scratch.losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.optimizers import SGD, AdaGrad, Adam, RMSProp

FORMAT = 1
LAYERS = {kind.__name__: kind for kind in (Dense, Dropout, ReLU, Sigmoid, Softmax)}
LOSSES = {
    kind.__name__: kind
    for kind in (
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        MeanAbsoluteError,
        MeanSquaredError,
        SoftmaxCategoricalCrossEntropy,
    )
}
OPTIMIZERS = {kind.__name__: kind for kind in (SGD, AdaGrad, RMSProp, Adam)}


class Parts(NamedTuple):
    """What a network is made of."""

    layers: Sequence[Layer]
    loss: Loss
    optimizer: Optimizer


def write_parts(parts: Parts, path: Path) -> None:
    """Write the parts to the file at `path`, which appears whole or not at all."""
    arrays: dict[str, Array] = {}
    numbers: list[dict[str, dict[str, float]]] = []  # the numbers in the optimizer's memories
    for index, layer in enumerate(dense_layers(parts.layers)):
        arrays[f"weights_{index}"], arrays[f"biases_{index}"] = layer.weights, layer.biases
        numbers.append({})
        for name, memory in parts.optimizer.memories.get(layer, {}).items():
            numbers[index][name] = {}
            for key, value in memory.items():
                if isinstance(value, np.ndarray):
                    arrays[f"{name}_{index}_{key}"] = value
                else:
                    numbers[index][name][key] = value
    description = {
        "format": FORMAT,
        "layers": [_describe_layer(layer) for layer in parts.layers],
        "loss": _name_class(parts.loss, LOSSES),
        "optimizer": _describe_optimizer(parts.optimizer),
        "memories": numbers,
    }
    if not path.parent.is_dir() or path.is_dir():
        raise FileNotFoundError(f"{str(path)!r} must name a file in a folder that is there")
    with replace_file(path) as draft, draft.open("wb") as file:
        np.savez(file, description=np.array(json.dumps(description)), **arrays)  # type: ignore[arg-type]


def read_parts(path: Path) -> Parts:
    """The parts in the file at `path`, which fit together.

    Raises
    ------
    ValueError
        If the file is damaged, holds something else, or was written by a newer version.
    """
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)):  # NumPy reads more than archives
            file = np.load(io.BytesIO(content), allow_pickle=False)
        description = json.loads(str(file["description"]))
        version = description["format"]
        if not isinstance(version, int) or version < FORMAT:
            raise ValueError(f"its format is {version!r}")
        if version == FORMAT:
            return _make_parts(description, {name: file[name] for name in file.files})
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"{str(path)!r} holds no network that save() wrote: {error}") from error
    raise ValueError(f"{str(path)!r} was written by a newer version of shrinkage")


def _make_parts(description: dict[str, Any], arrays: dict[str, Array]) -> Parts:
    dense = [plain for plain in description["layers"] if plain["kind"] == "Dense"]
    for index, plain in enumerate(dense):  # before a layer takes the memory that its sizes ask for
        shape = arrays[f"weights_{index}"].shape
        if (plain["n_in"], plain["n_out"]) != shape:
            raise ValueError(f"weights {index} have shape {shape}")
    parts = Parts(
        [_make_layer(plain) for plain in description["layers"]],
        _find_class(description["loss"], LOSSES)(),
        _make_optimizer(description["optimizer"]),
    )
    check_parts(*parts)
    for index, layer in enumerate(dense_layers(parts.layers)):
        for name in ("weights", "biases"):
            array = arrays[f"{name}_{index}"]
            _check_same_kind(getattr(layer, name), array)
            setattr(layer, name, array)
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
            _check_memory(parts.optimizer, layer, memory)
            parts.optimizer.memories[layer] = memory
    return parts


def _check_same_kind(expected: Array, array: Array) -> None:
    if (expected.shape, expected.dtype) != (array.shape, array.dtype):
        raise ValueError(f"an array is {array.dtype} of shape {array.shape}")


def _check_memory(optimizer: Optimizer, layer: Dense, memory: dict[str, Memory]) -> None:
    """Refuse a memory that the optimizer itself would not make for that layer."""
    if memory.keys() != {"weights", "biases"}:
        raise ValueError(f"it remembers {', '.join(memory)}")
    for name, stored in memory.items():
        expected: Memory = {}
        w = getattr(layer, name)
        optimizer.move_(np.zeros_like(w), np.zeros_like(w), expected)
        if stored and stored.keys() != expected.keys():
            raise ValueError(f"it remembers {', '.join(stored)} of {name}")
        for key, value in stored.items():
            if isinstance(expected[key], np.ndarray):
                _check_same_kind(expected[key], value)
            elif not (isinstance(value, type(expected[key])) and 0 <= value < np.inf):
                raise ValueError(f"it remembers {key}={value!r}")


def _find_class(name: str, classes: Mapping[str, type]) -> Any:
    if name not in classes:
        raise ValueError(f"{name!r} is not one of {', '.join(classes)}")
    return classes[name]


def _name_class(thing: object, classes: Mapping[str, type]) -> str:
    kind = type(thing)
    if classes.get(kind.__name__) is not kind:
        raise ValueError(
            f"{kind.__module__}.{kind.__name__} cannot be saved: only {', '.join(classes)} of "
            "shrinkage.scratch can"
        )
    return kind.__name__


def _describe_layer(layer: Layer) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": _name_class(layer, LAYERS)}
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


def _make_layer(plain: dict[str, Any]) -> Layer:
    options = {name: value for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "Dense":
        for name in ("weight_penalty", "bias_penalty"):
            options[name] = None if options[name] is None else parse(options[name])
    state = options.pop("state", None)
    layer: Layer = _find_class(plain["kind"], LAYERS)(**options)
    if isinstance(layer, Dropout):
        layer.rng.bit_generator.state = state
    return layer


def _describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "kind": _name_class(optimizer, OPTIMIZERS),
        "settings": {name: getattr(optimizer, name) for name in optimizer.settings},
        "iterations": optimizer.iterations,
        "current_lr": optimizer.current_lr,
    }


def _make_optimizer(plain: dict[str, Any]) -> Optimizer:
    optimizer: Optimizer = _find_class(plain["kind"], OPTIMIZERS)(**plain["settings"])
    optimizer.iterations = check_size("iterations", plain["iterations"], least=0)
    optimizer.current_lr = check_number("current_lr", plain["current_lr"])
    return optimizer
