"""The data losses of linear models and networks: what one sample adds, and its derivative.

In all three the derivative by a score is prediction − target: `evaluate` returns both.

>>> import numpy as np
>>> LOSSES["squared_error"].evaluate(np.array([[3.0]]), np.array([[1.0]]))
(array([2.]), array([[2.]]))
>>> LOSSES["binary_log_loss"].evaluate(np.array([[0.0]]), np.array([[1.0]]))[0].round(4)
array([0.6931])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[Any]

LEAST_SHARE = 1e-12  # of a class in the data, so that its logarithm is finite


class Loss(Protocol):
    """A loss of scores (samples, outputs) against targets of the same shape."""

    curvature: ClassVar[float]  # the largest second derivative along any direction of scores

    def predict(self, scores: Array) -> Array:
        """What the model predicts at these scores: numbers, or probabilities."""

    def evaluate(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """Each sample's loss (samples,), and its derivatives by the scores (samples, outputs)."""

    def curvatures(self, predictions: Array) -> Array:
        """The second derivative by each score, where the model predicts that."""

    def best_constant(self, means: Array) -> Array:
        """The scores (outputs,) of the best model without inputs, given the targets' means."""


@final
@dataclass(frozen=True)
class SquaredError:
    """½·Σ_k (score_k − target_k)²."""

    curvature: ClassVar[float] = 1.0

    def predict(self, scores: Array) -> Array:
        return scores

    def evaluate(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        residuals = scores - targets
        return 0.5 * np.einsum("ij,ij->i", residuals, residuals), residuals

    def curvatures(self, predictions: Array) -> Array:
        return np.ones_like(predictions)

    def best_constant(self, means: Array) -> Array:
        return means


@final
@dataclass(frozen=True)
class BinaryLogLoss:
    """Σ_k log(1 + e^score_k) − target_k·score_k: one logit for each output, targets 0 or 1."""

    curvature: ClassVar[float] = 0.25

    def predict(self, scores: Array) -> Array:
        probabilities: Array = expit(scores)
        return probabilities

    def evaluate(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        losses = np.logaddexp(0, scores)
        losses -= targets * scores
        return losses.sum(axis=1), expit(scores) - targets

    def curvatures(self, predictions: Array) -> Array:
        return predictions * (1.0 - predictions)

    def best_constant(self, means: Array) -> Array:
        shares = np.clip(means, LEAST_SHARE, 1.0 - LEAST_SHARE)
        logits: Array = np.log(shares / (1.0 - shares))
        return logits


@final
@dataclass(frozen=True)
class LogLoss:
    """log Σ_k e^score_k − Σ_k target_k·score_k: softmax over classes, targets one-hot."""

    curvature: ClassVar[float] = 0.5

    def predict(self, scores: Array) -> Array:
        shares: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def evaluate(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        by_class = scores.T  # (outputs, samples): sums over classes then run along the samples
        shifted = by_class - by_class.max(axis=0)
        losses = -np.einsum("ki,ki->i", targets.T, shifted)
        shares = np.exp(shifted, out=shifted)
        totals = shares.sum(axis=0)
        losses += np.log(totals)
        shares /= totals
        shares -= targets.T
        return losses, shares.T

    def curvatures(self, predictions: Array) -> Array:
        return predictions * (1.0 - predictions)

    def best_constant(self, means: Array) -> Array:
        logits: Array = np.log(np.maximum(means, LEAST_SHARE))
        return logits


LOSSES: dict[str, Loss] = {
    "squared_error": SquaredError(),
    "log_loss": LogLoss(),
    "binary_log_loss": BinaryLogLoss(),
}
