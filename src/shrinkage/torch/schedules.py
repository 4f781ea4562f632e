"""How a strength changes during training: functions from the step (0, 1, ...) to a factor.

Any callable of the step will do; these are the usual ones.

>>> ramp = warmup(4)
>>> [ramp(step) for step in range(6)]
[0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(factor: float = 1.0) -> Schedule:
    """The same `factor` at every step."""
    return lambda step: factor


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` at step 0 to `end` at step `steps` on a line, `end` from then on."""
    _check_steps(steps)
    return lambda step: end if step >= steps else start + (end - start) * step / steps


def cosine(start: float, end: float, steps: int) -> Schedule:
    """From `start` at step 0 to `end` at step `steps` on half a cosine, `end` from then on."""
    _check_steps(steps)

    def factor(step: int) -> float:
        share = (1 + math.cos(math.pi * step / steps)) / 2
        return end if step >= steps else end + (start - end) * share

    return factor


def warmup(steps: int, after: Schedule | None = None) -> Schedule:
    """From 0 to 1 on a line over `steps` steps; then `after`, counting from 0, or 1."""
    _check_steps(steps)

    def factor(step: int) -> float:
        if step < steps:
            return step / steps
        return 1.0 if after is None else after(step - steps)

    return factor


def _check_steps(steps: int) -> None:
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number >= 1, got {steps!r}")
