"""What training makes small: the data loss, a mean over samples, and its derivative.

`forward(output, y)` returns the loss of a network's output given the targets; `backward(output, y)`
sets `dinputs`, the derivative of that loss by each number of the output.

>>> import numpy as np
>>> loss = MeanSquaredError()
>>> loss.forward(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
2.0
>>> loss.backward(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
>>> loss.dinputs.tolist()
[[0.0], [2.0]]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.checks import Array, checked_inputs
from shrinkage.scratch.layers import Dense, Layer, Softmax
from shrinkage.scratch.targets import (
    check_samples,
    checked_probabilities,
    class_indices,
    numbers,
)


class Loss(ABC):
    """A mean over samples, each on its own, of how far outputs are from their targets."""

    dinputs: Array | None = None  # the derivative of the loss by the output
    score: ClassVar[str]  # how good outputs are, for people: "accuracy" or "r2"

    @abstractmethod
    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        """The data loss."""

    @abstractmethod
    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        """Set `dinputs`."""

    @abstractmethod
    def targets(self, y: ArrayLike, outputs: int) -> Array:
        """`y` checked, and in one form: (samples,) whole numbers or (samples, outputs) floats.

        Raises
        ------
        ValueError
            If a target is missing or is none that a network with so many outputs could give.
        """

    @abstractmethod
    def predictions(self, output: Array) -> Array:
        """What outputs stand for, in the form of `targets`."""

    def score_sum(self, output: Array, targets: Array) -> float:
        """What the score of a batch is made of, a sum over its samples.

        The number of right predictions, or for "r2" the sum of squared errors.
        """
        predicted = self.predictions(output)
        if self.score == "r2":
            return float(((predicted - targets) ** 2).sum())
        return float(np.count_nonzero(predicted == targets))

    def score_of(self, total: float, targets: Array) -> float:
        """The score of all `targets`, from the sum of `score_sum` over their batches.

        "accuracy": the share of right predictions. "r2": 1 − Σ(output − y)²/Σ(y − ȳ)², for each
        output around its own mean ȳ; 0 where the targets are all the same.
        """
        if self.score == "accuracy":
            return total / targets.size
        if not np.ptp(targets, axis=0).any():
            return 0.0
        mean = targets.mean(axis=0, dtype=np.float64)
        return 1.0 - total / float(((targets - mean) ** 2).sum())

    def regularization_loss(self, *layers: Layer) -> float:
        """The sum of the penalties of these layers; the whole loss is the data loss plus this."""
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"layers must be given one by one, as in regularization_loss(*layers), got "
                    f"{type(layer).__name__}"
                )
        return sum(
            (layer.regularization_loss() for layer in layers if isinstance(layer, Dense)), 0.0
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@final
class CategoricalCrossEntropy(Loss):
    """``−mean over samples of log p_y``, where p_y is the probability given to the right class.

    The output is probabilities, as `Softmax` makes them, (samples, classes); `y` is the index of
    each sample's class, (samples,), or one-hot, (samples, classes).
    """

    score = "accuracy"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        p = checked_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        return float(-np.log(_at_least_tiny(p[np.arange(len(y)), y])).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p = checked_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        rows = np.arange(len(y))
        self.dinputs = np.zeros_like(p)
        self.dinputs[rows, y] = -1.0 / (_at_least_tiny(p[rows, y]) * len(y))

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return class_indices(y, outputs)

    def predictions(self, output: Array) -> Array:
        return largest(output)


@final
class SoftmaxCategoricalCrossEntropy(Loss):
    """`Softmax` and `CategoricalCrossEntropy` in one, whose derivative is simple and exact.

    For scores x of the right class y: ``loss = mean of log Σ_j e^(x_j) − x_y``, and by x_j
    ``dinputs = (p − 1[j = y])/samples``.

    `forward` takes scores and sets `output` to their probabilities; `backward` takes those
    probabilities.
    """

    score = "accuracy"

    def __init__(self) -> None:
        self.output: Array | None = None  # probabilities (samples, classes)

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        scores = checked_inputs(output)
        y = self.targets(y, scores.shape[1])
        check_samples(scores, y)
        softmax = Softmax()
        softmax.forward(scores)
        self.output = softmax.output
        shifted = scores - scores.max(axis=1, keepdims=True)
        right = shifted[np.arange(len(y)), y]
        return float((np.log(np.exp(shifted).sum(axis=1)) - right).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p = checked_probabilities(output)
        y = self.targets(y, p.shape[1])
        check_samples(p, y)
        self.dinputs = p.copy()
        self.dinputs[np.arange(len(y)), y] -= 1.0
        self.dinputs /= len(y)

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return class_indices(y, outputs)

    def predictions(self, output: Array) -> Array:
        return largest(output)


@final
class BinaryCrossEntropy(Loss):
    """``−mean of y·log p + (1 − y)·log(1 − p)``, over samples and outputs.

    The output is probabilities, as `Sigmoid` makes them, (samples, outputs); `y` is 0 or 1, of the
    same shape, or (samples,) for one output. Probabilities of 0 and 1 count as the nearest numbers
    between: in float64 the loss of a sample is at most 36.7 for y = 0 and 708 for y = 1.
    """

    score = "accuracy"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        p, y = self._prepared(output, y)
        return float(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        p, y = self._prepared(output, y)
        self.dinputs = ((1.0 - y) / (1.0 - p) - y / p) / p.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        array = numbers(y, outputs)
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            raise ValueError(f"y must be 0 or 1 for BinaryCrossEntropy, got {array[wrong][0]:g}")
        return array

    def predictions(self, output: Array) -> Array:
        return (output > 0.5).astype(np.float64)

    def _prepared(self, output: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        p = checked_probabilities(output)
        y = self.targets(y, p.shape[1]).astype(p.dtype)
        check_samples(p, y)
        return np.clip(p, np.finfo(p.dtype).tiny, 1.0 - np.finfo(p.dtype).epsneg), y


@final
class MeanSquaredError(Loss):
    """``mean of (output − y)²``, over samples and outputs."""

    score = "r2"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        return float((differences(output, y) ** 2).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        difference = differences(output, y)
        self.dinputs = 2.0 * difference / difference.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return numbers(y, outputs)

    def predictions(self, output: Array) -> Array:
        return output


@final
class MeanAbsoluteError(Loss):
    """``mean of |output − y|``, over samples and outputs; derivative 0 where they are equal."""

    score = "r2"

    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        return float(np.abs(differences(output, y)).mean())

    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        difference = differences(output, y)
        self.dinputs = np.sign(difference) / difference.size

    def targets(self, y: ArrayLike, outputs: int) -> Array:
        return numbers(y, outputs)

    def predictions(self, output: Array) -> Array:
        return output


def _at_least_tiny(p: Array) -> Array:
    """`p`, with the smallest normal number in place of 0, whose logarithm would be infinite."""
    positive: Array = np.maximum(p, np.finfo(p.dtype).tiny)
    return positive


def largest(output: Array) -> Array:
    """The index of the largest number of each row; of several, the first."""
    index: Array = output.argmax(axis=1)
    return index


def differences(output: ArrayLike, y: ArrayLike) -> Array:
    """output − y, both (samples, outputs)."""
    array = checked_inputs(output)
    targets = numbers(y, array.shape[1]).astype(array.dtype)
    check_samples(array, targets)
    difference: Array = array - targets
    return difference
