"""The norms of groups, and where a group goes in a metric.

B holds lam·√p_g. In the metric of the steps s, with c = s·B, a row z becomes z·θ/(θ + c), where θ
solves S(θ) = Σ z²/(θ + c)² = 1, or 0 where S(0) ≤ 1. 1/√S is concave and rises, so Newton's method
on 1/√S = 1 comes from any start to the left of the root at once, and climbs to it from there.
It begins at ‖z‖ − c̄, with the mean of c weighted by z², which lacks 3/2·σ²/‖z‖ and less. An error
of θ changes a weight by its share c/θ alone, so where c is small that is all (`is_root`).
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.intrinsics import add, bits, number, part, reciprocal
from shrinkage.kernels.jit import jitable, tight

NEWTON_STEPS = 60  # it stops by itself, mostly after two
FAR = 1e4  # a step to the right where sums of float32 overflow
DEAREST = 1e36  # costs beyond it would leave what `reciprocal` can invert
BLOCK = 1024  # entries that are summed in the type of the weights before float64 takes over


@jitable
def norm(weights):
    """‖w‖; in float64 throughout where squares of float32 vanish or overflow."""
    total = 0.0
    for at in range(0, weights.size, BLOCK):
        total += squares_of(part(weights, at, min(BLOCK, weights.size - at)))
    return size_of(weights, total)


@jitable
def pull_at(size, strength):
    """strength/‖w‖, 0 where that is more than any type holds: w is as good as 0 there."""
    return 0.0 if size * 1e37 <= strength else strength / size


@tight
def squares_of(weights):
    total = weights.dtype.type(0.0)
    for i in range(weights.size):
        total = add(total, weights[i] * weights[i])
    return total


@jitable
def size_of(weights, squares):
    """‖w‖ where Σw² was found to be `squares`."""
    if not (squares > 1e-25 and squares < 1e25):
        squares = 0.0
        for i in range(weights.size):
            squares += np.float64(weights[i]) * np.float64(weights[i])
    return math.sqrt(squares)


@jitable
def is_root(size, mean, top, itemsize):
    """Whether ‖z‖ − c̄ is θ as far as weights can show: `top` is the largest c; σ² ≤ c̄·top."""
    share = top / size
    least, near = (1e-75, 5e-17) if itemsize == 8 else (1e-8, 3e-8)
    is_sound = size > least and (mean > 0.0 or top == 0.0)  # sums that did not vanish
    return is_sound and share <= 0.1 and 3.0 * mean * share * share <= near * size


@jitable
def is_little(size, top, itemsize):
    """Whether r − r² + r³ of r = c/θ is what is lost, c/(θ + c), to the last place of a weight."""
    return top <= size * (5e-6 if itemsize == 8 else 4e-3)


@jitable
def little_share(c, inverse):
    """c/(θ + c) where it is little, from 1/θ."""
    r = c * inverse
    return r - r * r * (type(r)(1.0) - r)


@jitable
def root(weights, costs, size, mean):
    """θ, or 0 where the whole row dies; `size` is ‖z‖ and `mean` that of c, weighted by z²."""
    kind = weights.dtype.type
    least = size * 1e-20
    near = 1e-8 if weights.itemsize == 8 else 1e-4  # and the step that follows squares it
    theta = max(size - mean, 0.5 * size)
    for rounds in range(NEWTON_STEPS):
        squares, slope = 0.0, 0.0
        for at in range(0, weights.size, BLOCK):
            count = min(BLOCK, weights.size - at)
            w, c = part(weights, at, count), part(costs, at, count)
            square, rate = sums_at(w, c, kind(theta))
            squares += square
            slope += rate
        if not slope > 0.0:  # c is so large that S is 0
            return 0.0
        if not slope < math.inf:  # far to the left of the root
            theta *= FAR
            continue
        # Newton on 1/√S = 1: Δθ = (√S − 1)·S/(−S′/2), with slope = −S′/2.
        change = squares * (math.sqrt(squares) - 1.0) / slope
        if theta == least and not change > 0.0:
            return 0.0
        theta = max(theta + change, least)
        if not (abs(change) > near * theta and (rounds == 0 or change > 0.0)):
            break
    return theta


@tight
def sums_at(weights, costs, theta):
    """S(θ) and −S′(θ)/2."""
    zero = weights.dtype.type(0.0)
    squares, slope = zero, zero
    for i in range(weights.size):
        inverse = reciprocal(theta + costs[i])
        term = weights[i] * inverse * weights[i] * inverse
        squares = add(squares, term)
        slope = add(slope, term * inverse)
    return squares, slope


@tight
def largest(values):
    """The largest |x|, NaN where there is one."""
    top = bits(values.dtype.type(0.0))
    for i in range(values.size):
        size = bits(abs(values[i]))
        top = size if size > top else top
    return number(top)
