"""Steps by the compiled loops of `shrinkage.mlp`, which compute what `layer_engine` does.

It needs Numba, so that `training` imports it only where it is to be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import final

import numpy as np

from shrinkage.mlp import optimizers, training
from shrinkage.mlp.optimizers import NoLoopError
from shrinkage.mlp.records import Activation
from shrinkage.mlp.records import Loss as CompiledLoss
from shrinkage.scratch.activations import ReLU, Sigmoid, Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.base_optimizer import Memory, Optimizer
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense, Layer, Parameter, dense_layers
from shrinkage.scratch.losses import (
    CategoricalCrossEntropy,
    MeanSquaredError,
    SoftmaxCategoricalCrossEntropy,
)
from shrinkage.scratch.optimizers import SGD, Adam

__all__ = ["CompiledEngine", "NoLoopError"]

# What is repeated before the last `Dense`, and what may come after it with a loss.
HIDDEN = {
    (Dense,): Activation.IDENTITY,
    (Dense, ReLU): Activation.RELU,
    (Dense, Sigmoid): Activation.LOGISTIC,
}
ENDS = {
    (SoftmaxCategoricalCrossEntropy,): CompiledLoss.LOG_LOSS,
    (Softmax, CategoricalCrossEntropy): CompiledLoss.LOG_LOSS,
    (MeanSquaredError,): CompiledLoss.SQUARED_ERROR,
}


@final
class CompiledEngine:
    """Takes each step in one call, on copies that `finish` writes to the layers.

    Raises
    ------
    NoLoopError
        If no compiled loop has the layers, the loss, the optimizer and its state, or a penalty.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, optimizer: Optimizer, X: Array, targets: Array
    ) -> None:
        self._optimizer = optimizer
        pairs = [layer.parameters() for layer in dense_layers(layers)]
        self._parameters = [parameter for kind in zip(*pairs, strict=True) for parameter in kind]
        architecture = _find_architecture(layers, loss)
        rule, self._keys, self._count = _find_rule(optimizer)
        pieces = _plan_pieces(self._parameters)
        self._training = training.Training(architecture, rule, pieces, dtype=X.dtype.name)
        self._has_hits = architecture.loss is CompiledLoss.LOG_LOSS
        # The compiled squared error is half the sum over the outputs, ours the mean over them.
        self._outputs = architecture.sizes[-1]
        weights = None if self._has_hits else np.full(len(X), 2.0 / self._outputs, X.dtype)
        X, targets = np.ascontiguousarray(X), np.ascontiguousarray(targets)
        self._data = training.Data(X, targets, weights)
        self._penalized = []
        for parameter, values in self._views(self._training.values):
            values[...] = parameter.values
            if parameter.penalty is not None:
                self._penalized.append((parameter.penalty, values))
        self._read_memories()

    def step(self, rows: Array | None) -> tuple[float, float, float]:
        samples = len(self._data.inputs) if rows is None else len(rows)
        penalty = sum([float(omega._value(np, w)) for omega, w in self._penalized], 0.0)
        self._optimizer.pre_update()
        rate, hits = np.array([self._optimizer.current_lr]), np.zeros(1, np.int64)
        losses, _ = self._training.run(self._data, rows, np.array([[0, samples]]), rate, hits)
        self._optimizer.post_update()
        data_loss = float(losses[0]) * samples
        score = float(hits[0]) if self._has_hits else data_loss * self._outputs
        return data_loss, score, penalty

    def memory(self) -> list[Array]:
        return [self._training.stepper.first, self._training.stepper.second]

    def finish(self) -> None:
        for parameter, values in self._views(self._training.values):
            parameter.values[...] = values
        steps = self._training.stepper.counts[0]
        for memory, key, values in self._remembered():
            memory[key] = values.copy()
            memory[self._count] = int(steps) if self._count == "count" else float(steps)

    def _read_memories(self) -> None:
        counts = set()
        for memory, key, values in self._remembered():
            values[...] = memory.get(key, 0.0)
            counts.add(memory.get(self._count, 0))
        if len(counts) > 1:
            raise NoLoopError("no compiled loop steps arrays that differ in their count of steps")
        self._training.stepper.counts[:] = max(counts, default=0)

    def _remembered(self) -> Iterator[tuple[Memory, str, Array]]:
        """The optimizer's memory of each parameter, a key in it, and its array in the engine."""
        for key, vector in zip(self._keys, self.memory(), strict=False):
            for (layer, name, _, _), values in self._views(vector):
                memories = self._optimizer.memories.setdefault(layer, {})
                yield memories.setdefault(name, {}), key, values

    def _views(self, vector: Array) -> Iterator[tuple[Parameter, Array]]:
        """Each parameter with its part of a vector like `values`."""
        views = chain(*self._training.views(vector))
        for parameter, view in zip(self._parameters, views, strict=True):
            yield parameter, view.reshape(parameter.values.shape)


def _find_architecture(layers: Sequence[Layer], loss: Loss) -> training.Architecture:
    dense = dense_layers(layers)
    sizes = (dense[0].n_in, *(layer.n_out for layer in dense))
    kinds = (*map(type, layers), type(loss))
    for (hidden, activation), (end, compiled_loss) in product(HIDDEN.items(), ENDS.items()):
        if kinds == (*hidden * (len(dense) - 1), Dense, *end):
            return training.Architecture(sizes, activation, compiled_loss)
    raise NoLoopError(f"no compiled loop has {layers} with {loss}")


def _find_rule(optimizer: Optimizer) -> tuple[optimizers.Rule, tuple[str, ...], str]:
    """The compiled optimizer, and what ours calls its `first`, `second` and count."""
    if type(optimizer) is Adam:
        return optimizers.Adam(*optimizer.betas, optimizer.eps), ("m", "v"), "count"
    if type(optimizer) is SGD:
        rule = optimizers.Sgd(optimizer.momentum, optimizer.nesterov)
        return rule, ("m",) if optimizer.momentum else (), "b"
    raise NoLoopError(f"no compiled loop has {optimizer}")


def _plan_pieces(parameters: Sequence[Parameter]) -> list[optimizers.Piece]:
    pieces: list[optimizers.Piece] = []
    start = 0
    for layer, _, values, penalty in parameters:
        pieces.append(optimizers.plan_piece(start, values.shape, penalty, layer.how))
        start += values.size
    return pieces
