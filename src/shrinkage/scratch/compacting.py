"""Take out of a network the hidden units that change no output.

A unit whose incoming weights are all 0 puts out the constant ``φ(b)``, whatever the inputs are. The
next layer adds ``φ(b)·w`` of it to its own biases, so that is where it goes. A unit whose outgoing
weights are all 0 is read by nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from shrinkage.penalties import to_text
from shrinkage.scratch.activations import ReLU, Sigmoid
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense, Dropout, Layer, dense_layers

POINTWISE = (ReLU, Sigmoid, Dropout)  # which treat each number on its own


def compact_(layers: Sequence[Layer], optimizer: Optimizer) -> None:
    """Take dead units out of layers, and out of what the optimizer remembers of them, in place."""
    for layer in layers:
        layer.inputs = layer.output = layer.dinputs = None
    pairs = [
        (before, between, after)
        for before, between, after in _split(layers)
        if all(isinstance(layer, POINTWISE) for layer in between)
    ]
    for before, between, after in pairs:  # constants go forward
        constants = before.biases
        for layer in between:
            if not isinstance(layer, Dropout):  # which keeps the expected output
                layer.forward(constants)
                assert layer.output is not None
                constants, layer.inputs, layer.output = layer.output, None, None
        dead = ~before.weights.any(axis=0)
        after.biases += constants[:, dead] @ after.weights[dead]
        after.weights[dead] = 0.0
    for before, _, after in reversed(pairs):  # what nobody reads goes backward
        kept: Array = np.asarray(after.weights.any(axis=1))
        kept[0] |= not kept.any()  # a layer keeps at least one unit
        if not kept.all():
            _keep(before, optimizer, kept, axis=1)
            _keep(after, optimizer, kept, axis=0)


def _split(layers: Sequence[Layer]) -> list[tuple[Dense, Sequence[Layer], Dense]]:
    """Each two `Dense` that follow each other, with the layers between them."""
    places = [place for place, layer in enumerate(layers) if isinstance(layer, Dense)]
    return [
        (before, layers[first + 1 : second], after)
        for (first, second), (before, after) in zip(
            itertools.pairwise(places), itertools.pairwise(dense_layers(layers)), strict=True
        )
    ]


def _keep(layer: Dense, optimizer: Optimizer, kept: Array, axis: int) -> None:
    """Keep some outputs of a layer (axis 1) or some inputs (axis 0), which have no biases."""
    for name in ("weight_penalty", "bias_penalty"):
        penalty = getattr(layer, name)
        try:
            _ = penalty is None or to_text(penalty)
        except ValueError as error:
            raise ValueError(
                f"{name} of {layer!r} holds arrays or indices of units, of which some would go: "
                f"set it to None before the network is made smaller ({error})"
            ) from error
    for name in ("weights", "biases") if axis == 1 else ("weights",):
        setattr(layer, name, getattr(layer, name).compress(kept, axis))
        setattr(layer, f"d{name}", None)
        memory = optimizer.memories.get(layer, {}).get(name, {})
        for key, value in memory.items():
            if isinstance(value, np.ndarray):
                memory[key] = value.compress(kept, axis)
    layer.n_in, layer.n_out = layer.weights.shape
