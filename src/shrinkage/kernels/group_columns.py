"""Group lasso across rows: on columns, and on kernels of a middle axis.

`benchmarks/step.py`, "group lasso on columns": in torch operations such a step takes seven times as
long under SGD, and eleven times under Adam.

Weights are seen as rows of `span` entries, in which each group has `width` neighbours: width 1 is
the columns of a matrix. A strip of neighbouring groups is copied so that each lies in one stretch,
with its gradient and state, stepped as rows are, and copied back.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.group_rows import over_rows
from shrinkage.kernels.how import Kind
from shrinkage.kernels.intrinsics import copy, part
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.reductions import NO_SUMS, both

STRIP = 1 << 15  # entries of a strip, if they are enough columns: with the state, half a second cache
NARROW, WIDE = 16, 64  # neighbours: 64 bytes is what memory brings at a time, more is no faster
TALL = 32  # rows that are turned at a time
GAP = 16  # entries between groups, so that they do not compete for one place in a cache


@jitable
def strip_groups(rows, width, span):
    """How many neighbouring groups are copied together."""
    neighbours = min(max(STRIP // max(rows, 1), NARROW), WIDE, span)
    return max(neighbours // width, 1)


def by_columns(kind: Kind) -> Loop:
    """Update, prox and sums, a strip at a time."""
    step_rows, count = over_rows(kind), kind.update.state_count
    has_gradient = kind.update.is_own

    @jitable
    def run(weights, gradients, state, p, piece):
        width, span = p.width, p.span
        rows = p.size // span
        length = rows * width
        pitch, most = length + GAP, strip_groups(rows, width, span)
        like = state[0]
        w, g = np.empty(pitch * most, weights.dtype), np.empty(pitch * most, weights.dtype)
        # Of state that this update has not, nothing is read: one entry will do.
        first = np.empty(pitch * most if count > 0 else 1, like.dtype)
        second = np.empty(pitch * most if count > 1 else 1, like.dtype)
        third = np.empty(pitch * most if count > 2 else 1, like.dtype)
        tile = TALL * most * width
        near, near_half = np.empty(tile, like.dtype), np.empty(tile, weights.dtype)
        sums = NO_SUMS
        for low in range(piece.low, piece.high, most * width):
            groups = min(most, (piece.high - low) // width)
            place = groups, rows, width, span, low, pitch
            take_strip(weights, w, near_half, place)
            if has_gradient:
                take_strip(gradients, g, near_half, place)
            if count > 0:
                take_strip(state[0], first, near, place)
            if count > 1:
                take_strip(state[1], second, near, place)
            if count > 2:
                take_strip(state[2], third, near, place)
            found = step_rows(
                part(w, 0, groups * pitch), g, (first, second, third), p, length, pitch
            )
            sums = both(sums, found)
            bring_strip(w, weights, near_half, place)
            if has_gradient:
                if count > 0:
                    bring_strip(first, state[0], near, place)
                if count > 1:
                    bring_strip(second, state[1], near, place)
                if count > 2:
                    bring_strip(third, state[2], near, place)
        return sums

    return run


@jitable
def take_strip(numbers, strip, near, place):
    """Some groups from where they are, each into one stretch of the strip.

    A few rows at a time: their lines are read as vectors, many of them on their way at once, and
    what is turned lies in the first cache.
    """
    groups, rows, width, span, low, pitch = place
    size = groups * width
    for begin in range(0, rows, TALL):
        tall = min(TALL, rows - begin)
        for r in range(tall):
            copy(part(numbers, (begin + r) * span + low, size), part(near, r * size, size))
        for j in range(groups):
            turn(near, j * width, size, part(strip, j * pitch + begin * width, tall * width), width)


@jitable
def bring_strip(strip, numbers, near, place):
    """The same groups back."""
    groups, rows, width, span, low, pitch = place
    size = groups * width
    for begin in range(0, rows, TALL):
        tall = min(TALL, rows - begin)
        for j in range(groups):
            group = part(strip, j * pitch + begin * width, tall * width)
            turn_back(group, near, j * width, size, width)
        for r in range(tall):
            copy(part(near, r * size, size), part(numbers, (begin + r) * span + low, size))


@tight
def turn(near, at, size, group, width):
    """A group's entries in some rows of `size` entries, of which the first is at `at`."""
    if width == 1:  # columns: known steps of 1 and `size` are twice as fast
        for r in range(group.size):
            group[r] = near[r * size + at]
        return
    for r in range(group.size // width):
        for k in range(width):
            group[r * width + k] = near[r * size + at + k]


@tight
def turn_back(group, near, at, size, width):
    if width == 1:
        for r in range(group.size):
            near[r * size + at] = group[r]
        return
    for r in range(group.size // width):
        for k in range(width):
            near[r * size + at + k] = group[r * width + k]
