"""How a strength changes during training: functions from the step (0, 1, ...) to a factor.

Any callable of the step will do; these are the usual ones.

>>> ramp = warmup(4)
>>> [ramp(step) for step in range(6)]
[0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from shrinkage.penalties.arrays import checked_strength

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
    _check_is_made("after", after)

    def factor(step: int) -> float:
        if step < steps:
            return step / steps
        return 1.0 if after is None else after(step - steps)

    return factor


def check_schedule(schedule: object) -> None:
    """Refuse a schedule that is no function, or that makes schedules."""
    if schedule is not None and not callable(schedule):
        raise TypeError(f"schedule must be a function of the step, got {schedule!r}")
    _check_is_made("schedule", schedule)


def _check_is_made(argument: str, schedule: object) -> None:
    """Refuse the functions of this module themselves, which make schedules."""
    called = {constant: "(0.5)", linear: "(1.0, 0.1, 1000)", cosine: "(1.0, 0.1, 1000)"}
    for make, arguments in {**called, warmup: "(1000)"}.items():
        if schedule is make:
            name = make.__name__
            raise TypeError(
                f"{argument} must be a schedule, and {name} makes one: call it, as in "
                f"{argument}=schedules.{name}{arguments}"
            )


def factor_at(schedule: Schedule, step: int) -> float:
    """The factor of a step, as a float; tensors and NumPy numbers are numbers too.

    Raises
    ------
    TypeError
        If the schedule returns no number.
    ValueError
        If it returns a negative, an infinite or no real number.
    """
    factor: Any = schedule(step)
    what = f"at step {step} the schedule's factor"
    if callable(factor) and not hasattr(factor, "__float__"):
        raise TypeError(
            f"{what} must be a number, got the function {factor!r}: where it makes schedules, give "
            "what it makes"
        )
    if getattr(factor, "ndim", None) == 0 or getattr(factor, "shape", None) == (1,):
        factor = factor.item()
    return checked_strength(what, factor)


def _check_steps(steps: int) -> None:
    try:
        whole = operator.index(steps)
    except TypeError:
        whole = 0
    if whole < 1 or isinstance(steps, bool):
        raise ValueError(f"steps must be a whole number >= 1, got {steps!r}")
