"""Group lasso on rows: a row is updated and shrunk while it is in the first cache.

B holds lam·√p_g. In the metric of the steps s, with c = s·B, a row z becomes z·θ/(θ + c), where θ
solves S(θ) = Σ z²/(θ + c)² = 1, or 0 where S(0) ≤ 1. 1/√S is concave and rises, so Newton's method
on 1/√S = 1 comes from any start to the left of the root at once, and climbs to it from there.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.compiling import Loop
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

NEWTON_STEPS = 60  # it stops by itself, mostly after two
BLOCK = 1024  # entries that are summed in the type of the weights before float64 takes over


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
            sums[NORMS] += size_of(w, measured[1])
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
    size = norm(weights)
    return 0.0 if size == 0.0 else row[FACTOR] * row[B] / size


@register_jitable
def norm(weights):
    """‖w‖; in float64 throughout where squares of float32 vanish or overflow."""
    total = 0.0
    for at in range(0, weights.size, BLOCK):
        total += squares_of(weights[at : min(at + BLOCK, weights.size)])
    return size_of(weights, total)


@register_jitable
def squares_of(weights):
    tight()
    total = weights.dtype.type(0.0)
    for i in range(weights.size):
        total = add(total, weights[i] * weights[i])
    return total


@register_jitable
def size_of(weights, squares):
    """‖w‖ where Σw² was found to be `squares`."""
    if not (squares > 1e-25 and squares < 1e25):
        squares = 0.0
        for i in range(weights.size):
            squares += np.float64(weights[i]) * np.float64(weights[i])
    return math.sqrt(squares)


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
    size = size_of(weights, measured[1])
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
def moments(weights, costs, strength):
    """c ← strength·c, then Σz² and Σcz²."""
    squares, weighted = 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        part = slice(at, min(at + BLOCK, weights.size))
        square, product = moments_of(weights[part], costs[part], strength)
        squares += square
        weighted += product
    return squares, weighted


@register_jitable
def moments_of(weights, costs, strength):
    tight()
    zero = weights.dtype.type(0.0)
    squares, weighted = zero, zero
    for i in range(weights.size):
        z, c = weights[i], costs[i] * strength
        costs[i] = c
        squares = add(squares, z * z)
        weighted = add(weighted, c * z * z)
    return squares, weighted


@register_jitable
def root(weights, costs, size, mean):
    """θ, or 0 where the whole row dies; `size` is ‖z‖ and `mean` that of c, weighted by z²."""
    kind = weights.dtype.type
    least = size * 1e-20
    near = 1e-8 if weights.itemsize == 8 else 1e-4  # and the step that follows squares it
    theta = max(size - mean, 0.5 * size)
    for count in range(NEWTON_STEPS):
        squares, slope = 0.0, 0.0
        for at in range(0, weights.size, BLOCK):
            part = slice(at, min(at + BLOCK, weights.size))
            square, rate = sums_at(weights[part], costs[part], kind(theta))
            squares += square
            slope += rate
        if not slope > 0.0:  # c is so large that S is 0
            return 0.0
        change = squares * (math.sqrt(squares) - 1.0) / slope
        if theta == least and not change > 0.0:
            return 0.0
        theta = max(theta + change, least)
        if not (abs(change) > near * theta and (count == 0 or change > 0.0)):
            break
    return theta


@register_jitable
def sums_at(weights, costs, theta):
    """S(θ) and −S′(θ)/2."""
    tight()
    zero = weights.dtype.type(0.0)
    squares, slope = zero, zero
    for i in range(weights.size):
        part = reciprocal(theta + costs[i])
        term = weights[i] * part * weights[i] * part
        squares = add(squares, term)
        slope = add(slope, term * part)
    return squares, slope


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


@register_jitable
def largest(values):
    """The largest |x|, by the bits of |x|, which are ordered as it is: taken in vectors."""
    found = np.empty(1, values.dtype)
    if values.itemsize == 8:
        bits, most = values.view(np.int64), np.int64(0)
        for i in range(bits.size):
            size = bits[i] & np.int64(0x7FFFFFFFFFFFFFFF)
            most = size if size > most else most
        found.view(np.int64)[0] = most
    else:
        short, top = values.view(np.int32), np.int32(0)
        for i in range(short.size):
            part = np.int32(short[i] & np.int32(0x7FFFFFFF))
            top = part if part > top else top
        found.view(np.int32)[0] = top
    return found[0]
