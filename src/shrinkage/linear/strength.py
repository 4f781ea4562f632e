"""The strength at which a linear model has nothing left: where a path of strengths begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shrinkage.linear.losses import Array
from shrinkage.linear.solving import make_problem
from shrinkage.penalties import Penalty

DOUBLINGS = 60
LEAST_SHARE = 1e-12  # of the first strength with nothing left
FAR = 6.0  # powers of ten between derivatives in the units of X and in standardized ones
BISECTIONS = 50
RIDGE_SHARE = 10.0  # of the largest curvature: where squares alone leave next to nothing


def strongest(
    X: Any,
    y: Array,
    penalty_at: Callable[[float], Penalty],
    loss: str = "squared_error",
    sample_weight: Array | None = None,
) -> float:
    """The least strength at which all weights are 0.

    Parameters
    ----------
    X, y, loss, sample_weight
        As `solve` takes them.
    penalty_at : function of a strength
        For example ``L1``.

    Returns
    -------
    The strength, above the true one by rounding alone. For a penalty that makes no zeros, such as
    `L2`, one at which the weights are less than a tenth of their size without it.

    Examples
    --------
    >>> from shrinkage import L1
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([6.0, 0.0, 3.2, 2.8])
    >>> round(strongest(X, y, L1), 9)  # max |X'(y − mean)|/n
    1.5
    """
    problem = make_problem(X, y, penalty_at(1.0), loss, sample_weight)

    def is_empty(lam: float) -> bool:
        problem.penalty = penalty_at(lam)
        return not problem.proximal_step(problem.null)[:-1].any()

    starts = [problem.size or 1.0]
    derivative = float(np.abs(problem.gradient(problem.null)[:-1]).max(initial=0.0))
    if derivative and abs(math.log10(derivative / starts[0])) > FAR:  # in the units of X
        starts.append(derivative)
    bracket = _find_bracket(is_empty, starts)
    if bracket is None:
        return RIDGE_SHARE * problem.loss.curvature * float(np.max(problem.design.variances))
    low, high = bracket
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_empty(middle) else (middle, high)
    return high


def _find_bracket(
    is_empty: Callable[[float], bool], starts: Sequence[float]
) -> tuple[float, float] | None:
    """Strengths with something and with nothing left, near one of `starts`.

    They are the least that were tried where nothing is left at any, and None where there is
    something at all.
    """
    least = None
    for high in starts:
        for _ in range(DOUBLINGS):
            if is_empty(high):
                break
            high *= 2.0
        else:
            continue
        low = high
        while is_empty(low) and low > high * LEAST_SHARE:
            low /= 2.0
        if not is_empty(low):
            return low, 2.0 * low
        least = least or (low, 2.0 * low)
    return least
