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
    measure_columns,
    roots,
    see_to_extremes,
    take_squares,
    together,
)
from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.groups import largest, pull_at
from shrinkage.kernels.loops import (
    DEAD,
    FACTOR,
    LIMIT,
    LR,
    NORMS,
    SIGN,
    STEP,
    B,
    note,
)
from shrinkage.kernels.loops import together as join
from shrinkage.kernels.machine import AHEAD, FEW, load, narrow, reciprocal, tight, widen

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
        costs = np.empty((rows if in_metric else 1, most), first.dtype)
        wide = np.empty((rows if half else 1, most), first.dtype)
        for begin in range(low, high, most):
            size = min(most, high - begin)
            if half:
                block, left = wide, 0
                for r in range(rows):
                    widen(weights[r * span + begin : r * span + begin + size], wide[r, :size])
            else:
                block, left = weights.reshape((rows, span)), begin
            squares, weighted = np.zeros(size), np.zeros(size)
            here = begin, left, span, width
            tensors = weights, gradients, first, second, third
            step_rows(block, costs, tensors, here, row, squares, weighted)
            if not coupled:
                see_to_extremes(block, left, squares)
            share = shares(block, costs, squares, weighted, left, width, row)
            measured = finish(block, costs, weights, here, share, row, squares)
            note(measured, sums)
            see_to_extremes(block, left, squares)
            together(squares, width)
            for j in range(0, size, width):
                sums[NORMS] += math.sqrt(squares[j])
                sums[DEAD] += squares[j] == 0.0

    return run


def updating(update: Loop, ask: Loop, how: str, in_metric: bool) -> Loop:
    """The optimizer's update of a block, with the sums down its columns that the prox needs."""
    coupled = how == "coupled"

    @register_jitable
    def step_rows(block, costs, tensors, here, row, squares, weighted):
        weights, gradients, first, second, third = tensors
        begin, left, span, width = here
        rows, size = len(block), squares.size
        some, more = np.zeros(size, block.dtype), np.zeros(size, block.dtype)
        pulled = np.empty(FEW, block.dtype)
        if coupled:
            pulls = pulls_of(block, left, size, width, row)
        for r in range(rows):
            for low in range(0, size, FEW):
                count, at = min(FEW, size - low), r * span + begin + low
                onward = 0 if low + AHEAD < size else span - size  # to the next row
                ask(weights, gradients, first, second, third, at + AHEAD + onward, FEW)
                now, there = slice(at, at + count), slice(low, low + count)
                w = block[r, left + low : left + low + count]
                c = costs[r if in_metric else 0, there]
                g, m, v, most = gradients[now], first[now], second[now], third[now]
                if coupled:
                    pull(g, w, pulls[there], row[SIGN], pulled)
                    update(w, pulled[:count], m, v, most, c, row)
                else:
                    update(w, g, m, v, most, c, row)
                if in_metric:
                    add_moments(w, c, row[FACTOR] * row[B], some[there], more[there])
                elif not coupled:
                    add_squares(w, some[there])
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(some, squares)
                flush(more, weighted)

    return step_rows


def finishing(how: str, in_metric: bool, half: bool) -> Loop:
    """What columns lose, the sums over entries, and the squares of columns."""
    coupled = how == "coupled"

    @register_jitable
    def finish(block, costs, weights, here, share, row, squares):
        begin, left, span, width = here
        rows, size = len(block), squares.size
        limit = block.dtype.type(row[LIMIT])
        some, farthest = np.zeros(size, block.dtype), np.zeros(size, block.dtype)
        if in_metric:
            for r in range(rows):
                move(block[r, left : left + size], costs[r, :size], share, farthest)
            if largest(farthest) > limit:
                shares_within(limit, farthest, width)
                for r in range(rows):
                    move_back(block[r, left : left + size], costs[r, :size], farthest)
        squares[:] = 0.0
        measured = 0.0, 0.0, 0.0
        for r in range(rows):
            w = block[r, left : left + size]
            if not (in_metric or coupled):
                lessen(w, share)
            if half:
                narrow(w, weights[r * span + begin : r * span + begin + size])
            measured = join(measured, measure_columns(w, some))
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(some, squares)
        return measured

    return finish


@register_jitable
def pulls_of(block, left, size, width, row):
    """Coupled: B/‖w‖ of every column."""
    squares = np.zeros(size)
    take_squares(block, left, squares)
    together(squares, width)
    pulls = np.zeros(size, block.dtype)
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
        return none
    return shares_by_step if how == "proximal" else shares_by_amount


@register_jitable
def none(block, costs, squares, weighted, left, width, row):
    return np.zeros(squares.size, block.dtype)


@register_jitable
def shares_by_step(block, costs, squares, weighted, left, width, row):
    return even_shares(squares, width, row[FACTOR] * row[STEP] * row[B], block.dtype)


@register_jitable
def shares_by_amount(block, costs, squares, weighted, left, width, row):
    return even_shares(squares, width, row[FACTOR] * row[B], block.dtype)


@register_jitable
def even_shares(squares, width, t, dtype):
    """w·max(1 − t/‖w‖, 0): min(t/‖w‖, 1)."""
    shares = np.zeros(squares.size, dtype)
    if t > 0.0:
        together(squares, width)
        for j in range(squares.size):
            size = math.sqrt(squares[j])
            shares[j] = 1.0 if size <= t else t / size
    return shares


@register_jitable
def thetas(block, costs, squares, weighted, left, width, row):
    """θ of every column, 0 where it dies; without a penalty at all costs are 0, and θ is 1."""
    kind = block.dtype.type
    if not kind(row[FACTOR] * row[B]) * kind(row[LR]) > kind(0.0):
        costs[:] = kind(0.0)
        return np.ones(squares.size, block.dtype)
    together(squares, width)
    together(weighted, width)
    return roots(block, costs, squares, weighted, left, width).astype(block.dtype)


@register_jitable
def move(w, costs, theta, farthest):
    """zθ/(θ + c), and z where c was; the farthest that an entry of each column moves."""
    tight()
    for j in range(w.size):
        z, c = w[j], costs[j]
        loss = z * (c * reciprocal(theta[j] + c))
        loss = z if theta[j] == w.dtype.type(0.0) else loss
        costs[j] = z
        w[j] = z - loss
        farthest[j] = abs(loss) if abs(loss) > farthest[j] else farthest[j]


@register_jitable
def shares_within(limit, farthest, width):
    """What share of their way groups go, in the place of how far entries went."""
    if width > 1:
        for j in range(0, farthest.size, width):
            farthest[j : j + width] = np.max(farthest[j : j + width])
    for j in range(farthest.size):
        farthest[j] = limit / farthest[j] if farthest[j] > limit else 1.0


@register_jitable
def move_back(w, before, share):
    """That share of the way alone, and no other where it is 1."""
    tight()
    for j in range(w.size):
        back = before[j] - (before[j] - w[j]) * share[j]
        w[j] = w[j] if share[j] == w.dtype.type(1.0) else back
