"""What changes from step to step without looking at a weight: counts and what follows from them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from shrinkage.kernels.compiling import Loop, compiled, memory, sources
from shrinkage.kernels.driving import COUNTER, FRESH, GRADIENTS, WIDE
from shrinkage.kernels.loops import (
    BC1,
    BETA1,
    BETA2,
    JOINS,
    KEEP,
    LR,
    MOMENTUM,
    NESTEROV,
    ROOT,
    STEP,
)

WIDE_COUNT = np.empty(0, np.float64)
NARROW_COUNT = np.empty(0, np.float32)


@cache
def counter(update: str) -> Loop:
    """(table, numbers, wide, narrow): one step more for each parameter that has a gradient."""
    make = adam if update == "adam" else sgd
    return compiled(make(int(sources(), 16) % (1 << 62)), update)


def adam(version: int) -> Loop:
    """bc1 = 1 − β₁^t and √(1 − β₂^t), with the count t in the optimizer's state."""

    def count(table, numbers, wide, narrow):
        for index in range(len(table)):
            place, row = table[index], numbers[index]
            if place[GRADIENTS] == 0 or version < 0:
                continue
            if place[WIDE] != 0:
                steps = memory(place[COUNTER], 1, wide)
                steps[0] += 1.0
                t = steps[0]
            else:
                short_steps = memory(place[COUNTER], 1, narrow)
                short_steps[0] += 1.0
                t = float(short_steps[0])
            row[BC1] = 1.0 - row[BETA1] ** t
            row[ROOT] = math.sqrt(1.0 - row[BETA2] ** t)

    return count


def sgd(version: int) -> Loop:
    """b, where the momentum buffer holds b·g for a constant gradient, and the step that makes."""

    def count(table, numbers, wide, narrow):
        for index in range(len(table)):
            place, row = table[index], numbers[index]
            if place[GRADIENTS] == 0 or version < 0:
                continue
            mu, begins = row[MOMENTUM], place[FRESH] != 0
            place[FRESH] = 0
            row[JOINS] = 1.0 if begins else row[KEEP]  # torch begins with the gradient itself
            if place[COUNTER] != 0:
                share = memory(place[COUNTER], 1, wide)
                share[0] = 1.0 if begins else mu * share[0] + row[KEEP]
                b = share[0]
                row[STEP] = row[LR] * (1.0 + mu * b if row[NESTEROV] != 0.0 else b)

    return count
