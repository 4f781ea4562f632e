"""Check the values of a study's settings: each error names the setting, the value and a remedy."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np

from shrinkage.study.errors import UsageError
from shrinkage.study.records import TASKS

MOST = {
    "seeds": 10_000,
    "folds": 10_000,
    "strengths": 10_000,
    "epochs": 100_000_000,
    "batch": 1_000_000_000,
    "sample": 1_000_000_000,
}
FEWEST = {"folds": 2, "sample": 6}  # two rows for each of training, validation and test
OPTIONAL = ("batch", "epochs", "folds", "sample")
LEAST, GREATEST = (float(end) for end in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


def normalize_task(task: object) -> str | None:
    """The word that records keep: "classes" or "numbers"."""
    if task is None:
        return None
    for kept, name in TASKS.items():
        if task in (kept, name):
            return kept
    raise UsageError(f"task must be regression or classification, got {task!r}")


def check_strength(value: object) -> float:
    if not is_number(value) or not 0 < value < math.inf:
        raise UsageError(
            f"strengths must be numbers above 0 and finite, got {value!r} (none is always compared)"
        )
    check_float32("strengths", float(value))
    return float(value)


def check_lr(lr: object) -> None:
    if lr is None:
        return
    if not (is_number(lr) and 0 < lr < math.inf):
        raise UsageError(f"lr must be a number above 0, got {lr!r}")
    if lr < LEAST:
        raise UsageError(f"lr must be at least {LEAST:.2g}, as float32 holds no less, got {lr!r}")


def check_float32(name: str, value: float) -> None:
    """Refuse a number that float32 would round to infinity or to zero."""
    if not LEAST <= abs(value) <= GREATEST:
        raise UsageError(
            f"{name} must lie between {LEAST:.2g} and {GREATEST:.2g}, what float32 holds, "
            f"got {value!r}"
        )


def check_count(name: str, value: object) -> None:
    """Refuse what is no whole number, or one that is too small or too large."""
    if value is None and name in OPTIONAL:
        return
    least = FEWEST.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number from {least} up, got {value!r}")
    if value > MOST[name]:
        raise UsageError(f"{name} must be at most {MOST[name]:,}, got {value}")


def check_balanced(value: object, task: str | None) -> None:
    """Refuse what is no truth value, and weights of classes where there are none."""
    if not isinstance(value, bool):
        raise UsageError(f"balanced must be True or False, got {value!r}")
    if value and task == "numbers":
        raise UsageError("balanced weighs classes, and the task is regression: leave it out")


def check_text(name: str, value: object) -> None:
    if not isinstance(value, str) and (value is not None or name not in ("target", "subject")):
        raise UsageError(f"{name} must be text, got {value!r}")


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
