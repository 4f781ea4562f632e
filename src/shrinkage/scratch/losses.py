"""The losses: cross-entropies for classes, and errors for numbers. Each has its derivative."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.activations import Softmax
from shrinkage.scratch.base_loss import Loss
from shrinkage.scratch.checks import Array, check_inputs
from shrinkage.scratch.targets import (
    check_probabilities,
    check_samples,
    to_class_indices,
    to_numbers,
)


@final
class CategoricalCrossEntropy(Loss):
    """``−mean over samples of log p_y``, where p_y is the probability given to the right class.

    The output is probabilities, as `Softmax` makes them, (samples, classes); `y` is the index of
    each sample's class, (samples,), or one-hot, (samples, classes).

    >>> round(CategoricalCrossEntropy().forward([[0.25, 0.75]], [1]), 4)  # −log 0.75
    0.2877
    """

    score = "accuracy"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        p = check_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        return float(-np.log(_at_least_tiny(p[np.arange(len(y)), y])).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p = check_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        rows = np.arange(len(y))
        self.dinputs = np.zeros_like(p)
        self.dinputs[rows, y] = -1.0 / (_at_least_tiny(p[rows, y]) * len(y))

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return to_class_indices(y, outputs)

    def predictions(self, output: Array) -> Array:
        return _index_of_largest(output)


@final
class SoftmaxCategoricalCrossEntropy(Loss):
    """`Softmax` and `CategoricalCrossEntropy` in one, whose derivative is simple and exact.

    For scores x of the right class y: ``loss = mean of log Σ_j e^(x_j) − x_y``, and by x_j
    ``dinputs = (p − 1[j = y])/samples``.

    `forward` takes scores and sets `output` to their probabilities; `backward` takes those
    probabilities.

    >>> loss = SoftmaxCategoricalCrossEntropy()
    >>> round(loss.forward([[0.0, np.log(3.0)]], [1]), 4)  # −log 0.75
    0.2877
    >>> loss.backward(loss.output, [1])
    >>> loss.dinputs.round(12)
    array([[ 0.25, -0.25]])
    """

    score = "accuracy"

    def __init__(self) -> None:
        self.output: Array | None = None  # probabilities (samples, classes)

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        scores = check_inputs(output)
        y = self.targets(y, scores.shape[1])
        check_samples(scores, y)
        softmax = Softmax()
        softmax.forward(scores)
        self.output = softmax.output
        shifted = scores - scores.max(axis=1, keepdims=True)
        right = shifted[np.arange(len(y)), y]
        return float((np.log(np.exp(shifted).sum(axis=1)) - right).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p = check_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        self.dinputs = p.copy()
        self.dinputs[np.arange(len(y)), y] -= 1.0
        self.dinputs /= len(y)

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return to_class_indices(y, outputs)

    def predictions(self, output: Array) -> Array:
        return _index_of_largest(output)


@final
class BinaryCrossEntropy(Loss):
    """``−mean of y·log p + (1 − y)·log(1 − p)``, over samples and outputs.

    The output is probabilities, as `Sigmoid` makes them, (samples, outputs); `y` is 0 or 1, of the
    same shape, or (samples,) for one output. Probabilities of 0 and 1 count as the nearest numbers
    between: in float64 the loss of a sample is at most 36.7 for y = 0 and 708 for y = 1.

    >>> round(BinaryCrossEntropy().forward([[0.75]], [1]), 4)  # −log 0.75
    0.2877
    """

    score = "accuracy"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        p, y = self._prepare(output, y)
        return float(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p, y = self._prepare(output, y)
        self.dinputs = ((1.0 - y) / (1.0 - p) - y / p) / p.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        array = to_numbers(y, outputs)
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            raise ValueError(f"y must be 0 or 1 for BinaryCrossEntropy, got {array[wrong][0]:g}")
        return array

    def predictions(self, output: Array) -> Array:
        return (output > 0.5).astype(np.float64)

    def _prepare(self, output: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        p = check_probabilities(output)
        y = self.targets(y, p.shape[1]).astype(p.dtype)
        check_samples(p, y)
        return np.clip(p, np.finfo(p.dtype).tiny, 1.0 - np.finfo(p.dtype).epsneg), y


@final
class MeanSquaredError(Loss):
    """``mean of (output − y)²``, over samples and outputs.

    >>> MeanSquaredError().forward([[1.0, 2.0]], [[1.0, 0.0]])
    2.0
    """

    score = "r2"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        return float((_subtract(output, y) ** 2).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        difference = _subtract(output, y)
        self.dinputs = 2.0 * difference / difference.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return to_numbers(y, outputs)

    def predictions(self, output: Array) -> Array:
        return output


@final
class MeanAbsoluteError(Loss):
    """``mean of |output − y|``, over samples and outputs; derivative 0 where they are equal.

    >>> MeanAbsoluteError().forward([[1.0, 2.0]], [[1.0, 0.0]])
    1.0
    """

    score = "r2"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        return float(np.abs(_subtract(output, y)).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        difference = _subtract(output, y)
        self.dinputs = np.sign(difference) / difference.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return to_numbers(y, outputs)

    def predictions(self, output: Array) -> Array:
        return output


def _at_least_tiny(p: Array) -> Array:
    """`p`, with 0 replaced by the smallest normal number, so that its logarithm is finite."""
    positive: Array = np.maximum(p, np.finfo(p.dtype).tiny)
    return positive


def _index_of_largest(output: Array) -> Array:
    """The index of the largest number of each row; the first, if several are equal."""
    index: Array = output.argmax(axis=1)
    return index


def _subtract(output: ArrayLike, y: ArrayLike) -> Array:
    """output − y, both (samples, outputs)."""
    array = check_inputs(output)
    targets = to_numbers(y, array.shape[1]).astype(array.dtype)
    check_samples(array, targets)
    difference: Array = array - targets
    return difference
