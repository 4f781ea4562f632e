"""What a network learns from, and what it makes as small as it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from shrinkage.sklearn.parameters import Array, BoundPenalty, Parameters
from shrinkage.sklearn.update_rules import UpdateRule


@final
@dataclass(frozen=True)
class Data:
    """What a network learns from.

    Attributes
    ----------
    X : array or CSR matrix (samples, inputs)
    targets : array (samples, outputs)
        Of the type of X, as the loss takes them.
    weights : array (samples,) or None
        At least 0, and not all 0.
    """

    X: Any
    targets: Array
    weights: Array | None

    def batch(self, rows: Array) -> Data:
        """These rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Data(self.X[rows], self.targets[rows], weights)

    @property
    def total_weight(self) -> float:
        """The sum of the weights; without weights the number of samples."""
        return float(len(self.targets) if self.weights is None else self.weights.sum())

    def with_mean_weight(self) -> Data:
        """The same with weights whose mean is 1, in the type of X."""
        if self.weights is None:
            return self
        weights = (self.weights / self.weights.mean()).astype(self.X.dtype)
        return Data(self.X, self.targets, weights)


@final
@dataclass(frozen=True)
class Objective:
    """The mean of weight·loss over a batch, ``alpha/2·Σw²`` over its rows, and Ω.

    Where samples have weights, `alpha` is already divided by their mean.
    """

    loss: str
    activation: str
    alpha: float
    penalty: BoundPenalty | None


@final
@dataclass(frozen=True)
class Task:
    """What training works on.

    Attributes
    ----------
    data : Data
        With weights whose mean is 1, so that batches of any rows have the same objective on
        average. (scikit-learn divides by the weights of the batch.)
    """

    parameters: Parameters
    data: Data
    objective: Objective
    rule: UpdateRule

    def penalty_value(self) -> float:
        """Ω at the present parameters."""
        penalty = self.objective.penalty
        return 0.0 if penalty is None else penalty.value(self.parameters.values)
