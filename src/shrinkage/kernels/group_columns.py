"""Group lasso on columns, and on kernels of a middle axis: a block of columns at a time.

`benchmarks/step.py`, the rows "group lasso on columns". Weights are rows of `span` entries, in
which each group has `width` neighbours; width 1 is the columns of a matrix. A block of columns is
updated row by row, which also sums down its columns, and is then shrunk. The mathematics stands in
`group_root`.
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
    measure_block,
    repair_extreme_sums,
    row_part,
    sum_squares_exactly,
    update_maxima,
)
from shrinkage.kernels.group_columns_adaptive import make_adaptive_shrinkage
from shrinkage.kernels.group_root import choose_threshold, decay_rate
from shrinkage.kernels.intrinsics import CHUNK, fill, load, part, round_to, widen
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.kind import How, Kind
from shrinkage.kernels.reductions import (
    ZERO_PIECE_SUMS,
    ZERO_SUMS,
    add_chunk,
    add_entry,
    add_group,
    join_sums,
    no_entries,
)
from shrinkage.kernels.updates import make_update


def make_column_loop(kind: Kind) -> Loop:
    """Update, shrink and sum a block of columns at a time."""
    is_coupled, half = kind.how == How.COUPLED, kind.is_half
    step_rows, in_metric = make_block_update(kind), kind.has_adaptive_prox
    shrink = make_adaptive_shrinkage(kind) if in_metric else make_even_shrinkage(kind.how)

    @jitable
    def run(weights, gradients, state, p, piece):
        width, span = p.width, p.span
        # A parameter is rows × span; a group is `width` neighbouring columns of all its rows.
        rows, like = weights.size // span, state[0]
        most = block_width(rows, width, span, half)
        wide = np.empty(rows * most if half else 0, like.dtype)
        sums = ZERO_PIECE_SUMS
        for begin in range(piece.low, piece.high, most):
            size = min(most, piece.high - begin)
            stored = weights, rows, span, begin
            block = stored
            if half:
                block = wide, rows, most, 0
                for r in range(rows):
                    widen(row_part(stored, r, 0, size), row_part(block, r, 0, size))
            # Sums of a column in float64: those of float32 lose digits after some thousand rows.
            squares, weighted = np.zeros(size), np.zeros(size)
            column_sums = squares, weighted, np.zeros(size, like.dtype), np.zeros(size, like.dtype)
            step_rows(block, stored, gradients, state, width, p, column_sums)
            if not is_coupled:
                repair_extreme_sums(block, squares)
            measured = shrink(block, stored, state, column_sums, width, p)
            if half:  # round to bfloat16 once, at the end
                for r in range(rows):
                    round_to(row_part(stored, r, 0, size), row_part(block, r, 0, size))
                measured = measure_block(block, squares)
            sums = add_chunk(sums, measured)
            repair_extreme_sums(block, squares)
            join_neighbours(squares, width)
            for j in range(0, size, width):
                sums = add_group(sums, ZERO_SUMS, math.sqrt(squares[j]), squares[j] == 0.0)
        return sums

    return run


def make_block_update(kind: Kind) -> Loop:
    """The optimizer's update of a block, with the sums over columns that the prox needs.

    These are Σw², and in a metric also Σs·w², the largest step s and the largest s·|w|.
    """
    is_coupled, in_metric = kind.how == How.COUPLED, kind.has_adaptive_prox
    update = make_update(kind)

    @jitable
    def step_rows(block, stored, gradients, state, width, p, sums):
        first, second, third = state
        _, rows, span, begin = stored
        squares, weighted, max_steps, max_moves = sums
        size = squares.size
        total_gradient, steps = np.empty(CHUNK, first.dtype), np.empty(CHUNK, first.dtype)
        partial, weighted_partial = np.zeros(size, first.dtype), np.zeros(size, first.dtype)
        shares = np.empty(0, first.dtype)
        if is_coupled:
            # ∂(B·‖w‖) = B·w/‖w‖: a weight decay of B/‖w‖ for each column.
            shares = compute_decays(block, size, width, p)
        for r in range(rows):
            for low in range(0, size, CHUNK):
                count, at = min(CHUNK, size - low), r * span + begin + low
                w, g = row_part(block, r, low, count), part(gradients, at, count)
                s = part(steps, 0, count)
                nearby = part(first, at, count), part(second, at, count), part(third, at, count)
                if is_coupled:
                    join_gradient(g, w, part(shares, low, count), p.sign, total_gradient)
                    update(w, part(total_gradient, 0, count), nearby, (s, s), p, p.decay)
                else:
                    update(w, g, nearby, (s, s), p, p.decay)
                sums_of_w = part(partial, low, count)
                if in_metric:
                    add_moments(w, s, sums_of_w, part(weighted_partial, low, count))
                    update_maxima(w, s, part(max_steps, low, count), part(max_moves, low, count))
                elif not is_coupled:
                    add_squares(w, sums_of_w)
            # Sums over a few rows are in the type of the weights, in vectors; long ones in float64.
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(partial, squares)
                flush(weighted_partial, weighted)

    return step_rows


@jitable
def compute_decays(block, size, width, p):
    """The weight decay B/‖w‖ of every column, for a coupled penalty."""
    squares = np.zeros(size)
    sum_squares_exactly(block, squares)
    join_neighbours(squares, width)
    shares = np.zeros(size, block[0].dtype)
    for j in range(size):
        shares[j] = decay_rate(math.sqrt(squares[j]), p.factor * p.b)
    return shares


@tight
def join_gradient(gradients, w, shares, sign, total_gradient):
    """Add ∂Ω to the gradients; sign·sign = 1, since the update multiplies by `sign` again."""
    direction = w.dtype.type(sign)
    for j in range(w.size):
        total_gradient[j] = load(gradients, j) + direction * (shares[j] * w[j])


def make_even_shrinkage(how: How) -> Loop:
    """The function that shrinks the columns of a block by a number t.

    It returns the sums of the block, and writes Σw² of its columns.
    """
    threshold = choose_threshold(how)

    @jitable
    def shrink(block, stored, state, column_sums, width, p):
        """w·max(1 − t/‖w‖, 0), where each column loses the share min(t/‖w‖, 1)."""
        t, squares = threshold(p), column_sums[0]
        if not t > 0.0:
            return measure_block(block, squares)
        size, rows = squares.size, block[1]
        shares, partial = np.empty(size, block[0].dtype), np.zeros(size, block[0].dtype)
        join_neighbours(squares, width)
        for j in range(size):
            norm = math.sqrt(squares[j])
            # A column whose norm is at most t becomes 0.
            shares[j] = 1.0 if norm <= t else t / norm
        fill(squares, 0.0)
        measured = 0.0, 0.0, 0.0
        for r in range(rows):
            measured = join_sums(measured, scale_row(row_part(block, r, 0, size), shares, partial))
            if r % FLUSH == FLUSH - 1 or r == rows - 1:
                flush(partial, squares)
        return measured

    return shrink


@tight
def scale_row(w, shares, squares):
    """Write w − share·w of one row; return its sums and add its squares to the columns."""
    measured = no_entries(w.dtype.type(0.0))
    for j in range(w.size):
        z = w[j] - w[j] * shares[j]
        w[j] = z
        measured = add_entry(measured, z)
        squares[j] += z * z
    return measured
