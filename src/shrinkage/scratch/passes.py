"""One pass forward and backward, laid out for speed: what `fit` runs in place of `layers`.

The numbers are those of `layers` and `losses`, which are easier to read; tests check that the two
are equal. What differs is the layout:

- Features come first, (features, samples). A sum over the classes then runs along rows of many
  samples instead of over three numbers at a time.
- The bias is the weight of an input that is always 1, so that one product gives W·x + b, and one
  gives both of their derivatives.
- Samples go through in tiles that stay in the processor's cache. Their memory is allocated once
  and aligned with the processor's vectors, as is each row of every tile but the last.

`Dense`, `ReLU` and softmax with cross-entropy have a form of their own here. All other layers and
losses, and classes derived from these, run through their own methods on transposed views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from shrinkage.scratch.activations import ReLU, Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.checks import Array
from shrinkage.scratch.flat import FlatParameters
from shrinkage.scratch.layers import Dense, Layer
from shrinkage.scratch.losses import CategoricalCrossEntropy, SoftmaxCategoricalCrossEntropy

TILE = 1 << 19  # bytes of a tile's widest array: small enough for a core's own cache
FEWEST = 512  # samples of a tile: with fewer, the products of wide layers slow down
VECTOR = 64  # bytes


class Stage(Protocol):
    """One layer on one tile: numbers from `source` to `output`, and derivatives back.

    On the way back the derivatives overwrite the numbers, which are no longer needed: `backward`
    reads the derivative by the output from `output`, and writes that by the source to `source`.
    """

    def forward(self) -> None: ...

    def backward(self) -> None: ...


class Pass:
    """Forward and backward over a tile of `samples` samples, in memory of its own.

    `gradient` is a vector laid out as `parameters`; each pass overwrites it.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        parameters: FlatParameters,
        gradient: Array,
        samples: int,
    ) -> None:
        dtype = parameters.values.dtype
        if type(layers[-1]) is Softmax and type(loss) is CategoricalCrossEntropy:
            layers, loss = layers[:-1], SoftmaxCategoricalCrossEntropy()
        blocks = iter(
            zip(parameters.blocks(parameters.values), parameters.blocks(gradient), strict=True)
        )
        source = aligned_ones(
            (parameters.layers[0].n_in + 1, samples), dtype
        )  # the last row stays 1
        self.inputs = source
        self._stages: list[Stage] = []
        for number, layer in enumerate(layers):
            if isinstance(layer, Dense):
                output = aligned_ones((layer.n_out + 1, samples), dtype)
                self._stages.append(_Dense(*next(blocks), source, output[:-1], number > 0))
            elif type(layer) is ReLU:
                output = source
                self._stages.append(_ReLU(source[:-1]))
            else:
                output = aligned_ones(source.shape, dtype)
                self._stages.append(_AnyLayer(layer, source[:-1], output[:-1]))
            source = output
        fused = type(loss) is SoftmaxCategoricalCrossEntropy
        self._loss = _SoftmaxLoss(source[:-1]) if fused else _AnyLoss(loss, source[:-1])

    def prepare(self, targets: Array) -> Array:
        """The targets of a tile in the form that `run` takes."""
        return self._loss.prepare(targets)

    def run(self, inputs: Array, prepared: Array, weight: float) -> tuple[float, float]:
        """Compute the gradient of weight·Σ loss of the samples.

        Parameters
        ----------
        inputs : array (features + 1, samples)
            With a last row of ones. The attribute `inputs` is memory for it.
        prepared : array
            As `prepare` returns it.
        weight : float
            1/samples of the whole batch, so that the gradients of its tiles add up to its gradient.

        Returns
        -------
        The sum of the samples' losses, and their `score_sum`.
        """
        first = self._stages[0]
        if isinstance(first, _Dense):
            first.source = inputs
        else:
            self.inputs[...] = inputs
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
        is_above: bool,  # a layer before needs the derivative by the source
    ) -> None:
        self.block, self.gradient, self.source, self.output = block, gradient, source, output
        self.weights = block[:, :-1].T  # (n_in, n_out)
        self.is_above = is_above

    def forward(self) -> None:
        np.matmul(self.block, self.source, out=self.output)

    def backward(self) -> None:
        np.matmul(self.output, self.source.T, out=self.gradient)
        if self.is_above:
            np.matmul(self.weights, self.output, out=self.source[:-1])


