"""Group lasso on columns, and on kernels of a middle axis: a block of columns at a time.

Weights are seen as rows of `span` entries, in which each group has `width` neighbours: width 1 is
the columns of a matrix. A block of columns is updated row by row while sums down its columns are
taken, then shrunk. The mathematics is that of `groups`.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.column_sums import (
    FLUSH,
    add_moments,
    add_squares,
    flush,
    join_neighbours,
    line,
    measure_columns,
    roots,
    see_to_extremes,
    take_squares,
)
from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.groups import largest, pull_at
from shrinkage.kernels.loops import FACTOR, LIMIT, LR, SIGN, STEP, B
from shrinkage.kernels.machine import (
    AHEAD,
    FEW,
    fill,
    load,
    narrow,
    part,
    reciprocal,
    tight,
    widen,
)
from shrinkage.kernels.tallies import DEAD, NORMS, note, together

BLOCK = 1 << 21  # entries of a block of which a copy is kept, if its rows are long enough for it
LEAST, MOST = 32, 2048  # neighbours: fewer waste what memory brings at a time


@register_jitable
def block_width(rows, width, span, keeps):
    """How many neighbours of a row are taken together: whole groups, as many in each block."""
    wanted = min(max(LEAST, BLOCK // max(rows, 1)), MOST) if keeps else MOST
    share = -(-span // max(1, span // wanted))
    unit = width if width > 1 else LEAST
    return min(-(-share // unit) * unit, span)


def by_columns(update: Loop, ask: Loop, how: str, in_metric: bool, half: bool) -> Loop:
    """Update, prox and sums, a block of columns at a time."""
    coupled = how == "coupled"
    step_rows = updating(update, ask, how, in_metric)
    shares, finish = shares_of(how, in_metric), finishing(how, in_metric, half)

    @register_jitable
    def run(weights, gradients, first, second, third, row, place, sums):
        low, high, width, span = place
        rows = weights.size // span
        most = block_width(rows, width, span, in_metric or half)
        kept = np.empty(rows * most if in_metric else most, first.dtype)
        wide = np.empty(rows * most if half else 0, first.dtype)
        for begin in range(low, high, most):
            size = min(most, high - begin)
            stored, costs = (weights, rows, span, begin), (kept, rows, most, 0)
            if half:
                block = wide, rows, most, 0
                for r in range(rows):
                    widen(line(stored, r, 0, size), line(block, r, 0, size))
            else:
                block = stored
            squares, weighted = np.zeros(size), np.zeros(size)
            found, others = (squares, weighted), (gradients, first, second, third)
            top = step_rows(block, costs, stored, others, width, row, found)
            if not coupled:
                see_to_extremes(block, squares)
            share = shares(block, costs, found, top, width, row)
            note(finish(block, costs, stored, share, width, row, squares), sums)
            see_to_extremes(block, squares)
            join_neighbours(squares, width)
            for j in range(0, size, width):
                sums[NORMS] += math.sqrt(squares[j])
                sums[DEAD] += squares[j] == 0.0

    return run


def updating(update: Loop, ask: Loop, how: str, in_metric: bool) -> Loop:
    """The optimizer's update of a block, with the sums down its columns that the prox needs.

    Returns the largest cost.
    """
    coupled = how == "coupled"

    @register_jitable
    def step_rows(block, costs, stored, others, width, row, sums):
        gradients, first, second, third = others
        weights, rows, span, begin = stored
        squares, weighted = sums
        size, pulled = squares.size, np.empty(FEW, first.dtype)
        top = first.dtype.type(0.0)
        some, more = np.zeros(size, first.dtype), np.zeros(size, first.dtype)
        if coupled:
            pulls = pulls_of(block, size, width, row)
        for r in range(rows):
            for low in range(0, size, FEW):
                count, at = min(FEW, size - low), r * span + begin + low
                onward = 0 if low + AHEAD < size else span - size  # to the next row
                ask(weights, gradients, first, second, third, at + AHEAD + onward, FEW)
                w, c = line(block, r, low, count), line(costs, r if in_metric else 0, low, count)
                g, m = part(gradients, at, count), part(first, at, count)
                v, most = part(second, at, count), part(third, at, count)
                if coupled:
                    pull(g, w, part(pulls, low, count), row[SIGN], pulled)
                    update(w, part(pulled, 0, count), m, v, most, c, row)
                else:
                    update(w, g, m, v, most, c, row)
                if in_metric:
                    here, there = part(some, low, count), part(more, low, count)
                    top = max(top, add_moments(w, c, row[FACTOR] * row[B], here, there))
                elif not coupled:
                    add_squares(w, part(some, low, count))
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(some, squares)
                flush(more, weighted)
        return top

    return step_rows


def finishing(how: str, in_metric: bool, half: bool) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    coupled = how == "coupled"

    @register_jitable
    def finish(block, costs, stored, share, width, row, squares):
        size, rows = squares.size, block[1]
        some, farthest = np.zeros(size, share.dtype), np.zeros(size, share.dtype)
        limit, is_far = share.dtype.type(row[LIMIT]), False
        measured = 0.0, 0.0, 0.0
        for turn in range(2):
            moves = in_metric and turn == 0
            fill(squares, 0.0)
            for r in range(rows):
                w, c = line(block, r, 0, size), line(costs, r if in_metric else 0, 0, size)
                if moves:
                    move(w, c, share, farthest)
                elif is_far:
                    move_back(w, c, farthest)
                elif not (in_metric or coupled):
                    lessen(w, share)
                if half and not moves:  # rounded once, at the end
                    narrow(w, line(stored, r, 0, size))
                measured = together(measured, measure_columns(w, some))
                if r % FLUSH == FLUSH - 1 or r == rows - 1:
                    flush(some, squares)
            is_far = moves and largest(farthest) > limit
            if not (is_far or (moves and half)):
                break
            measured = 0.0, 0.0, 0.0
            if is_far:
                shares_within(limit, farthest, width)
        return measured

    return finish


@register_jitable
def pulls_of(block, size, width, row):
    """Coupled: B/‖w‖ of every column."""
    squares = np.zeros(size)
    take_squares(block, squares)
    join_neighbours(squares, width)
    pulls = np.zeros(size, block[0].dtype)
    for j in range(size):
        pulls[j] = pull_at(math.sqrt(squares[j]), row[FACTOR] * row[B])
    return pulls


@register_jitable
def pull(gradients, w, pulls, sign, pulled):
    """The gradients with ∂Ω in them, which the update gives `sign` once more."""
    tight()
    turn = w.dtype.type(sign)
    for j in range(w.size):
        pulled[j] = load(gradients, j) + turn * (pulls[j] * w[j])


@register_jitable
def lessen(w, share):
    """w − share·w."""
    tight()
    for j in range(w.size):
        w[j] = w[j] - w[j] * share[j]


def shares_of(how: str, in_metric: bool) -> Loop:
    """What share of itself each column loses; in a metric, its θ."""
    if in_metric:
        return thetas
    if how == "coupled":
        return no_shares
    return shares_by_step if how == "proximal" else shares_by_amount


@register_jitable
def no_shares(block, costs, sums, top, width, row):
    return np.zeros(sums[0].size, block[0].dtype)


@register_jitable
def shares_by_step(block, costs, sums, top, width, row):
    return even_shares(sums[0], width, row[FACTOR] * row[STEP] * row[B], block[0].dtype)


@register_jitable
def shares_by_amount(block, costs, sums, top, width, row):
    return even_shares(sums[0], width, row[FACTOR] * row[B], block[0].dtype)


@register_jitable
def even_shares(squares, width, t, dtype):
    """w·max(1 − t/‖w‖, 0): min(t/‖w‖, 1)."""
    shares = np.zeros(squares.size, dtype)
    if t > 0.0:
        join_neighbours(squares, width)
        for j in range(squares.size):
            size = math.sqrt(squares[j])
            shares[j] = 1.0 if size <= t else t / size
    return shares


@register_jitable
def thetas(block, costs, sums, top, width, row):
    """θ of every column, 0 where it dies; without a penalty all costs become 0, and θ is 1."""
    kind = block[0].dtype.type
    if not kind(row[FACTOR] * row[B]) * kind(row[LR]) > kind(0.0):
        fill(costs[0], kind(0.0))
        return np.ones(sums[0].size, block[0].dtype)
    squares, weighted = sums
    join_neighbours(squares, width)
    join_neighbours(weighted, width)
    return roots(block, costs, squares, weighted, top, width)


@register_jitable
def move(w, costs, theta, farthest):
    """zθ/(θ + c), and z where c was; the farthest that an entry of each column moves."""
    tight()
    zero = w.dtype.type(0.0)
    for j in range(w.size):
        z, c = w[j], costs[j]
        loss = z * (c * reciprocal(theta[j] + c))
        loss = zero if c == zero else loss  # also of what is infinite
        loss = z if theta[j] == zero else loss
        costs[j] = z
        w[j] = z - loss
        farthest[j] = abs(loss) if abs(loss) > farthest[j] else farthest[j]


@register_jitable
def shares_within(limit, farthest, width):
    """What share of their way groups go, in the place of how far entries went."""
    if width > 1:
        for j in range(0, farthest.size, width):
            neighbours = part(farthest, j, width)
            fill(neighbours, largest(neighbours))
    for j in range(farthest.size):
        farthest[j] = limit / farthest[j] if farthest[j] > limit else 1.0


@register_jitable
def move_back(w, before, share):
    """That share of the way alone, and no other where it is 1."""
    tight()
    for j in range(w.size):
        back = before[j] - (before[j] - w[j]) * share[j]
        w[j] = w[j] if share[j] == w.dtype.type(1.0) else back
