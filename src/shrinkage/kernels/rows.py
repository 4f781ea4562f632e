"""Group lasso on rows: a row is updated and shrunk while it is in the first cache."""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.groups import BLOCK, largest, moments, norm, pull_at, root, size_of
from shrinkage.kernels.loops import (
    DEAD,
    FACTOR,
    LIMIT,
    LR,
    NORMS,
    SQUARES,
    STEP,
    B,
    measure,
    note,
    nothing_yet,
    together,
    with_entry,
    with_squares,
)
from shrinkage.kernels.machine import AHEAD, FEW, add, narrow, reciprocal, tight, widen


def by_rows(update: Loop, ask: Loop, how: str, in_metric: bool, half: bool) -> Loop:
    """Update, prox and sums, a row at a time."""
    coupled, shrink = how == "coupled", shrink_row(how, in_metric)

    @register_jitable
    def run(weights, gradients, first, second, third, row, width, sums):
        steps = np.empty(width if in_metric else FEW, first.dtype)
        wide = np.empty(width if half else 0, first.dtype)
        for begin in range(0, weights.size, width):
            w = wide if half else weights[begin : begin + width]
            if half:
                widen(weights[begin : begin + width], w)
            numbers = with_squares(row, row[SQUARES] + pull_row(w, row)) if coupled else row
            measured = 0.0, 0.0, 0.0
            for low in range(0, width, FEW):
                at, count = begin + low, min(FEW, width - low)
                ask(weights, gradients, first, second, third, at + AHEAD, FEW)
                here = slice(at, at + count)
                found = update(
                    w[low : low + count],
                    gradients[here],
                    first[here],
                    second[here],
                    third[here],
                    steps[low : low + count] if in_metric else steps,
                    numbers,
                )
                measured = together(measured, found)
            measured = shrink(w, steps, row, measured)
            if half:
                narrow(w, weights[begin : begin + width])
                measured = measure_in_blocks(w)
            note(measured, sums)
            sums[NORMS] += 0.0 if measured[2] == width else size_of(w, measured[1])
            sums[DEAD] += measured[2] == width

    return run


def shrink_row(how: str, in_metric: bool) -> Loop:
    """The prox of B·‖w‖ on one row, whose sums are known, and the sums after it."""
    if in_metric:
        return shrink_in_metric
    if how == "coupled":
        return leave
    return shrink_by_step if how == "proximal" else shrink_by_amount


@register_jitable
def pull_row(weights, row):
    """Coupled: B·w/‖w‖ joins the gradient, as a square of that strength would."""
    return pull_at(norm(weights), row[FACTOR] * row[B])


@register_jitable
def measure_in_blocks(weights):
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        measured = together(measured, measure(weights[at : min(at + BLOCK, weights.size)]))
    return measured


@register_jitable
def leave(weights, steps, row, measured):
    return measured


@register_jitable
def shrink_by_step(weights, steps, row, measured):
    return shrink_evenly(weights, row[FACTOR] * row[STEP] * row[B], measured)


@register_jitable
def shrink_by_amount(weights, steps, row, measured):
    return shrink_evenly(weights, row[FACTOR] * row[B], measured)


@register_jitable
def shrink_evenly(weights, t, measured):
    """w·max(1 − t/‖w‖, 0); t = 0 leaves w alone, NaN stays NaN."""
    if not t > 0.0:
        return measured
    size = 0.0 if measured[2] == weights.size else size_of(weights, measured[1])
    if size <= t:
        weights[:] = weights.dtype.type(0.0)
        return 0.0, 0.0, float(weights.size)
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        here = slice(at, min(at + BLOCK, weights.size))
        measured = together(measured, lessen(weights[here], t / size))
    return measured


@register_jitable
def lessen(weights, ratio):
    """w − ratio·w, and its sums."""
    tight()
    kind = weights.dtype.type
    share, measured = kind(ratio), nothing_yet(kind(0.0))
    for i in range(weights.size):
        w = weights[i] - weights[i] * share
        weights[i] = w
        measured = with_entry(measured, w)
    return measured


@register_jitable
def shrink_in_metric(weights, steps, row, measured):
    kind = weights.dtype.type
    strength, limit = kind(row[FACTOR] * row[B]), kind(row[LIMIT])
    if not strength * kind(row[LR]) > kind(0.0):
        return measured
    if measured[2] == weights.size:  # dead before
        weights[:] = kind(0.0)
        return measured
    squares, weighted = moments(weights, steps, strength)
    least, most = (1e-200, 1e200) if weights.itemsize == 8 else (1e-25, 1e25)
    if squares > least and squares < most:
        theta = root(weights, steps, math.sqrt(squares), weighted / squares)
        return move_towards(weights, steps, kind(theta), limit)
    if squares != squares:  # one NaN, and the norm is NaN
        weights[:] = kind(math.nan)
        return measure_in_blocks(weights)
    unit = kind(largest(weights))  # in units of it, squares neither vanish nor overflow
    if unit > kind(0.0) and unit < kind(math.inf):
        weights[:] = weights / unit
        for i in range(weights.size):  # beside next to nothing, what costs 1e30 is dead as well
            steps[i] = min(steps[i] / unit, kind(1e30))
        squares, weighted = moments(weights, steps, kind(1.0))
        theta = root(weights, steps, math.sqrt(squares), weighted / squares)
        move_towards(weights, steps, kind(theta), limit / unit)
        weights[:] = weights * unit
    return measure_in_blocks(weights)


@register_jitable
def move_towards(weights, costs, theta, limit):
    """The row at θ, or as far towards it as no entry moves by more than `limit`; its sums."""
    kind = weights.dtype.type
    if theta == kind(0.0):
        farthest = kind(largest(weights))
        if farthest <= limit:
            weights[:] = kind(0.0)
            return 0.0, 0.0, float(weights.size)
        costs[:] = weights
        weights[:] = kind(0.0)
        return move_back(weights, costs, limit / farthest)
    measured, beyond = (0.0, 0.0, 0.0), 0.0
    for at in range(0, weights.size, BLOCK):
        here = slice(at, min(at + BLOCK, weights.size))
        found, over = move(weights[here], costs[here], theta, limit)
        measured = together(measured, found)
        beyond += over
    farthest = farthest_of(weights, costs) if beyond > 0.0 else kind(0.0)
    if farthest > limit:
        return move_back(weights, costs, limit / farthest)
    return measured


@register_jitable
def move(weights, costs, theta, limit):
    """zθ/(θ + c), and z where c was; its sums, and how many move by more than `limit`."""
    tight()
    kind = weights.dtype.type
    zero, one = kind(0.0), kind(1.0)
    measured, over = nothing_yet(zero), zero
    for i in range(weights.size):
        z, c = weights[i], costs[i]
        loss = z * (c * reciprocal(theta + c))
        costs[i] = z
        weights[i] = z - loss
        measured = with_entry(measured, z - loss)
        over = add(over, one if abs(loss) > limit else zero)
    return measured, over


@register_jitable
def farthest_of(weights, before):
    farthest = weights.dtype.type(0.0)
    for i in range(weights.size):
        farthest = max(farthest, abs(before[i] - weights[i]))
    return farthest


@register_jitable
def move_back(weights, before, share):
    """That share of the way alone; the sums."""
    for i in range(weights.size):
        weights[i] = before[i] - (before[i] - weights[i]) * share
    return measure_in_blocks(weights)
