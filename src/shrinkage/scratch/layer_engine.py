"""Steps through the layers, as one would write them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Optimizer
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Layer, dense_layers
from shrinkage.scratch.losses import SoftmaxCategoricalCrossEntropy


@final
class LayerEngine:
    """Takes each step by calling the layers, the loss and the optimizer in turn.

    `X` is (samples, features), and `targets` are as `Loss.targets` returns them.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, optimizer: Optimizer, X: Array, targets: Array
    ) -> None:
        self._layers, self._loss, self._optimizer = layers, loss, optimizer
        self._X, self._targets = X, targets

    def step(self, rows: Array | None) -> tuple[float, float, float]:
        layers, loss, optimizer = self._layers, self._loss, self._optimizer
        X, y = self._X, self._targets
        if rows is not None:
            X, y = X[rows], y[rows]
        output = X
        for layer in layers:
            layer.forward(output)
            assert layer.output is not None
            output = layer.output
        data_loss, score = loss.forward(output, y), loss.score_sum(output, y)
        penalty = loss.regularization_loss(*layers)
        if isinstance(loss, SoftmaxCategoricalCrossEntropy):
            assert loss.output is not None
            output = loss.output
        loss.backward(output, y)
        dvalues = loss.dinputs
        for layer in reversed(layers):
            assert dvalues is not None
            layer.backward(dvalues)
            dvalues = layer.dinputs
        optimizer.pre_update()
        for dense in dense_layers(layers):
            optimizer.update(dense)
        optimizer.post_update()
        return data_loss * len(X), score, penalty

    def memory(self) -> list[Array]:
        return [
            value
            for layer in dense_layers(self._layers)
            for memory in self._optimizer.memories.get(layer, {}).values()
            for value in memory.values()
            if isinstance(value, np.ndarray)
        ]

    def finish(self) -> None:
        pass
