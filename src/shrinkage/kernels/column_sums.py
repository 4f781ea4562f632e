"""Sums down the columns of a block.

`benchmarks/step.py`, the rows "group lasso on columns". A block is a tuple ``(numbers, rows, pitch,
begin)``: row r has its first entry at ``numbers[begin + r·pitch]``. A group has `width` neighbours
in each row.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.intrinsics import bits, fill, number, part
from shrinkage.kernels.jit import jitable, tight
from shrinkage.kernels.reductions import add_entry, join_sums, no_entries

FLUSH = 32  # rows that are summed in the type of the weights; longer sums are in float64
BLOCK = 1 << 21  # entries of a block that is copied, if that leaves MIN_WIDTH entries of each row
MIN_WIDTH, MAX_WIDTH = 32, 2048  # entries of a row; fewer would waste parts of cache lines


@jitable
def block_width(rows, width, span, keeps):
    """How many entries of a row a block has: whole groups, about as many in each block."""
    target = min(max(MIN_WIDTH, BLOCK // max(rows, 1)), MAX_WIDTH) if keeps else MAX_WIDTH
    share = -(-span // max(1, span // target))
    unit = width if width > 1 else MIN_WIDTH
    return min(-(-share // unit) * unit, span)


@jitable
def row_part(block, r, low, size):
    """`size` entries of row r of a block, from `low` on."""
    numbers, _, pitch, begin = block
    return part(numbers, r * pitch + begin + low, size)


@tight
def add_squares(w, squares):
    kind = squares.dtype.type
    for j in range(w.size):
        squares[j] += kind(w[j]) * kind(w[j])


@jitable
def sum_squares_exactly(block, squares):
    """Write Σw² of every column, in float64 throughout."""
    fill(squares, 0.0)
    for r in range(block[1]):
        add_squares(row_part(block, r, 0, squares.size), squares)


@jitable
def columns_at(block, low):
    """The part of a block that begins at column `low`."""
    numbers, rows, pitch, begin = block
    return numbers, rows, pitch, begin + low


@jitable
def repair_extreme_sums(block, squares):
    """Sum squares again in float64 where those of float32 may have vanished or overflowed."""
    first, end = squares.size, 0
    for j in range(squares.size):
        if not (squares[j] > 1e-25 and squares[j] < 1e25):
            first, end = min(first, j), j + 1
    if first < end:
        sum_squares_exactly(columns_at(block, first), part(squares, first, end - first))


@tight
def flush(partial, sums):
    """Add partial sums over a few rows to the sums over all rows, and reset them."""
    for j in range(sums.size):
        sums[j] += np.float64(partial[j])
        partial[j] = 0.0


@tight
def add_moments(w, steps, squares, weighted):
    """Add w² and s·w² of one row to the sums of their columns, with the steps s."""
    for j in range(w.size):
        square = w[j] * w[j]
        squares[j] += square
        weighted[j] += square * steps[j]


@tight
def update_maxima(w, steps, max_steps, max_moves):
    """Raise the largest step s and the largest s·|w| of each column by one row."""
    for j in range(w.size):
        s, move = bits(steps[j]), bits(steps[j] * abs(w[j]))
        max_step, max_move = (
            bits(max_steps[j]),
            bits(max_moves[j]),
        )  # integers, whose maximum is one vector instruction
        max_steps[j] = number(s if s > max_step else max_step)
        max_moves[j] = number(move if move > max_move else max_move)


@jitable
def measure_block(block, squares):
    """Return Σ|w|, Σw² and the zeros of a block; write Σw² of its columns."""
    partial, rows, size = np.zeros(squares.size, block[0].dtype), block[1], squares.size
    measured = 0.0, 0.0, 0.0
    fill(squares, 0.0)
    for r in range(rows):
        measured = join_sums(measured, measure_row(row_part(block, r, 0, size), partial))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(partial, squares)
    return measured


@tight
def measure_row(w, squares):
    """Return the sums of one row, and add its squares to those of the columns."""
    measured = no_entries(w.dtype.type(0.0))
    for j in range(w.size):
        measured = add_entry(measured, w[j])
        squares[j] += w[j] * w[j]
    return measured


@jitable
def join_neighbours(sums, width):
    """Write the sum of each group to all of its entries."""
    if width > 1:
        for at in range(0, sums.size, width):
            total = 0.0
            for j in range(at, at + width):
                total += sums[j]
            fill(part(sums, at, width), total)
