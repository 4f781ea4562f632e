"""Group lasso on rows: a row is updated and shrunk while it is in the first cache.

It buys the rows "group lasso on rows" of `benchmarks/step.py`.
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.formulas import below
from shrinkage.kernels.group_root import (
    BLOCK,
    DEAREST,
    is_little,
    is_root,
    largest,
    little_share,
    norm,
    pull_at,
    root,
    size_of,
)
from shrinkage.kernels.how import How, Kind
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
from shrinkage.kernels.loops import update_of
from shrinkage.kernels.reductions import (
    NO_MOMENTS,
    NO_SUMS,
    NOTHING,
    join_moments,
    measure,
    nothing_yet,
    together,
    with_entry,
    with_group,
)


def by_rows(kind: Kind) -> Loop:
    """Update, prox and sums, a row at a time."""
    step_rows = over_rows(kind)

    @jitable
    def run(weights, gradients, state, p, piece):
        return step_rows(weights, gradients, state, p, p.width, p.width)

    return run


def over_rows(kind: Kind) -> Loop:
    """The same for groups of `width` entries in one stretch each, which begin `pitch` apart."""
    update, shrink = update_of(kind), shrink_row(kind)
    is_coupled, in_metric, half = kind.how == How.COUPLED, kind.is_in_metric, kind.is_half
    join, nothing = (join_moments, NO_MOMENTS) if in_metric else (together, NOTHING)

    @jitable
    def run(weights, gradients, state, p, width, pitch):
        first, second, third = state
        steps = np.empty(width if in_metric else CHUNK, first.dtype)
        wide = np.empty(width if half else 0, first.dtype)
        sums = NO_SUMS
        for begin in range(0, weights.size, pitch):
            row = part(weights, begin, width)
            w = wide if half else row
            if half:
                widen(row, w)
            # Coupled, B·w/‖w‖ joins the gradient, as a weight decay of B/‖w‖ does.
            decay = p.decay + (pull_at(norm(w), p.factor * p.b) if is_coupled else 0.0)
            before = nothing
            for low in range(0, width, CHUNK):
                at, count = begin + low, min(CHUNK, width - low)
                near = part(first, at, count), part(second, at, count), part(third, at, count)
                s = part(steps, low if in_metric else 0, count)
                g = part(gradients, at, count)
                found = update(part(w, low, count), g, near, (s, s), p, decay)
                before = join(before, found)
            measured = shrink(w, steps, p, before)
            if half:
                round_to(row, w)
                measured = measure_in_blocks(w)
            is_dead = measured[2] == width
            sums = with_group(sums, measured, 0.0 if is_dead else size_of(w, measured[1]), is_dead)
        return sums

    return run


def shrink_row(kind: Kind) -> Loop:
    """The prox of B·‖w‖ on one row, whose sums or moments are known, and the sums after it."""
    if kind.is_in_metric:
        return shrink_in_metric
    if kind.how == How.COUPLED:
        return leave
    return shrink_by_step if kind.how == How.PROXIMAL else shrink_by_amount


@jitable
def measure_in_blocks(weights):
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        measured = together(measured, measure(part(weights, at, min(BLOCK, weights.size - at))))
    return measured


@jitable
def leave(weights, steps, p, measured):
    return measured


@jitable
def shrink_by_step(weights, steps, p, measured):
    return shrink_evenly(weights, p.factor * p.step * p.b, measured)


@jitable
def shrink_by_amount(weights, steps, p, measured):
    return shrink_evenly(weights, p.factor * p.b, measured)


@jitable
def shrink_evenly(weights, t, measured):
    """w·max(1 − t/‖w‖, 0); t = 0 leaves w alone, NaN stays NaN."""
    if not t > 0.0:
        return measured
    # A row of exact zeros has norm 0, whatever rounding says.
    size = 0.0 if measured[2] == weights.size else size_of(weights, measured[1])
    if size <= t:
        fill(weights, weights.dtype.type(0.0))
        return 0.0, 0.0, float(weights.size)
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        count = min(BLOCK, weights.size - at)
        measured = together(measured, scale_down(part(weights, at, count), t / size))
    return measured


@tight
def scale_down(weights, ratio):
    """w − ratio·w, and its sums."""
    kind = weights.dtype.type
    share, measured = kind(ratio), nothing_yet(kind(0.0))
    for i in range(weights.size):
        w = weights[i] - weights[i] * share
        weights[i] = w
        measured = with_entry(measured, w)
    return measured


@jitable
def shrink_in_metric(weights, steps, p, moments):
    kind = weights.dtype.type
    strength, limit = p.factor * p.b, kind(p.limit)
    if not kind(strength) * kind(p.lr) > kind(0.0):
        return measure_in_blocks(weights)
    squares, weighted, top, farthest = moments
    if squares != squares:  # one NaN, and the norm is NaN
        fill(weights, kind(math.nan))
        return measure_in_blocks(weights)
    # Within these the sum of squares neither vanishes nor overflows, nor do its products.
    least, most = (1e-200, 1e200) if weights.itemsize == 8 else (1e-25, 1e25)
    if not (squares > least and squares < most):
        return shrink_extreme(weights, steps, kind(strength), limit)
    size, mean, top = math.sqrt(squares), strength * weighted / squares, strength * top
    # The first iterate of Newton: ‖z‖ less the mean of c, weighted by z² (see group_root).
    theta = size - mean
    is_known = is_root(size, mean, top, weights.itemsize)
    is_near = strength * farthest <= limit * theta
    if is_known and is_near and is_little(size, top, weights.itemsize):
        return lose_little(weights, steps, kind(strength / theta))
    for i in range(weights.size):
        # From here on the steps are costs, c = s·B.
        steps[i] = below(steps[i] * kind(strength), kind(DEAREST))
    theta = theta if is_known else root(weights, steps, size, mean)
    return move_towards(weights, steps, kind(theta), limit)


@jitable
def shrink_extreme(weights, steps, strength, limit):
    """In units of the largest weight, where squares neither vanish nor overflow."""
    kind = weights.dtype.type
    unit = kind(largest(weights))
    if unit == kind(0.0):
        fill(weights, unit)  # no -0.0
    elif unit < kind(math.inf):
        squares, weighted = 0.0, 0.0
        for i in range(weights.size):
            # The prox is homogeneous: prox(z, c) = unit·prox(z/unit, c/unit).
            z, c = weights[i] / unit, below(strength * steps[i] / unit, kind(DEAREST))
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
    """`move_within`, also where θ is 0 and the row dies, or goes as far as `limit` allows."""
    kind = weights.dtype.type
    if theta == kind(0.0):
        farthest = kind(largest(weights))
        if farthest > limit:
            copy(weights, costs)
            fill(weights, kind(0.0))
            return move_back(weights, costs, limit / farthest)
        fill(weights, kind(0.0))
        return 0.0, 0.0, float(weights.size)
    return move_within(weights, costs, theta, limit)


@jitable
def move_within(weights, costs, theta, limit):
    """The row at θ, or as far towards it as no entry moves by more than `limit`; its sums."""
    measured, farthest = (0.0, 0.0, 0.0), weights.dtype.type(0.0)
    for at in range(0, weights.size, BLOCK):
        size = min(BLOCK, weights.size - at)
        w, c = part(weights, at, size), part(costs, at, size)
        found, most = move_to_root(w, c, theta)
        measured = together(measured, found)
        farthest = max(farthest, most)
    return move_back(weights, costs, limit / farthest) if farthest > limit else measured


@tight
def move_to_root(weights, costs, theta):
    """zθ/(θ + c), and z where c was; its sums, and how far the farthest moves."""
    zero = weights.dtype.type(0.0)
    measured, top = nothing_yet(zero), bits(zero)
    for i in range(weights.size):
        z, c = weights[i], costs[i]
        # z − zθ/(θ + c) = z·c/(θ + c): the loss keeps its digits where c is little.
        loss = z * (c * reciprocal(theta + c))
        costs[i] = z
        weights[i] = z - loss
        measured, size = with_entry(measured, z - loss), bits(abs(loss))
        top = size if size > top else top
    return measured, number(top)


@jitable
def lose_little(weights, steps, inverse):
    """zθ/(θ + c) where c is little, without a division; `inverse` is cost over step, over θ."""
    measured = 0.0, 0.0, 0.0
    for at in range(0, weights.size, BLOCK):
        size = min(BLOCK, weights.size - at)
        w, s = part(weights, at, size), part(steps, at, size)
        measured = together(measured, lose_little_chunk(w, s, inverse))
    return measured


@tight
def lose_little_chunk(weights, steps, inverse):
    measured = nothing_yet(weights.dtype.type(0.0))
    for i in range(weights.size):
        w = weights[i] - weights[i] * little_share(steps[i], inverse)
        weights[i] = w
        measured = with_entry(measured, w)
    return measured


@jitable
def move_back(weights, before, share):
    """That share of the way alone; the sums."""
    for i in range(weights.size):
        # A segment towards the prox, cut where the first entry has moved as far as it may.
        weights[i] = before[i] - (before[i] - weights[i]) * share
    return measure_in_blocks(weights)