class _ReLU:
    """In place: the layer before does not need its output again."""

    def __init__(self, values: Array) -> None:
        self.values, self.positive = values, aligned_ones(values.shape, np.dtype(bool))
        self.zeros = aligned_ones(values.shape, values.dtype)  # NumPy is slower with the scalar 0
        self.zeros.fill(0)

    def forward(self) -> None:
        np.greater(self.values, 0, out=self.positive)
        np.maximum(self.values, self.zeros, out=self.values)

    def backward(self) -> None:
        np.multiply(self.values, self.positive, out=self.values)


class _AnyLayer:
    """Any layer without weights, through its own `forward` and `backward`."""

    def __init__(self, layer: Layer, source: Array, output: Array) -> None:
        self.layer, self.source, self.output = layer, source, output

    def forward(self) -> None:
        self.layer.forward(self.source.T)
        assert self.layer.output is not None
        self.output[...] = self.layer.output.T

    def backward(self) -> None:
        self.layer.backward(self.output.T)
        assert self.layer.dinputs is not None
        self.source[...] = self.layer.dinputs.T


class _SoftmaxLoss:
    """`SoftmaxCategoricalCrossEntropy` and the count of right answers, in few calls of NumPy.

    With x shifted so that the largest score of each sample is 0, a right answer is a score of 0;
    the loss is log Σ_j e^(x_j) − x_y, and its derivative by x_j is e^(x_j)/Σ − 1[j = y].
    """

    def __init__(self, values: Array) -> None:
        self.values, self.flat = values, values.reshape(-1)  # (classes, samples)
        samples = values.shape[1]
        self.columns, self.row = np.arange(samples), np.empty(samples, values.dtype)

    def prepare(self, targets: Array) -> Array:
        """The positions of the right classes' scores in the flattened values."""
        return targets * len(self.columns) + self.columns

    def run(self, right: Array, weight: float) -> tuple[float, float]:
        values, row, flat = self.values, self.row, self.flat
        np.maximum.reduce(values, axis=0, out=row)
        np.subtract(values, row, out=values)  # the largest score of a sample is now 0
        scores = flat[right]
        hits = self._count_hits(scores, right)
        np.exp(values, out=values)
        np.add.reduce(values, axis=0, out=row)
        total = float(np.add.reduce(np.log(row)) - np.add.reduce(scores))
        np.divide(weight, row, out=row)  # values·row: probabilities times weight
        np.multiply(values, row, out=values)
        flat[right] -= weight
        return total, hits

    def _count_hits(self, scores: Array, right: Array) -> float:
        hits = np.count_nonzero(scores == 0)
        if np.count_nonzero(self.values == 0) > len(right):  # ties: the first class is predicted
            best = self.values.argmax(axis=0)
            hits = np.count_nonzero(best * len(right) + self.columns == right)
        return float(hits)


class _AnyLoss:
    """Any loss, through its own `forward` and `backward`."""

    def __init__(self, loss: Loss, values: Array) -> None:
        self.loss, self.values = loss, values

    def prepare(self, targets: Array) -> Array:
        return targets

    def run(self, targets: Array, weight: float) -> tuple[float, float]:
        output, samples = self.values.T, len(targets)
        mean, score = self.loss.forward(output, targets), self.loss.score_sum(output, targets)
        if isinstance(self.loss, SoftmaxCategoricalCrossEntropy):  # of a derived class
            assert self.loss.output is not None
            output = self.loss.output
        self.loss.backward(output, targets)
        assert self.loss.dinputs is not None
        np.multiply(self.loss.dinputs.T, weight * samples, out=self.values)
        return mean * samples, score


def split_into_tiles(samples: int, width: int, itemsize: int) -> list[slice]:
    """Cut `samples` into slices of about one size, so that the widest array stays within `TILE`.

    Every slice but the last is a whole number of the processor's vectors.
    """
    most = max(FEWEST, TILE // (width * itemsize))
    entries = VECTOR // itemsize
    size = math.ceil(samples / math.ceil(samples / most) / entries) * entries
    return [slice(start, min(start + size, samples)) for start in range(0, samples, size)]


def aligned_ones(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return ones in memory that begins at a multiple of `VECTOR` bytes."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + VECTOR, np.uint8)
    start = -raw.ctypes.data % VECTOR
    array: Array = raw[start : start + size].view(dtype).reshape(shape)
    array.fill(1)
    return array
