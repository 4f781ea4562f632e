"""The prox of a block of columns in a metric, after the update, which took the moments it needs.

Where costs are little and no weight moves too far, each step is found again from the state, in one
more pass. Other groups are gathered, and shrunk as rows are.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.column_sums import FLUSH, flush, join_neighbours, line, measure_block
from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.groups import is_little, is_root, largest, little_share
from shrinkage.kernels.loops import EPS, FACTOR, LIMIT, LR, ROOT, STEP, B
from shrinkage.kernels.machine import bits, fill, part, tight
from shrinkage.kernels.rows import shrink_in_metric
from shrinkage.kernels.tallies import nothing_yet, together, with_entry

TILE = 16  # neighbours that are gathered together: what memory brings at a time
GAP = 16  # entries between gathered groups, so that they do not compete for one place in a cache
ALONE = -1.0  # in place of a share: to be gathered


def shrinking_in_metric(update: str, variant: bool) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    adapts, at_amsgrad = update == "adam", update == "adam" and variant
    rate = LR if adapts else STEP

    @register_jitable
    def variances_of(state):
        if at_amsgrad:
            return state[2]
        return state[1] if adapts else state[0]

    @register_jitable
    def shrink(block, stored, state, found, width, row):
        kind, squares = block[0].dtype.type, found[0]
        _, rows, span, begin = stored
        variances = variances_of(state), rows, span, begin
        numbers = kind(row[rate]), kind(1.0 / row[ROOT]), kind(row[EPS])
        if not kind(row[FACTOR] * row[B]) * kind(row[LR]) > kind(0.0):  # without a penalty all stay
            return measure_block(block, squares)
        join_neighbours(squares, width)
        join_neighbours(found[1], width)
        shares = np.empty(squares.size, block[0].dtype)
        if not take_shares(shares, found, width, row[FACTOR] * row[B], row[LIMIT]):
            shrink_alone(block, variances, found, shares, width, numbers, row)
        return lessen_block(block, variances, shares, numbers, squares)

    return shrink


@register_jitable
def take_shares(shares, found, width, strength, limit):
    """strength/θ of every group, or ALONE; whether none is."""
    squares, weighted, tops, moves = found
    is_all = True
    for low in range(0, shares.size, width):
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


@register_jitable
def shrink_alone(block, variances, found, shares, width, numbers, row):
    """The groups that are to be gathered, whose shares are 0 then."""
    squares, weighted, tops, _ = found
    rows, kind = block[1], shares.dtype.type
    unit, apart = max(1, TILE // width) * width, rows * width + GAP
    weights, steps = np.empty(unit // width * apart, kind), np.empty(unit // width * apart, kind)
    near = np.empty(unit, kind)
    for low in range(0, shares.size, unit):
        count = min(unit, shares.size - low)
        here = part(shares, low, count)
        if not least(here) < kind(0.0):
            continue
        for r in range(rows):
            w, s = line(block, r, low, count), part(near, 0, count)
            take_steps(line(variances, r, low, count), s, numbers)
            gather(w, weights, r * width, apart, width, here)
            gather(s, steps, r * width, apart, width, here)
        for j in range(0, count, width):
            if here[j] < kind(0.0):
                at, top = j // width * apart, largest(part(tops, low + j, width))
                moments = squares[low + j], weighted[low + j], bits(kind(top))
                w, s = part(weights, at, rows * width), part(steps, at, rows * width)
                shrink_in_metric(w, s, row, moments)
        for r in range(rows):
            bring_back(line(block, r, low, count), weights, r * width, apart, width, here)
        for j in range(count):
            here[j] = max(here[j], kind(0.0))


@register_jitable
def least(numbers):
    number = numbers[0]
    for j in range(numbers.size):
        number = min(number, numbers[j])
    return number


@register_jitable
def take_steps(variances, steps, numbers):
    tight()
    scale, root, eps = numbers
    for j in range(steps.size):
        steps[j] = scale / (math.sqrt(variances[j]) * root + eps)


@register_jitable
def gather(row, groups, at, apart, width, shares):
    """The entries of a row to those of their groups that are to be ALONE."""
    for j in range(0, row.size, width):
        if shares[j] < shares.dtype.type(0.0):
            for k in range(width):
                groups[j // width * apart + at + k] = row[j + k]


@register_jitable
def bring_back(row, groups, at, apart, width, shares):
    for j in range(0, row.size, width):
        if shares[j] < shares.dtype.type(0.0):
            for k in range(width):
                row[j + k] = groups[j // width * apart + at + k]


@register_jitable
def lessen_block(block, variances, shares, numbers, squares):
    """zθ/(θ + c) where c is little; the sums."""
    some, rows, size = np.zeros(shares.size, shares.dtype), block[1], shares.size
    measured = 0.0, 0.0, 0.0
    fill(squares, 0.0)
    for r in range(rows):
        w, v = line(block, r, 0, size), line(variances, r, 0, size)
        measured = together(measured, lessen(w, v, shares, numbers, some))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(some, squares)
    return measured


@register_jitable
def lessen(w, variances, shares, numbers, squares):
    tight()
    scale, root, eps = numbers
    measured = nothing_yet(w.dtype.type(0.0))
    for j in range(w.size):
        s = scale / (math.sqrt(variances[j]) * root + eps)
        z = w[j] - w[j] * little_share(s, shares[j])
        w[j] = z
        measured = with_entry(measured, z)
        squares[j] += z * z
    return measured
