"""Group lasso on rows: a row is updated and shrunk while it is in the first cache.

`benchmarks/step.py`, the rows "group lasso on rows".
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.group_root import (
    BLOCK,
    MAX_COST,
    choose_threshold,
    decay_rate,
    largest,
    locate_root,
    norm,
    norm_from_squares,
    root,
    small_loss,
)
from shrinkage.kernels.intrinsics import (
    CHUNK,
    bits,
    copy,
    fill,
    number,
    part,
    reciprocal,
    round_to,
    widen,
)
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.kind import How, Kind
from shrinkage.kernels.reductions import (
    ZERO_MOMENTS,
    ZERO_PIECE_SUMS,
    ZERO_SUMS,
    add_entry,
    add_group,
    join_moments,
    join_sums,
    measure,
    no_entries,
)
from shrinkage.kernels.register_forms import below
from shrinkage.kernels.updates import make_update


def make_row_loop(kind: Kind) -> Loop:
    """Update, shrink and sum one row at a time."""
    is_coupled, in_metric, half = kind.how == How.COUPLED, kind.has_adaptive_prox, kind.is_half
    update = make_update(kind)
    shrink = shrink_in_metric if in_metric else make_even_shrinkage(kind.how)
    join, nothing = (join_moments, ZERO_MOMENTS) if in_metric else (join_sums, ZERO_SUMS)

    @jitable
    def run(weights, gradients, state, p, piece):
        first, second, third = state
        width = p.width
        steps = np.empty(width if in_metric else CHUNK, first.dtype)
        wide = np.empty(width if half else 0, first.dtype)
        sums = ZERO_PIECE_SUMS
        for begin in range(0, weights.size, width):
            row = part(weights, begin, width)
            w = wide if half else row
            if half:
                widen(row, w)
            # Coupled: B·w/‖w‖ is added to the gradient, which equals a weight decay of B/‖w‖.
            decay = p.decay + (decay_rate(norm(w), p.factor * p.b) if is_coupled else 0.0)
            moments = nothing
            for low in range(0, width, CHUNK):
                at, count = begin + low, min(CHUNK, width - low)
                nearby = part(first, at, count), part(second, at, count), part(third, at, count)
                s = part(steps, low if in_metric else 0, count)
                g = part(gradients, at, count)
                sums_of_chunk = update(part(w, low, count), g, nearby, (s, s), p, decay)
                moments = join(moments, sums_of_chunk)
            measured = shrink(w, steps, p, moments)
            if half:
                round_to(row, w)
                measured = measure_in_blocks(w)
            is_dead = measured[2] == width
            size = 0.0 if is_dead else norm_from_squares(w, measured[1])
            sums = add_group(sums, measured, size, is_dead)
        return sums

    return run


@jitable
def measure_in_blocks(weights):
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        measured = join_sums(measured, measure(part(weights, at, min(BLOCK, weights.size - at))))
    return measured


def make_even_shrinkage(how: How) -> Loop:
    """The function that shrinks one row by a number t, given its sums, and returns its new sums."""
    threshold = choose_threshold(how)

    @jitable
    def shrink(weights, steps, p, measured):
        """w·max(1 − t/‖w‖, 0); t = 0 leaves w as it is, and NaN stays NaN."""
        t = threshold(p)
        if not t > 0.0:
            return measured
        # A row of exact zeros has the norm 0 exactly.
        size = 0.0 if measured[2] == weights.size else norm_from_squares(weights, measured[1])
        if size <= t:
            fill(weights, weights.dtype.type(0.0))
            return 0.0, 0.0, float(weights.size)
        measured = 0.0, 0.0, 0.0
        for at in range(0, weights.size, BLOCK):
            count = min(BLOCK, weights.size - at)
            measured = join_sums(measured, scale_row(part(weights, at, count), t / size))
        return measured

    return shrink


@tight
def scale_row(weights, ratio):
    """Write w − ratio·w, and return its sums."""
    kind = weights.dtype.type
    share, measured = kind(ratio), no_entries(kind(0.0))
    for i in range(weights.size):
        w = weights[i] - weights[i] * share
        weights[i] = w
        measured = add_entry(measured, w)
    return measured


@jitable
def shrink_in_metric(weights, steps, p, moments):
    kind = weights.dtype.type
    strength, limit = p.factor * p.b, kind(p.limit)
    if not kind(strength) * kind(p.lr) > kind(0.0):
        return measure_in_blocks(weights)
    squares = moments[0]
    if squares != squares:  # one weight is NaN, so the norm is NaN
        fill(weights, kind(math.nan))
        return measure_in_blocks(weights)
    # Within these bounds the sum of squares and its products neither vanish nor overflow.
    lower, upper = (1e-200, 1e200) if weights.itemsize == 8 else (1e-25, 1e25)
    if not (squares > lower and squares < upper):
        return shrink_extreme(weights, steps, kind(strength), limit)
    size, mean, is_known, is_slight = locate_root(moments, strength, limit, weights.itemsize)
    theta = size - mean
    if is_slight:
        return shrink_slightly(weights, steps, kind(strength / theta))
    for i in range(weights.size):
        # `steps` now holds the costs c = s·B.
        steps[i] = below(steps[i] * kind(strength), kind(MAX_COST))
    theta = theta if is_known else root(weights, steps, size, mean)
    return move_towards(weights, steps, kind(theta), limit)


@jitable
def shrink_extreme(weights, steps, strength, limit):
    """Shrink in units of the largest weight, in which squares neither vanish nor overflow."""
    kind = weights.dtype.type
    unit = kind(largest(weights))
    if unit == kind(0.0):
        fill(weights, unit)  # no -0.0
    elif unit < kind(math.inf):
        squares, weighted = 0.0, 0.0
        for i in range(weights.size):
            # The prox is homogeneous: prox(z, c) = unit·prox(z/unit, c/unit).
            z, c = weights[i] / unit, below(strength * steps[i] / unit, kind(MAX_COST))
            weights[i], steps[i] = z, c
            squares += z * z
            weighted += np.float64(c) * np.float64(z * z)
        theta = root(weights, steps, math.sqrt(squares), weighted / squares)
        move_towards(weights, steps, kind(theta), limit / unit)
        for i in range(weights.size):
            weights[i] *= unit
    return measure_in_blocks(weights)


@jitable
def move_towards(weights, costs, theta, limit):
    """Move a row to its prox at θ, or to 0 where θ is 0, no entry by more than `limit`."""
    kind = weights.dtype.type
    measured, max_move = (0.0, 0.0, 0.0), kind(0.0)
    if theta == kind(0.0):
        measured, max_move = (0.0, 0.0, float(weights.size)), kind(largest(weights))
        copy(weights, costs)
        fill(weights, kind(0.0))
    else:
        for at in range(0, weights.size, BLOCK):
            size = min(BLOCK, weights.size - at)
            w, c = part(weights, at, size), part(costs, at, size)
            sums_of_chunk, longest = move_to_root(w, c, theta)
            measured = join_sums(measured, sums_of_chunk)
            max_move = max(max_move, longest)
    return cap_row_move(weights, costs, limit / max_move) if max_move > limit else measured


@tight
def move_to_root(weights, costs, theta):
    """Write zθ/(θ + c), and z in place of c; return the sums and the longest move of an entry."""
    zero = weights.dtype.type(0.0)
    measured, max_cost = no_entries(zero), bits(zero)
    for i in range(weights.size):
        z, c = weights[i], costs[i]
        # z − zθ/(θ + c) = z·c/(θ + c), which keeps its digits where c is small.
        loss = z * (c * reciprocal(theta + c))
        costs[i] = z
        weights[i] = z - loss
        measured, size = add_entry(measured, z - loss), bits(abs(loss))
        max_cost = size if size > max_cost else max_cost
    return measured, number(max_cost)


@jitable
def shrink_slightly(weights, steps, inverse):
    """Write zθ/(θ + c) for small c without a division; `inverse` is B/θ, so c/θ = s·inverse."""
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        size = min(BLOCK, weights.size - at)
        w, s = part(weights, at, size), part(steps, at, size)
        measured = join_sums(measured, shrink_chunk_slightly(w, s, inverse))
    return measured


@tight
def shrink_chunk_slightly(weights, steps, inverse):
    measured = no_entries(weights.dtype.type(0.0))
    for i in range(weights.size):
        w = weights[i] - weights[i] * small_loss(steps[i], inverse)
        weights[i] = w
        measured = add_entry(measured, w)
    return measured


@jitable
def cap_row_move(weights, before, share):
    """Go only that share of the way from `before`; return the sums."""
    for i in range(weights.size):
        # All entries stop at the same share of the way, so the row keeps its direction.
        weights[i] = before[i] - (before[i] - weights[i]) * share
    return measure_in_blocks(weights)
