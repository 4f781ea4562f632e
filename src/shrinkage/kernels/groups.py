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
from shrinkage.kernels.loops import FACTOR, LIMIT, LR, STEP, B
from shrinkage.kernels.machine import add

NEWTON_STEPS = 60  # it stops by itself, mostly after two
BLOCK = 1024  # entries that are summed in the type of the weights before float64 takes over


def shrink_row(how: str, in_metric: bool) -> Loop:
    """The prox of B·‖w‖ on one row."""
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
        squares = weights.dtype.type(0.0)
        for i in range(at, min(at + BLOCK, weights.size)):
            squares = add(squares, weights[i] * weights[i])
        total += squares
    if not (total > 1e-25 and total < 1e25):
        total = 0.0
        for i in range(weights.size):
            total += np.float64(weights[i]) * np.float64(weights[i])
    return math.sqrt(total)


@register_jitable
def leave(weights, steps, row):
    pass


@register_jitable
def shrink_by_step(weights, steps, row):
    shrink_evenly(weights, row[FACTOR] * row[STEP] * row[B])


@register_jitable
def shrink_by_amount(weights, steps, row):
    shrink_evenly(weights, row[FACTOR] * row[B])


@register_jitable
def shrink_evenly(weights, t):
    """w·max(1 − t/‖w‖, 0); t = 0 leaves w alone, NaN stays NaN."""
    if not t > 0.0:
        return
    size = norm(weights)
    if size <= t:
        weights[:] = weights.dtype.type(0.0)
        return
    ratio = weights.dtype.type(t / size)
    for i in range(weights.size):
        weights[i] = weights[i] - weights[i] * ratio


@register_jitable
def shrink_in_metric(weights, steps, row):
    kind = weights.dtype.type
    strength = kind(row[FACTOR] * row[B])
    if not strength * kind(row[LR]) > kind(0.0):
        return
    for i in range(weights.size):
        steps[i] = steps[i] * strength
    squares, weighted = moments(weights, steps)
    least, most = (1e-200, 1e200) if weights.itemsize == 8 else (1e-25, 1e25)
    if squares > least and squares < most:
        theta = root(weights, steps, math.sqrt(squares), weighted / squares)
        move_towards(weights, steps, kind(theta), kind(row[LIMIT]))
        return
    if squares != squares:  # one NaN, and the norm is NaN
        weights[:] = kind(math.nan)
        return
    unit = kind(largest(weights))  # in units of it, squares neither vanish nor overflow
    if unit > kind(0.0) and unit < kind(math.inf):
        weights[:] = weights / unit
        for i in range(weights.size):  # beside next to nothing, what costs 1e30 is dead as well
            steps[i] = min(steps[i] / unit, kind(1e30))
        squares, weighted = moments(weights, steps)
        theta = root(weights, steps, math.sqrt(squares), weighted / squares)
        move_towards(weights, steps, kind(theta), kind(row[LIMIT]) / unit)
        weights[:] = weights * unit


@register_jitable
def moments(weights, costs):
    """Σz² and Σcz²."""
    squares, weighted = 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        part = slice(at, min(at + BLOCK, weights.size))
        square, product = moments_of(weights[part], costs[part])
        squares += square
        weighted += product
    return squares, weighted


@register_jitable
def moments_of(weights, costs):
    zero = weights.dtype.type(0.0)
    squares, weighted = zero, zero
    for i in range(weights.size):
        z, c = weights[i], costs[i]
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
    one, zero = weights.dtype.type(1.0), weights.dtype.type(0.0)
    squares, slope = zero, zero
    for i in range(weights.size):
        part = one / (theta + costs[i])
        term = weights[i] * part * weights[i] * part
        squares = add(squares, term)
        slope = add(slope, term * part)
    return squares, slope


@register_jitable
def move_towards(weights, costs, theta, limit):
    """The row at θ, or as far towards it as no entry moves by more than `limit`."""
    kind = weights.dtype.type
    for i in range(weights.size):
        costs[i] = weights[i] * costs[i] / (theta + costs[i])  # what an entry loses
    farthest = kind(largest(costs))
    if theta == kind(0.0) and farthest <= limit:
        weights[:] = kind(0.0)
        return
    share = limit / farthest if farthest > limit else kind(1.0)
    for i in range(weights.size):
        weights[i] = weights[i] - costs[i] * share


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
