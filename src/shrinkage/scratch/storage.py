"""A network in one .npz file: arrays, and a description as JSON. Nothing is pickled."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
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
    memory = network._memory
    arrays: dict[str, Array] = {}
    for index, layer in enumerate(network.dense):
        arrays[f"weights_{index}"], arrays[f"biases_{index}"] = layer.weights, layer.biases
    arrays |= {f"memory_{k}": value for k, value in memory.items() if isinstance(value, np.ndarray)}
    description = {
        "format": FORMAT,
        "layers": [_layer_to_plain(layer) for layer in network.layers],
        "loss": _known(network.loss, LOSSES),
        "optimizer": _optimizer_to_plain(network.optimizer),
        "memory": {k: value for k, value in memory.items() if not isinstance(value, np.ndarray)},
    }
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
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        description = json.loads(str(arrays["description"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} holds no network that save() wrote: {error}") from None
    if description.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} was written by a newer version of shrinkage")
    network = Network(
        [_layer_from_plain(plain) for plain in description["layers"]],
        loss=getattr(loss_kinds, description["loss"])(),
        optimizer=_optimizer_from_plain(description["optimizer"]),
    )
    for index, layer in enumerate(network.dense):
        layer.weights, layer.biases = arrays[f"weights_{index}"], arrays[f"biases_{index}"]
    network._memory = description["memory"] | {
        name.removeprefix("memory_"): array
        for name, array in arrays.items()
        if name.startswith("memory_")
    }
    return network


def _known(thing: object, names: tuple[str, ...]) -> str:
    """The name of the thing's kind, if that is one of the library's."""
    name = type(thing).__name__
    if name not in names:
        raise ValueError(f"{thing!r} cannot be saved: only {', '.join(names)} can")
    return name


def _layer_to_plain(layer: Layer) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": _known(layer, LAYERS)}
    if isinstance(layer, Dense):
        for name in ("weight_penalty", "bias_penalty"):
            penalty: Penalty | None = getattr(layer, name)
            plain[name] = None if penalty is None else to_text(penalty)
        plain |= {"n_in": layer.n_in, "n_out": layer.n_out, "how": layer.how}
        plain["dtype"] = layer.dtype.name
    if isinstance(layer, Dropout):
        plain |= {"rate": layer.rate, "rng": layer.rng.bit_generator.state}
    return plain


def _layer_from_plain(plain: dict[str, Any]) -> Layer:
    options = {name: value for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "Dense":
        for name in ("weight_penalty", "bias_penalty"):
            options[name] = None if options[name] is None else parse(options[name])
    state = options.pop("rng", None)
    layer: Layer = getattr(layer_kinds, plain["kind"])(**options)
    if state is not None:
        assert isinstance(layer, Dropout)
        generator = getattr(np.random, state["bit_generator"])()
        generator.state = state
        layer.rng = np.random.Generator(generator)
    return layer


def _optimizer_to_plain(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "kind": _known(optimizer, OPTIMIZERS),
        "settings": {name: getattr(optimizer, name) for name in optimizer.settings},
        "iterations": optimizer.iterations,
        "current_lr": optimizer.current_lr,
    }


def _optimizer_from_plain(plain: dict[str, Any]) -> Optimizer:
    optimizer: Optimizer = getattr(optimizer_kinds, plain["kind"])(**plain["settings"])
    optimizer.iterations, optimizer.current_lr = plain["iterations"], plain["current_lr"]
    return optimizer
