"""Least squares with a·Σ|w| + b·Σw², solved over the few inputs that can have a weight.

Each round takes the inputs that have a weight and those whose derivatives break the condition of
the minimum most, and solves over these alone, by scikit-learn's coordinate descent on their Gram
matrix. Where thousands of inputs have dozens of weights, that is most of the work saved.

Reference: Massias, Gramfort and Salmon (2018), *Celer*.
"""

from __future__ import annotations

from typing import final

import numpy as np
from sklearn.linear_model import enet_path

from shrinkage.linear.losses import Array
from shrinkage.linear.problem import Design

SWEEPS = 10_000
FIRST = 20  # inputs of the first round; each round then takes twice those with a weight
SHARE = 0.05  # what a round leaves of the largest derivative, so that no early round is too exact


@final
class WorkingSet:
    """The rounds of one output."""

    def __init__(self, design: Design, absolute: float, square: float, tol: float) -> None:
        self._absolute, self._square, self._tol = absolute, square, tol
        self._units = 1.0 / np.sqrt(design.variances)
        self._worst, self._exactness = np.inf, 1.0

    def choose(self, weights: Array, gradient: Array) -> tuple[float, Array]:
        """How far from a minimum the weights are, and the inputs of the next round.

        Parameters
        ----------
        weights, gradient : arrays (inputs,)
            The gradient is that of the data loss.

        Returns
        -------
        The largest derivative of the objective by a standardized input, and indices of inputs.
        """
        slope = gradient + 2.0 * self._square * weights
        at_zero = np.maximum(np.abs(slope) - self._absolute, 0.0)
        excess = np.where(weights == 0, at_zero, np.abs(slope + self._absolute * np.sign(weights)))
        excess *= self._units
        worst = float(excess.max(initial=0.0))
        # A round that hardly helped was not exact enough.
        self._exactness = self._exactness * 0.01 if worst > 0.5 * self._worst else 1.0
        self._worst = worst
        kept = np.flatnonzero(weights)
        count = min(max(FIRST, 2 * len(kept)), int(np.count_nonzero(excess)))
        broken = np.argpartition(excess, -count)[-count:] if count else kept
        return worst, np.union1d(kept, broken)

    def solve(self, gram: Array, pull: Array, energy: float, start: Array) -> Array:
        """argmin of ``½·wᵀGw − pull·w + absolute·Σ|w| + square·Σw²`` over the inputs of a round.

        Parameters
        ----------
        gram : array (inputs of the round, as many)
        pull : array (inputs of the round,)
        energy : float
            Twice what the data loss would be at w = 0.
        start : array (inputs of the round,)
        """
        goal = max(SHARE * self._worst, 0.3 * self._tol) * self._exactness
        alpha = self._absolute + 2.0 * self._square
        # scikit-learn multiplies alpha by the number of rows, and takes from y its length alone.
        _, found, _ = enet_path(
            np.zeros((1, len(pull)), order="F"),
            np.array([max(energy, 1e-300) ** 0.5]),
            l1_ratio=self._absolute / alpha,
            alphas=[alpha],
            precompute=np.ascontiguousarray(gram),
            Xy=pull,
            coef_init=start,
            check_input=False,
            max_iter=SWEEPS,
            tol=max(goal**2 / max(energy, 1e-300), 1e-14),
        )
        weights: Array = found[:, 0] + 0.0  # −0.0 + 0.0 = 0.0
        return weights
