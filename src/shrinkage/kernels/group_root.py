"""The norms of groups, and the root θ that gives the prox of a norm in a metric.

Let B = lam·√p_g, with a step s for each entry, and c = s·B. The prox of B·‖w‖ takes a row z to
z·θ/(θ + c), where θ solves S(θ) = Σ z²/(θ + c)² = 1; the row becomes 0 where S(0) ≤ 1. Since 1/√S
is concave and increasing, the first step of Newton's method on 1/√S = 1 lands left of the root from
any start, and the iterates then increase to it. The start is ‖z‖ − c̄, where c̄ is the mean of c
weighted by z²: it is below the root by at most 3/2·σ²/‖z‖, with σ² the variance of c under the same
weights. A relative error of θ changes a weight by the share c/θ of it, so the start is already
accurate enough where c is small (`locate_root`).
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.intrinsics import add, bits, number, part, reciprocal
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.kind import How

NEWTON_STEPS = 60  # an upper limit; the iteration mostly stops after two
FAR_STEP = 1e4  # θ is multiplied by it where sums of float32 overflow
MAX_COST = 1e36  # of c; `reciprocal` cannot invert larger numbers
BLOCK = 1024  # entries that are summed in the type of the weights; longer sums are in float64


@jitable
def norm(weights):
    """‖w‖, computed in float64 throughout where squares of float32 vanish or overflow."""
    total = 0.0
    for at in range(0, weights.size, BLOCK):
        total += sum_squares(part(weights, at, min(BLOCK, weights.size - at)))
    return norm_from_squares(weights, total)


@jitable
def decay_rate(size, strength):
    """strength/‖w‖, or 0 where that would overflow, since w is then practically 0."""
    return 0.0 if size * 1e37 <= strength else strength / size


def choose_threshold(how: How) -> Loop:
    """The function that computes by how much the norm of a group shrinks after the update."""
    is_proximal, is_coupled = how == How.PROXIMAL, how == How.COUPLED

    @jitable
    def threshold(p):
        if is_coupled:
            return 0.0
        return p.factor * p.step * p.b if is_proximal else p.factor * p.b

    return threshold


@tight
def sum_squares(weights):
    total = weights.dtype.type(0.0)
    for i in range(weights.size):
        total = add(total, weights[i] * weights[i])
    return total


@jitable
def norm_from_squares(weights, squares):
    """‖w‖ from Σw²; the squares are summed again where they vanished or overflowed."""
    if not (squares > 1e-25 and squares < 1e25):
        squares = 0.0
        for i in range(weights.size):
            squares += np.float64(weights[i]) * np.float64(weights[i])
    return math.sqrt(squares)


@jitable
def locate_root(moments, strength, limit, itemsize):
    """‖z‖ and c̄; whether θ = ‖z‖ − c̄ is known; and whether `small_loss` may be taken by it.

    The moments are Σz², Σs·z², the largest step s and the largest s·|z|. θ is known where it is
    right to the precision of the weights, by σ² ≤ c̄·top with the largest cost `top`.
    """
    squares, weighted, max_step, max_move = moments
    size, mean, top = math.sqrt(squares), strength * weighted / squares, strength * max_step
    share = top / size
    least, near, small = (1e-75, 5e-17, 5e-6) if itemsize == 8 else (1e-8, 3e-8, 4e-3)
    is_sound = size > least and (mean > 0.0 or top == 0.0)  # sums that did not vanish
    is_known = is_sound and share <= 0.1 and 3.0 * mean * share * share <= near * size
    # Then c/(θ + c) = r − r² + r³ to the last place of a weight, with r = c/θ.
    is_small = top <= size * small
    is_near = strength * max_move <= limit * (size - mean)
    return size, mean, is_known, is_known and is_small and is_near


@jitable
def small_loss(c, inverse):
    """c/(θ + c) by r − r² + r³ with r = c/θ, where `locate_root` allows it."""
    r = c * inverse
    return r - r * r * (type(r)(1.0) - r)


@jitable
def root(weights, costs, size, mean):
    """θ, or 0 where the row becomes 0; `size` is ‖z‖, and `mean` the mean c̄ of c."""
    kind = weights.dtype.type
    least = size * 1e-20
    near = 1e-8 if weights.itemsize == 8 else 1e-4  # the next step would square the error
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
            theta *= FAR_STEP
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
    """The largest |x|, or NaN where one is NaN."""
    top = bits(values.dtype.type(0.0))
    for i in range(values.size):
        size = bits(abs(values[i]))
        top = size if size > top else top
    return number(top)
