"""One pass forward and backward, laid out for speed: what `fit` runs in place of `layers`.

The numbers are those of `layers` and `losses`, which are the ones to read; tests hold the two
equal. What differs is the layout:

- Features come first, (features, samples). A sum over the classes then runs along rows of many
  samples instead of over three numbers at a time.
- The bias is the weight of an input that is always 1, so that one product gives W·x + b, and one
  gives both of their derivatives.
- Samples go through in tiles that stay in the processor's cache, in memory that is taken once.

`Dense`, `ReLU` and softmax with cross-entropy have a form of their own here. All else runs as it
stands in `layers` and `losses`, on transposed views.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from shrinkage.scratch.flat import Flat
from shrinkage.scratch.layers import Array, Dense, Layer, ReLU, Softmax
from shrinkage.scratch.losses import (
    CategoricalCrossEntropy,
    Loss,
    SoftmaxCategoricalCrossEntropy,
)

TILE = 1 << 19  # bytes of the widest array of a tile: two of them stay in a core's own cache
FEWEST = 512  # samples of a tile, below which products of wide layers slow down


class Stage(Protocol):
    """A layer at work on one tile."""

    def forward(self) -> None: ...

    def backward(self) -> None: ...


class Pass:
    """Forward and backward over a tile of so many samples, in memory of its own.

    `gradient` is a vector laid out as the parameters in `flat`; each pass overwrites it.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, flat: Flat, gradient: Array, samples: int
    ) -> None:
        dtype = flat.values.dtype
        if isinstance(layers[-1], Softmax) and isinstance(loss, CategoricalCrossEntropy):
            layers, loss = layers[:-1], SoftmaxCategoricalCrossEntropy()
        blocks = iter(zip(flat.blocks(flat.values), flat.blocks(gradient), strict=True))
        first = next(layer for layer in layers if isinstance(layer, Dense))
        source = np.ones((first.n_in + 1, samples), dtype)  # the row of the constant 1 is last
        self._inputs, self._begins = source, isinstance(layers[0], Dense)
        below = np.empty((first.n_in, samples), dtype)  # the derivative by `source`
        self._stages: list[Any] = []
        for number, layer in enumerate(layers):
            if isinstance(layer, Dense):
                output = np.ones((layer.n_out + 1, samples), dtype)
                above = np.empty((layer.n_out, samples), dtype)
                needed = below if number > 0 else None
                stage: Stage = _Dense(*next(blocks), source, output[:-1], above, needed)
                source, below = output, above
            else:
                after_dense = number > 0 and isinstance(layers[number - 1], Dense)
                in_place = after_dense and isinstance(layer, ReLU)  # nobody else needs the source
                output = source if in_place else np.ones_like(source)
                kind = _ReLU if isinstance(layer, ReLU) else _AsItStands
                stage = kind(layer, source[:-1], output[:-1], below)
                source = output
            self._stages.append(stage)
        fused = isinstance(loss, SoftmaxCategoricalCrossEntropy)
        self._loss = (_SoftmaxLoss if fused else _LossAsItStands)(loss, source[:-1], below)

    def prepare(self, targets: Array) -> Array:
        """The targets of a tile in the form that `run` takes."""
        return self._loss.prepare(targets)

    def run(self, inputs: Array, prepared: Array, weight: float) -> tuple[float, float]:
        """Set the gradient of weight·Σ loss of the samples.

        Parameters
        ----------
        inputs : array (features + 1, samples)
            With a last row of ones.
        prepared : array
            As `prepare` returns it.
        weight : float
            1/samples of the whole batch, so that the gradients of its tiles add up to its own.

        Returns
        -------
        The sum of the samples' losses, and the sum that their score is made of.
        """
        if self._begins:
            self._stages[0].source = inputs
        else:
            self._inputs[...] = inputs
        for stage in self._stages:
            stage.forward()
        sums = self._loss.run(prepared, weight)
        for stage in reversed(self._stages):
            stage.backward()
        return sums


