"""Sums down the columns of a block.

A block is a tuple: the numbers it lies in, how many rows it has, how far these are apart, and where
the first begins. Groups may have `width` neighbours in each row.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.intrinsics import bits, fill, number, part
from shrinkage.kernels.jit import jitable, tight
from shrinkage.kernels.reductions import nothing_yet, together, with_entry

FLUSH = 32  # rows that are summed in the type of the weights before float64 takes over
BLOCK = 1 << 21  # entries of a block of which a copy is kept, if its rows are long enough for it
LEAST, MOST = 32, 2048  # neighbours: fewer waste what memory brings at a time


@jitable
def block_width(rows, width, span, keeps):
    """How many neighbours of a row are taken together: whole groups, as many in each block."""
    wanted = min(max(LEAST, BLOCK // max(rows, 1)), MOST) if keeps else MOST
    share = -(-span // max(1, span // wanted))
    unit = width if width > 1 else LEAST
    return min(-(-share // unit) * unit, span)


@jitable
def line(block, r, low, size):
    """`size` entries of a row of a block, from `low` on."""
    numbers, _, apart, begin = block
    return part(numbers, r * apart + begin + low, size)


@tight
def add_squares(w, squares):
    kind = squares.dtype.type
    for j in range(w.size):
        squares[j] += kind(w[j]) * kind(w[j])


@jitable
def take_squares(block, squares):
    """Σw² of every column in float64 throughout."""
    fill(squares, 0.0)
    for r in range(block[1]):
        add_squares(line(block, r, 0, squares.size), squares)


@jitable
def columns_at(block, low):
    """The block from that column on."""
    numbers, rows, apart, begin = block
    return numbers, rows, apart, begin + low


@jitable
def see_to_extremes(block, squares):
    """Σw² once more where squares of float32 may have vanished or overflown."""
    first, end = squares.size, 0
    for j in range(squares.size):
        if not (squares[j] > 1e-25 and squares[j] < 1e25):
            first, end = min(first, j), j + 1
    if first < end:
        take_squares(columns_at(block, first), part(squares, first, end - first))


@tight
def flush(some, sums):
    """What was summed over some rows into the sums over all."""
    for j in range(sums.size):
        sums[j] += np.float64(some[j])
        some[j] = 0.0


@tight
def add_moments(w, steps, squares, weighted):
    """w² and s·w² to the sums of their columns, with the steps s."""
    for j in range(w.size):
        square = w[j] * w[j]
        squares[j] += square
        weighted[j] += square * steps[j]


@tight
def raise_tops(w, steps, tops, moves):
    """The largest steps s of columns, and the largest s·|w|."""
    for j in range(w.size):
        s, move = bits(steps[j]), bits(steps[j] * abs(w[j]))
        top, most = bits(tops[j]), bits(moves[j])  # as integers, for vectors have their maximum
        tops[j] = number(s if s > top else top)
        moves[j] = number(move if move > most else most)


@jitable
def measure_block(block, squares):
    """Σ|w|, Σw² and zeros of a block, and the squares of its columns."""
    some, rows, size = np.zeros(squares.size, block[0].dtype), block[1], squares.size
    measured = 0.0, 0.0, 0.0
    fill(squares, 0.0)
    for r in range(rows):
        measured = together(measured, measure_row(line(block, r, 0, size), some))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(some, squares)
    return measured


@tight
def measure_row(w, squares):
    """The sums of a row, and its squares to those of their columns."""
    measured = nothing_yet(w.dtype.type(0.0))
    for j in range(w.size):
        measured = with_entry(measured, w[j])
        squares[j] += w[j] * w[j]
    return measured


@jitable
def join_neighbours(sums, width):
    """Each group's sum in the place of every one of its neighbours."""
    if width > 1:
        for at in range(0, sums.size, width):
            total = 0.0
            for j in range(at, at + width):
                total += sums[j]
            fill(part(sums, at, width), total)
