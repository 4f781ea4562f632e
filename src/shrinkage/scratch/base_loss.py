"""What every loss has in common: the data loss is a mean over samples, and has a derivative.

`forward(output, y)` returns the loss of a network's output given the targets; `backward(output, y)`
sets `dinputs`, the derivative of that loss by each number of the output.

>>> import numpy as np
>>> from shrinkage.scratch import Dense, MeanSquaredError
>>> loss, output, y = MeanSquaredError(), np.array([[1.0], [3.0]]), [1.0, 1.0]
>>> loss.forward(output, y)
2.0
>>> loss.backward(output, y)
>>> loss.dinputs.tolist()
[[0.0], [2.0]]

The score of a batch is a sum over its samples, so that the batches of an epoch add up.

>>> targets = loss.targets(y, 1)  # in one form, (samples, outputs)
>>> squares = loss.score_sum(loss.predictions(output), targets)
>>> squares, loss.score_of(squares, np.array([[1.0], [5.0]]))  # r2 = 1 − 4/8
(4.0, 0.5)
>>> loss.regularization_loss(Dense(1, 1))  # without a penalty
0.0
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Layer, dense_layers


class Loss(ABC):
    """How far outputs are from their targets: a mean over samples, each by itself."""

    dinputs: Array | None = None  # the derivative of the loss by the output
    score: ClassVar[str]  # the score that is reported with the loss: "accuracy" or "r2"

    @abstractmethod
    def forward(self, output: ArrayLike, y: ArrayLike) -> float:
        """The data loss."""

    @abstractmethod
    def backward(self, output: ArrayLike, y: ArrayLike) -> None:
        """Set `dinputs`."""

    @abstractmethod
    def targets(self, y: ArrayLike, outputs: int) -> Array:
        """Check `y` and bring it into one form: whole numbers (samples,), or (samples, outputs).

        Raises
        ------
        ValueError
            If a target is missing, or a network with that many outputs could not predict it.
        """

    @abstractmethod
    def predictions(self, output: Array) -> Array:
        """What the outputs predict, in the form of `targets`."""

    def score_sum(self, output: Array, targets: Array) -> float:
        """The part of a batch in the score: its right predictions, or for "r2" squared errors."""
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
        """The sum of the penalties of these layers, which is added to the data loss."""
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"layers must be given one by one, as in regularization_loss(*layers), got "
                    f"{type(layer).__name__}"
                )
        return sum((layer.regularization_loss() for layer in dense_layers(layers)), 0.0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