class _Dense:
    def __init__(
        self,
        block: Array,  # [Wᵀ b], (n_out, n_in + 1)
        gradient: Array,  # of the same shape
        source: Array,  # (n_in + 1, samples)
        output: Array,  # (n_out, samples)
        above: Array,  # the derivative by `output`
        below: Array | None,  # the derivative by `source`, where a layer before needs it
    ) -> None:
        self.block, self.gradient, self.source, self.output = block, gradient, source, output
        self.above, self.below = above, below
        self.weights = block[:, :-1].T  # (n_in, n_out)

    def forward(self) -> None:
        np.matmul(self.block, self.source, out=self.output)

    def backward(self) -> None:
        np.matmul(self.above, self.source.T, out=self.gradient)
        if self.below is not None:
            np.matmul(self.weights, self.above, out=self.below)


class _ReLU:
    def __init__(self, layer: Layer, source: Array, output: Array, derivative: Array) -> None:
        self.source, self.output, self.derivative = source, output, derivative
        self.positive = np.empty(output.shape, bool)

    def forward(self) -> None:
        np.maximum(self.source, 0, out=self.output)

    def backward(self) -> None:
        np.greater(self.output, 0, out=self.positive)
        np.multiply(self.derivative, self.positive, out=self.derivative)


class _AsItStands:
    """Any layer without weights, through its own `forward` and `backward`."""

    def __init__(self, layer: Layer, source: Array, output: Array, derivative: Array) -> None:
        self.layer, self.source, self.output, self.derivative = layer, source, output, derivative

    def forward(self) -> None:
        self.layer.forward(self.source.T)
        assert self.layer.output is not None
        self.output[...] = self.layer.output.T

    def backward(self) -> None:
        self.layer.backward(self.derivative.T)
        assert self.layer.dinputs is not None
        self.derivative[...] = self.layer.dinputs.T


class _SoftmaxLoss:
    """`SoftmaxCategoricalCrossEntropy`, and the count of right answers, in few short calls."""

    def __init__(self, loss: Loss, output: Array, derivative: Array) -> None:
        self.output, self.derivative = output, derivative  # (classes, samples)
        self.flat = derivative.reshape(-1)
        samples = output.shape[1]
        self.columns, self.row = np.arange(samples), np.empty(samples, output.dtype)

    def prepare(self, targets: Array) -> Array:
        """Where the score of the right class stands, in the flattened output."""
        return targets * len(self.columns) + self.columns

    def run(self, right: Array, weight: float) -> tuple[float, float]:
        p, row = self.derivative, self.row
        np.maximum.reduce(self.output, axis=0, out=row)
        np.subtract(self.output, row, out=p)  # the largest score of a sample is now 0
        scores = self.flat[right]
        hits = self._hits(scores, right)
        np.exp(p, out=p)
        np.add.reduce(p, axis=0, out=row)
        total = float(np.log(row).sum() - scores.sum())
        np.divide(weight, row, out=row)
        p *= row
        self.flat[right] -= weight
        return total, hits

    def _hits(self, scores: Array, right: Array) -> float:
        hits = np.count_nonzero(scores == 0)
        if np.count_nonzero(self.derivative == 0) > len(right):  # ties, and the first class wins
            best = self.derivative.argmax(axis=0)
            hits = np.count_nonzero(best * len(right) + self.columns == right)
        return float(hits)


class _LossAsItStands:
    """Any loss, through its own `forward` and `backward`."""

    def __init__(self, loss: Loss, output: Array, derivative: Array) -> None:
        self.loss, self.output, self.derivative = loss, output, derivative

    def prepare(self, targets: Array) -> Array:
        return targets

    def run(self, targets: Array, weight: float) -> tuple[float, float]:
        output, samples = self.output.T, len(targets)
        mean = self.loss.forward(output, targets)
        self.loss.backward(output, targets)
        assert self.loss.dinputs is not None
        np.multiply(self.loss.dinputs.T, weight * samples, out=self.derivative)
        return mean * samples, self.loss.score_sum(output, targets)


def tiles(samples: int, width: int, itemsize: int) -> list[slice]:
    """`samples` in pieces of nearly the same size, the widest array of each within `TILE`."""
    most = max(FEWEST, TILE // (width * itemsize))
    count = math.ceil(samples / most)
    ends = [samples * number // count for number in range(count + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]
