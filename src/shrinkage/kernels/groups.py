"""The norms of groups, and where a group goes in a metric.

B holds lam·√p_g. In the metric of the steps s, with c = s·B, a row z becomes z·θ/(θ + c), where θ
solves S(θ) = Σ z²/(θ + c)² = 1, or 0 where S(0) ≤ 1. 1/√S is concave and rises, so Newton's method
on 1/√S = 1 comes from any start to the left of the root at once, and climbs to it from there.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.machine import add, reciprocal, tight

NEWTON_STEPS = 60  # it stops by itself, mostly after two
BLOCK = 1024  # entries that are summed in the type of the weights before float64 takes over


@register_jitable
def norm(weights):
    """‖w‖; in float64 throughout where squares of float32 vanish or overflow."""
    total = 0.0
    for at in range(0, weights.size, BLOCK):
        total += squares_of(weights[at : min(at + BLOCK, weights.size)])
    return size_of(weights, total)


@register_jitable
def pull_at(size, strength):
    """strength/‖w‖, 0 where that is more than any type holds: w is as good as 0 there."""
    return 0.0 if size * 1e37 <= strength else strength / size


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
