"""Checks that layers, a loss and an optimizer fit together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from shrinkage.scratch.activations import Sigmoid, Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.layers import Dense, Layer, dense_layers
from shrinkage.scratch.losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.optimizers import SGD


def check_parts(layers: Sequence[Layer], loss: Loss, optimizer: Optimizer) -> None:
    """Raise unless the parts fit together.

    Raises
    ------
    TypeError, ValueError
        With what does not fit.
    """
    for part, kind, name in [(layer, Layer, "layers") for layer in layers] + [
        (loss, Loss, "loss"),
        (optimizer, Optimizer, "optimizer"),
    ]:
        if not isinstance(part, kind):
            hint = f"; write {part.__name__}()" if isinstance(part, type) else ""
            raise TypeError(f"{name} must be made of {kind.__name__} objects, got {part!r}{hint}")
    dense = dense_layers(layers)
    for layer in dense:
        if type(layer) is not Dense:
            raise TypeError(
                f"{type(layer).__name__} is derived from Dense, whose mathematics fit() computes "
                "itself: write a Layer of your own instead"
            )
    check_steps(dense, optimizer)
    if not dense:
        raise ValueError("layers must hold at least one Dense layer: nothing else learns")
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError("layers must be different objects, but one of them is used twice")
    for before, after in itertools.pairwise(dense):
        if before.n_out != after.n_in:
            raise ValueError(
                f"layers do not fit: {after!r} takes {after.n_in} features, but {before.n_out} "
                f"come out of {before!r}"
            )
        if before.dtype != after.dtype:
            raise ValueError(f"layers must have one dtype, got {before.dtype} and {after.dtype}")
    check_end(layers[-1], loss)


def check_parameters(layer: Dense) -> None:
    """Raise unless `fit` can begin from the weights and biases of a layer, which users may set."""
    shapes = (layer.n_in, layer.n_out), (1, layer.n_out)
    for (_, kind, array, _), shape in zip(layer.parameters(), shapes, strict=True):
        name = f"{kind} of {layer!r}"
        if not isinstance(array, np.ndarray) or array.dtype != layer.dtype:
            wrong = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} must be an array of {layer.dtype}, got {wrong}")
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            wrong = array[~np.isfinite(array)][0]
            raise ValueError(f"{name} must be finite before training, but hold {wrong}")


def check_steps(dense: Sequence[Dense], optimizer: Optimizer) -> None:
    """Raise if a prox needs one step for all entries, which only SGD has."""
    for layer in dense:
        for penalty in (layer.weight_penalty, layer.bias_penalty):
            if penalty is None or layer.how != "proximal" or isinstance(optimizer, SGD):
                continue
            reason = penalty.why_not("metric")
            if reason is not None:
                raise ValueError(reason)


def check_end(last: Layer, loss: Loss) -> None:
    """Raise if the loss does not suit the output of the last layer."""
    if isinstance(loss, SoftmaxCategoricalCrossEntropy) and isinstance(last, Softmax):
        raise ValueError(
            "SoftmaxCategoricalCrossEntropy applies softmax itself: leave out the last Softmax(), "
            "or use CategoricalCrossEntropy()"
        )
    for kind, ends, remedy in (
        (CategoricalCrossEntropy, (Softmax,), "Softmax()"),
        (BinaryCrossEntropy, (Sigmoid, Softmax), "Sigmoid()"),
    ):
        if isinstance(loss, kind) and not isinstance(last, ends):
            raise ValueError(
                f"{kind.__name__} needs probabilities: end the layers with {remedy}, not {last!r}"
            )
