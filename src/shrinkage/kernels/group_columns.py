"""Group lasso on columns, and on kernels of a middle axis: a block of columns at a time.

Weights are seen as rows of `span` entries, in which each group has `width` neighbours: width 1 is
the columns of a matrix. A block of columns is updated row by row while sums down its columns are
taken, then shrunk. The mathematics is that of `group_root`.
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.column_sums import (
    FLUSH,
    add_moments,
    add_squares,
    block_width,
    flush,
    join_neighbours,
    line,
    measure_block,
    raise_tops,
    see_to_extremes,
    take_squares,
)
from shrinkage.kernels.group_columns_adaptive import shrinking_in_metric
from shrinkage.kernels.group_root import pull_at
from shrinkage.kernels.how import How, Kind
from shrinkage.kernels.intrinsics import CHUNK, fill, load, part, round_to, widen
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.loops import update_of
from shrinkage.kernels.reductions import (
    NO_SUMS,
    NOTHING,
    nothing_yet,
    together,
    with_chunk,
    with_entry,
    with_group,
)


def by_columns(kind: Kind) -> Loop:
    """Update, prox and sums, a block of columns at a time."""
    is_coupled, half = kind.how == How.COUPLED, kind.is_half
    step_rows = updating(kind)
    shrink = shrinking_in_metric(kind) if kind.is_in_metric else shrinking_evenly(kind.how)

    @jitable
    def run(weights, gradients, state, p, piece):
        width, span = p.width, p.span
        # A parameter is rows × span; a group is `width` neighbouring columns of all its rows.
        rows, like = weights.size // span, state[0]
        most = block_width(rows, width, span, half)
        wide = np.empty(rows * most if half else 0, like.dtype)
        sums = NO_SUMS
        for begin in range(piece.low, piece.high, most):
            size = min(most, piece.high - begin)
            stored = weights, rows, span, begin
            block = stored
            if half:
                block = wide, rows, most, 0
                for r in range(rows):
                    widen(line(stored, r, 0, size), line(block, r, 0, size))
            # Sums of a column in float64: those of float32 lose digits after some thousand rows.
            squares, weighted = np.zeros(size), np.zeros(size)
            found = squares, weighted, np.zeros(size, like.dtype), np.zeros(size, like.dtype)
            step_rows(block, stored, gradients, state, width, p, found)
            if not is_coupled:
                see_to_extremes(block, squares)
            measured = shrink(block, stored, state, found, width, p)
            if half:  # rounded once, at the end
                for r in range(rows):
                    round_to(line(stored, r, 0, size), line(block, r, 0, size))
                measured = measure_block(block, squares)
            sums = with_chunk(sums, measured)
            see_to_extremes(block, squares)
            join_neighbours(squares, width)
            for j in range(0, size, width):
                sums = with_group(sums, NOTHING, math.sqrt(squares[j]), squares[j] == 0.0)
        return sums

    return run


def updating(kind: Kind) -> Loop:
    """The optimizer's update of a block, with what the prox needs of its columns.

    Which is Σw², and in a metric Σs·w², the largest step s and the largest s·|w|.
    """
    update, is_coupled, in_metric = update_of(kind), kind.how == How.COUPLED, kind.is_in_metric

    @jitable
    def step_rows(block, stored, gradients, state, width, p, sums):
        first, second, third = state
        _, rows, span, begin = stored
        squares, weighted, tops, moves = sums
        size = squares.size
        joined, steps = np.empty(CHUNK, first.dtype), np.empty(CHUNK, first.dtype)
        some, more = np.zeros(size, first.dtype), np.zeros(size, first.dtype)
        shares = np.empty(0, first.dtype)
        if is_coupled:
            # ∂(B·‖w‖) = B·w/‖w‖: a weight decay of B/‖w‖ for each column.
            shares = decays_of(block, size, width, p)
        for r in range(rows):
            for low in range(0, size, CHUNK):
                count, at = min(CHUNK, size - low), r * span + begin + low
                w, g = line(block, r, low, count), part(gradients, at, count)
                s = part(steps, 0, count)
                near = part(first, at, count), part(second, at, count), part(third, at, count)
                if is_coupled:
                    join_gradient(g, w, part(shares, low, count), p.sign, joined)
                    update(w, part(joined, 0, count), near, (s, s), p, p.decay)
                else:
                    update(w, g, near, (s, s), p, p.decay)
                here, there = part(some, low, count), part(more, low, count)
                if in_metric:
                    add_moments(w, s, here, there)
                    raise_tops(w, s, part(tops, low, count), part(moves, low, count))
                elif not is_coupled:
                    add_squares(w, here)
            # Short sums are in the type of the weights, in vectors; long ones in float64.
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(some, squares)
                flush(more, weighted)

    return step_rows


@jitable
def decays_of(block, size, width, p):
    """Coupled: B/‖w‖ of every column."""
    squares = np.zeros(size)
    take_squares(block, squares)
    join_neighbours(squares, width)
    shares = np.zeros(size, block[0].dtype)
    for j in range(size):
        shares[j] = pull_at(math.sqrt(squares[j]), p.factor * p.b)
    return shares


@tight
def join_gradient(gradients, w, shares, sign, joined):
    """The gradients with ∂Ω in them, which the update gives `sign` once more."""
    turn = w.dtype.type(sign)
    for j in range(w.size):
        joined[j] = load(gradients, j) + turn * (shares[j] * w[j])


def shrinking_evenly(how: How) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    if how == How.COUPLED:
        return leave
    return by_step if how == How.PROXIMAL else by_amount


@jitable
def leave(block, stored, state, found, width, p):
    return measure_block(block, found[0])


@jitable
def by_step(block, stored, state, found, width, p):
    return shrink_evenly(block, found[0], width, p.factor * p.step * p.b)


@jitable
def by_amount(block, stored, state, found, width, p):
    return shrink_evenly(block, found[0], width, p.factor * p.b)


@jitable
def shrink_evenly(block, squares, width, t):
    """w·max(1 − t/‖w‖, 0), by the share min(t/‖w‖, 1) that each column loses."""
    if not t > 0.0:
        return measure_block(block, squares)
    size, rows = squares.size, block[1]
    shares, some = np.empty(size, block[0].dtype), np.zeros(size, block[0].dtype)
    join_neighbours(squares, width)
    for j in range(size):
        norm = math.sqrt(squares[j])
        # w·max(1 − t/‖w‖, 0): a column within t of 0 loses all of itself.
        shares[j] = 1.0 if norm <= t else t / norm
    fill(squares, 0.0)
    measured = 0.0, 0.0, 0.0
    for r in range(rows):
        measured = together(measured, scale_row(line(block, r, 0, size), shares, some))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(some, squares)
    return measured


@tight
def scale_row(w, shares, squares):
    """w − share·w."""
    measured = nothing_yet(w.dtype.type(0.0))
    for j in range(w.size):
        z = w[j] - w[j] * shares[j]
        w[j] = z
        measured = with_entry(measured, z)
        squares[j] += z * z
    return measured
