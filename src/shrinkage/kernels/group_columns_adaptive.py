"""The prox of a block of columns in a metric, after the update, which took the moments it needs.

Where costs are little and no weight moves too far, each step is found again from the state, in one
more pass. Other groups are gathered, and shrunk as rows are.
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.column_sums import (
    FLUSH,
    columns_at,
    flush,
    join_neighbours,
    line,
    measure_block,
)
from shrinkage.kernels.group_root import is_little, is_root, largest, little_share
from shrinkage.kernels.group_rows import shrink_in_metric
from shrinkage.kernels.how import Kind, Update
from shrinkage.kernels.intrinsics import copy, fill, part
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.reductions import nothing_yet, together, with_entry

TOGETHER, FEWEST = 64, 8  # columns among which groups are gathered in one go
GATHERED = 1 << 20  # entries of them at most, if that is no fewer columns, or one group
TALL = 64  # rows of them that are near at a time
GAP = 16  # entries between gathered groups, so that they do not compete for one place in a cache
ALONE = -1.0  # in place of a share: to be gathered


def shrinking_in_metric(kind: Kind) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    adapts, at_amsgrad = kind.update.is_own, kind.update is Update.AMSGRAD

    @jitable
    def variances_of(state):
        if at_amsgrad:
            return state[2]
        return state[1] if adapts else state[0]

    @jitable
    def shrink(block, stored, state, found, width, p):
        real, squares = block[0].dtype.type, found[0]
        _, rows, span, begin = stored
        variances = variances_of(state), rows, span, begin
        rate = p.lr if adapts else p.step
        numbers = real(rate), real(1.0 / p.root2), real(p.eps)
        if not real(p.factor * p.b) * real(p.lr) > real(0.0):  # without a penalty all stay
            return measure_block(block, squares)
        join_neighbours(squares, width)
        join_neighbours(found[1], width)
        shares = np.empty(squares.size, block[0].dtype)
        if not take_shares(shares, found, width, p.factor * p.b, p.limit):
            shrink_alone(block, variances, found, shares, width, numbers, p)
        return scale_block(block, variances, shares, numbers, squares)

    return shrink


@jitable
def take_shares(shares, found, width, strength, limit):
    """strength/θ of every group, or ALONE; whether none is."""
    squares, weighted, tops, moves = found
    is_all = True
    for low in range(0, shares.size, width):
        # A column of zeros loses nothing; its share 0 also skips 0·inf below.
        size, share = math.sqrt(squares[low]), 0.0
        if size != 0.0:
            mean = strength * weighted[low] / squares[low]
            top = strength * largest(part(tops, low, width))
            move, theta = strength * largest(part(moves, low, width)), size - mean
            is_known = is_root(size, mean, top, shares.itemsize)
            if is_known and is_little(size, top, shares.itemsize) and move <= limit * theta:
                share = strength / theta
            else:
                share, is_all = ALONE, False
        fill(part(shares, low, width), shares.dtype.type(share))
    return is_all


@jitable
def shrink_alone(block, variances, found, shares, width, numbers, p):
    """The groups that are ALONE, those near each other together; their shares are 0 then."""
    squares, weighted, tops, moves = found
    kind, length = shares.dtype.type, block[1] * width
    columns = min(TOGETHER, max(FEWEST, GATHERED // block[1]))
    most, apart = max(1, columns // width) * width, length + GAP
    weights, steps = np.empty(most // width * apart, kind), np.empty(most // width * apart, kind)
    pace = most + GAP
    near = np.empty(pace * TALL, kind), np.empty(pace * TALL, kind)
    low = 0
    while low < shares.size:
        if not shares[low] < kind(0.0):
            low += width
            continue
        count = after_last_alone(part(shares, low, min(most, shares.size - low)), width)
        alone, here = part(shares, low, count), columns_at(block, low)
        gather(here, columns_at(variances, low), alone, width, near, weights, steps, numbers)
        for j in range(0, count, width):
            if alone[j] < kind(0.0):
                at, squared, weight = j // width * apart, squares[low + j], weighted[low + j]
                top = np.float64(largest(part(tops, low + j, width)))
                moments = squared, weight, top, np.float64(largest(part(moves, low + j, width)))
                shrink_in_metric(part(weights, at, length), part(steps, at, length), p, moments)
        bring_back(here, alone, width, near[0], weights)
        for j in range(count):
            alone[j] = max(alone[j], kind(0.0))
        low += count


@jitable
def after_last_alone(shares, width):
    """Where the last group ends that is ALONE."""
    end = 0
    for j in range(0, shares.size, width):
        if shares[j] < shares.dtype.type(0.0):
            end = j + width
    return end


@jitable
def gather(block, variances, shares, width, near, weights, steps, numbers):
    """The groups of some columns that are ALONE, each into one stretch, with their steps."""
    rows, apart, count = block[1], block[1] * width + GAP, shares.size
    near_weights, near_steps = near
    pace = near_steps.size // TALL
    for low in range(0, rows, TALL):
        tall = min(TALL, rows - low)
        for r in range(tall):
            copy(line(block, low + r, 0, count), part(near_weights, r * pace, count))
            take_steps(
                line(variances, low + r, 0, count), part(near_steps, r * pace, count), numbers
            )
        for j in range(0, count, width):
            if shares[j] < shares.dtype.type(0.0):
                at = j // width * apart + low * width
                turn(near_weights, pace, j, width, part(weights, at, tall * width))
                turn(near_steps, pace, j, width, part(steps, at, tall * width))


@jitable
def bring_back(block, shares, width, near, weights):
    """The gathered groups to where they were."""
    rows, apart, count = block[1], block[1] * width + GAP, shares.size
    pace = near.size // TALL
    for low in range(0, rows, TALL):
        tall = min(TALL, rows - low)
        for r in range(tall):
            copy(line(block, low + r, 0, count), part(near, r * pace, count))
        for j in range(0, count, width):
            if shares[j] < shares.dtype.type(0.0):
                at = j // width * apart + low * width
                turn_back(part(weights, at, tall * width), near, pace, j, width)
        for r in range(tall):
            copy(part(near, r * pace, count), line(block, low + r, 0, count))


@jitable
def take_steps(variances, steps, numbers):
    scale, root, eps = numbers
    for j in range(steps.size):
        steps[j] = scale / (math.sqrt(variances[j]) * root + eps)


@jitable
def turn(near, pace, j, width, group):
    """What is near of one group, which begins at the j-th column, in one stretch."""
    if width == 1:
        for r in range(group.size):
            group[r] = near[r * pace + j]
        return
    for r in range(group.size // width):
        copy(part(near, r * pace + j, width), part(group, r * width, width))


@jitable
def turn_back(group, near, pace, j, width):
    if width == 1:
        for r in range(group.size):
            near[r * pace + j] = group[r]
        return
    for r in range(group.size // width):
        copy(part(group, r * width, width), part(near, r * pace + j, width))


@jitable
def scale_block(block, variances, shares, numbers, squares):
    """zθ/(θ + c) where c is little; the sums."""
    some, rows, size = np.zeros(shares.size, shares.dtype), block[1], shares.size
    measured = 0.0, 0.0, 0.0
    fill(squares, 0.0)
    for r in range(rows):
        w, v = line(block, r, 0, size), line(variances, r, 0, size)
        measured = together(measured, scale_row(w, v, shares, numbers, some))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(some, squares)
    return measured


@tight
def scale_row(w, variances, shares, numbers, squares):
    scale, root, eps = numbers
    zero = w.dtype.type(0.0)
    measured = nothing_yet(zero)
    for j in range(w.size):
        # The step again, from the state: keeping it would take memory of the size of the block.
        s = scale / (math.sqrt(variances[j]) * root + eps)
        z = w[j]
        z = z - z * little_share(s, shares[j]) if shares[j] > zero else z  # 0·inf is NaN
        w[j] = z
        measured = with_entry(measured, z)
        squares[j] += z * z
    return measured
