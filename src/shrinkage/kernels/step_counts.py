"""What changes from step to step without looking at a weight: counts and what follows from them."""

from __future__ import annotations

import math
from functools import cache

from numba import carray

from shrinkage.kernels.intrinsics import memory
from shrinkage.kernels.jit import Loop, Work, compiled
from shrinkage.kernels.launch import COUNTER, FRESH, GRADIENTS, JOB, LIKE, LONG, tables
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

WIDE, NARROW = LIKE["float64"], LIKE["float32"]


@cache
def counter(update: str) -> Work:
    """One step more for each parameter of a job that has a gradient."""
    make = {"adam": adam, "sgd": sgd, "still": still}[update]
    return compiled(make(), update)


def adam() -> Loop:
    """bc1 = 1 − β₁^t and √(1 − β₂^t), with the count t in the optimizer's state."""

    def count(address):
        table, numbers, _, _ = tables(carray(address, JOB))
        for index in range(len(table)):
            place, row = table[index], numbers[index]
            if place[GRADIENTS] == 0:
                continue
            if place[LONG] != 0:
                steps = memory(place[COUNTER], 1, WIDE)
                steps[0] += 1.0
                t = steps[0]
            else:
                short_steps = memory(place[COUNTER], 1, NARROW)
                short_steps[0] += 1.0
                t = float(short_steps[0])
            row[BC1] = 1.0 - row[BETA1] ** t
            row[ROOT] = math.sqrt(1.0 - row[BETA2] ** t)

    return count


def still() -> Loop:
    """√(1 − β₂^t) after a step of torch's Adam, which has counted it."""

    def look(address):
        table, numbers, _, _ = tables(carray(address, JOB))
        for index in range(len(table)):
            place, row = table[index], numbers[index]
            if place[GRADIENTS] == 0:
                continue
            if place[LONG] != 0:
                t = memory(place[COUNTER], 1, WIDE)[0]
            else:
                t = float(memory(place[COUNTER], 1, NARROW)[0])
            row[ROOT] = math.sqrt(1.0 - row[BETA2] ** t)

    return look


def sgd() -> Loop:
    """b, where the momentum buffer holds b·g for a constant gradient, and the step that makes."""

    def count(address):
        table, numbers, _, _ = tables(carray(address, JOB))
        for index in range(len(table)):
            place, row = table[index], numbers[index]
            if place[GRADIENTS] == 0:
                continue
            mu, begins = row[MOMENTUM], place[FRESH] != 0
            place[FRESH] = 0
            row[JOINS] = 1.0 if begins else row[KEEP]  # torch begins with the gradient itself
            if place[COUNTER] != 0:
                share = memory(place[COUNTER], 1, WIDE)
                share[0] = 1.0 if begins else mu * share[0] + row[KEEP]
                b = share[0]
                row[STEP] = row[LR] * (1.0 + mu * b if row[NESTEROV] != 0.0 else b)

    return count
