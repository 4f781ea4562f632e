"""Group lasso on columns, and on kernels of a middle axis: a block of columns at a time.

Weights are seen as rows of `span` entries, in which each group has `width` neighbours: width 1 is
the columns of a matrix. A block of columns is updated row by row while sums down its columns are
taken, then shrunk. The mathematics is that of `groups`.
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
from shrinkage.kernels.group_root import pull_at
from shrinkage.kernels.intrinsics import FEW, fill, load, narrow, part, tight, widen
from shrinkage.kernels.jit import Loop, jitable
from shrinkage.kernels.loops import FACTOR, SIGN, STEP, B
from shrinkage.kernels.reductions import DEAD, NORMS, note, nothing_yet, together, with_entry


def by_columns(update: Loop, ask: Loop, shrink: Loop, how: str, metric: bool, half: bool) -> Loop:
    """Update, prox and sums, a block of columns at a time."""
    coupled = how == "coupled"
    step_rows = updating(update, ask, how, metric)

    @jitable
    def run(weights, gradients, first, second, third, row, place, sums):
        low, high, width, span = place
        rows = weights.size // span
        most = block_width(rows, width, span, half)
        wide = np.empty(rows * most if half else 0, first.dtype)
        for begin in range(low, high, most):
            size = min(most, high - begin)
            stored = weights, rows, span, begin
            block = stored
            if half:
                block = wide, rows, most, 0
                for r in range(rows):
                    widen(line(stored, r, 0, size), line(block, r, 0, size))
            squares, weighted = np.zeros(size), np.zeros(size)
            found = squares, weighted, np.zeros(size, first.dtype), np.zeros(size, first.dtype)
            state = first, second, third
            step_rows(block, stored, gradients, state, width, row, found)
            if not coupled:
                see_to_extremes(block, squares)
            measured = shrink(block, stored, state, found, width, row)
            if half:  # rounded once, at the end
                for r in range(rows):
                    narrow(line(block, r, 0, size), line(stored, r, 0, size))
                measured = measure_block(block, squares)
            note(measured, sums)
            see_to_extremes(block, squares)
            join_neighbours(squares, width)
            for j in range(0, size, width):
                sums[NORMS] += math.sqrt(squares[j])
                sums[DEAD] += squares[j] == 0.0

    return run


def updating(update: Loop, ask: Loop, how: str, in_metric: bool) -> Loop:
    """The optimizer's update of a block, with what the prox needs of its columns.

    Which is Σw², and in a metric Σs·w², the largest step s and the largest s·|w|.
    """
    coupled = how == "coupled"

    @jitable
    def step_rows(block, stored, gradients, state, width, row, sums):
        first, second, third = state
        weights, rows, span, begin = stored
        squares, weighted, tops, moves = sums
        size, pulled, steps = squares.size, np.empty(FEW, first.dtype), np.empty(FEW, first.dtype)
        some, more = np.zeros(size, first.dtype), np.zeros(size, first.dtype)
        if coupled:
            pulls = pulls_of(block, size, width, row)
        for r in range(rows):
            for low in range(0, size, FEW):
                count, at = min(FEW, size - low), r * span + begin + low
                ask(weights, gradients, first, second, third, at + span, count)
                w, g, s = (
                    line(block, r, low, count),
                    part(gradients, at, count),
                    part(steps, 0, count),
                )
                near = part(first, at, count), part(second, at, count), part(third, at, count)
                if coupled:
                    pull(g, w, part(pulls, low, count), row[SIGN], pulled)
                    update(w, part(pulled, 0, count), near, (s, s), row)
                else:
                    update(w, g, near, (s, s), row)
                here, there = part(some, low, count), part(more, low, count)
                if in_metric:
                    add_moments(w, s, here, there)
                    raise_tops(w, s, part(tops, low, count), part(moves, low, count))
                elif not coupled:
                    add_squares(w, here)
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(some, squares)
                flush(more, weighted)

    return step_rows


@jitable
def pulls_of(block, size, width, row):
    """Coupled: B/‖w‖ of every column."""
    squares = np.zeros(size)
    take_squares(block, squares)
    join_neighbours(squares, width)
    pulls = np.zeros(size, block[0].dtype)
    for j in range(size):
        pulls[j] = pull_at(math.sqrt(squares[j]), row[FACTOR] * row[B])
    return pulls


@jitable
def pull(gradients, w, pulls, sign, pulled):
    """The gradients with ∂Ω in them, which the update gives `sign` once more."""
    tight()
    turn = w.dtype.type(sign)
    for j in range(w.size):
        pulled[j] = load(gradients, j) + turn * (pulls[j] * w[j])


def shrinking_evenly(how: str) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    if how == "coupled":
        return leave
    return by_step if how == "proximal" else by_amount


@jitable
def leave(block, stored, state, found, width, row):
    return measure_block(block, found[0])


@jitable
def by_step(block, stored, state, found, width, row):
    return shrink_evenly(block, found[0], width, row[FACTOR] * row[STEP] * row[B])


@jitable
def by_amount(block, stored, state, found, width, row):
    return shrink_evenly(block, found[0], width, row[FACTOR] * row[B])


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
        shares[j] = 1.0 if norm <= t else t / norm
    fill(squares, 0.0)
    measured = 0.0, 0.0, 0.0
    for r in range(rows):
        measured = together(measured, lessen(line(block, r, 0, size), shares, some))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(some, squares)
    return measured


@jitable
def lessen(w, shares, squares):
    """w − share·w."""
    tight()
    measured = nothing_yet(w.dtype.type(0.0))
    for j in range(w.size):
        z = w[j] - w[j] * shares[j]
        w[j] = z
        measured = with_entry(measured, z)
        squares[j] += z * z
    return measured
