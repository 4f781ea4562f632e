"""The strength that holds the zeros of the step before.

Under a penalty such as L1 the smallest units are set to zero along the ramp, and the strength is
the least one whose prox leaves these zeros at zero. To make zeros by the prox alone would take a
far greater one in a short ramp: large weights would have to be shrunk through, all others with
them, and the flat part of a concave penalty shrinks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

HELD, NEARLY = 0.995, 0.0025  # the share of the zeros that is to be held, give or take
FIRST, MOST = 1.1, 100.0  # the factor of the first move of a search, squared up to the last
DRIFT = 1.02  # a search begins lower by this, so that it comes to the least strength
SMALLEST, LARGEST = 1e-15, 1e15
PRECISE = 1.001


def find_factor(zeros_at: Callable[[float], float], last: float, zeros: float) -> float:
    """The factor near the last one at which `zeros_at` is nearly `zeros`; 0 if none is needed.

    >>> round(find_factor(lambda factor: 1000 * min(factor, 1.0), 1.0, 500.0), 2)
    0.5
    """
    aim, near = HELD * zeros, max(NEARLY * zeros, 0.5)

    def excess(factor: float) -> float:
        gap = zeros_at(factor) - aim
        return 0.0 if abs(gap) <= near else gap

    found = factor = last / DRIFT
    first = gap = excess(factor)
    by = FIRST if first < 0.0 else 1.0 / FIRST
    while gap * first > 0.0:  # until two factors have the aim between them
        found, factor = factor, factor * by
        if factor < SMALLEST:
            return 0.0  # more is zero without a penalty
        if not factor <= LARGEST:  # NaN too, with which nothing would ever change
            return last
        gap = excess(factor)
        by = min(by * by, MOST) if by > 1.0 else max(by * by, 1.0 / MOST)
    if gap == 0.0:
        return factor
    low, high = min(found, factor), max(found, factor)
    while high > PRECISE * low:
        middle = math.sqrt(low * high)
        gap = excess(middle)
        if gap == 0.0:
            return middle
        low, high = (middle, high) if gap < 0.0 else (low, middle)
    return low
