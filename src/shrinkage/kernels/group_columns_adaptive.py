"""The prox of a block of columns in a metric, from moments that the update has summed.

Where costs c are small and no weight moves too far, one more pass computes each step again from the
state and shrinks by `small_loss`. Other groups are gathered into contiguous memory and shrunk as
rows (`group_rows`).
"""

from __future__ import annotations

import math

import numpy as np

from shrinkage.kernels.column_sums import (
    FLUSH,
    columns_at,
    flush,
    join_neighbours,
    measure_block,
    row_part,
)
from shrinkage.kernels.group_root import largest, locate_root, small_loss
from shrinkage.kernels.group_rows import shrink_in_metric
from shrinkage.kernels.intrinsics import copy, fill, part
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.kind import Kind, Update
from shrinkage.kernels.reductions import add_entry, join_sums, no_entries

MAX_COLUMNS, MIN_COLUMNS = 64, 8  # columns from which groups are gathered at once
GATHERED = 1 << 20  # entries at most that are gathered at once, if that is MIN_COLUMNS or more
TALL = 64  # rows that are copied into the buffer at once
GAP = 16  # entries between gathered groups, so that they do not map to the same cache set
TO_GATHER = -1.0  # a share that marks a group to be gathered


def make_adaptive_shrinkage(kind: Kind) -> Loop:
    """The function that shrinks a block, returns its sums, and writes Σw² of its columns."""
    makes_step, has_amsgrad = kind.update.makes_step, kind.update is Update.AMSGRAD

    @jitable
    def variances_of(state):
        if has_amsgrad:
            return state[2]
        return state[1] if makes_step else state[0]

    @jitable
    def shrink(block, stored, state, column_sums, width, p):
        real, squares = block[0].dtype.type, column_sums[0]
        _, rows, span, begin = stored
        variances = variances_of(state), rows, span, begin
        numbers = real(p.lr), real(1.0 / p.root2), real(p.eps)
        if not real(p.factor * p.b) * real(p.lr) > real(0.0):  # nothing shrinks without a penalty
            return measure_block(block, squares)
        join_neighbours(squares, width)
        join_neighbours(column_sums[1], width)
        shares = np.empty(squares.size, block[0].dtype)
        if not compute_shares(shares, column_sums, width, p.factor * p.b, p.limit):
            shrink_gathered(block, variances, column_sums, shares, width, numbers, p)
        return scale_block(block, variances, shares, numbers, squares)

    return shrink


@jitable
def compute_shares(shares, column_sums, width, strength, limit):
    """Write strength/θ of every group, or TO_GATHER; return whether none is to be gathered."""
    squares, weighted, max_steps, max_moves = column_sums
    none_to_gather = True
    for low in range(0, shares.size, width):
        # A column of zeros loses nothing; with its share 0, `scale_row` skips 0·inf.
        share = 0.0
        if squares[low] != 0.0:
            max_step = largest(part(max_steps, low, width))
            max_move = largest(part(max_moves, low, width))
            moments = squares[low], weighted[low], max_step, max_move
            size, mean, _, is_slight = locate_root(moments, strength, limit, shares.itemsize)
            share = strength / (size - mean) if is_slight else TO_GATHER
            none_to_gather = none_to_gather and is_slight
        fill(part(shares, low, width), shares.dtype.type(share))
    return none_to_gather


@jitable
def shrink_gathered(block, variances, column_sums, shares, width, numbers, p):
    """Shrink the groups marked TO_GATHER, neighbouring ones together; set their shares to 0."""
    squares, weighted, max_steps, max_moves = column_sums
    kind, length = shares.dtype.type, block[1] * width
    target = min(MAX_COLUMNS, max(MIN_COLUMNS, GATHERED // block[1]))
    most, pitch = max(1, target // width) * width, length + GAP
    weights, steps = np.empty(most // width * pitch, kind), np.empty(most // width * pitch, kind)
    buffer_pitch = most + GAP
    buffer = np.empty(buffer_pitch * TALL, kind), np.empty(buffer_pitch * TALL, kind)
    low = 0
    while low < shares.size:
        if not shares[low] < kind(0.0):
            low += width
            continue
        count = end_of_last_gathered(part(shares, low, min(most, shares.size - low)), width)
        marks, columns = part(shares, low, count), columns_at(block, low)
        v = columns_at(variances, low)
        gather(columns, v, marks, width, buffer, weights, steps, numbers)
        for j in range(0, count, width):
            if marks[j] < kind(0.0):
                at, first = j // width * pitch, low + j
                max_step = np.float64(largest(part(max_steps, first, width)))
                max_move = np.float64(largest(part(max_moves, first, width)))
                moments = squares[first], weighted[first], max_step, max_move
                shrink_in_metric(part(weights, at, length), part(steps, at, length), p, moments)
        put_back(columns, marks, width, buffer[0], weights)
        for j in range(count):
            marks[j] = max(marks[j], kind(0.0))
        low += count


@jitable
def end_of_last_gathered(shares, width):
    """The end of the last group that is marked TO_GATHER."""
    end = 0
    for j in range(0, shares.size, width):
        if shares[j] < shares.dtype.type(0.0):
            end = j + width
    return end


@jitable
def gather(block, variances, shares, width, buffer, weights, steps, numbers):
    """Copy the groups marked TO_GATHER, and their steps, each into contiguous memory."""
    rows, pitch, count = block[1], block[1] * width + GAP, shares.size
    weight_buffer, step_buffer = buffer
    buffer_pitch = step_buffer.size // TALL
    for low in range(0, rows, TALL):
        tall = min(TALL, rows - low)
        for r in range(tall):
            copy(row_part(block, low + r, 0, count), part(weight_buffer, r * buffer_pitch, count))
            compute_steps(
                row_part(variances, low + r, 0, count),
                part(step_buffer, r * buffer_pitch, count),
                numbers,
            )
        for j in range(0, count, width):
            if shares[j] < shares.dtype.type(0.0):
                at = j // width * pitch + low * width
                copy_group_out(
                    weight_buffer, buffer_pitch, j, width, part(weights, at, tall * width)
                )
                copy_group_out(step_buffer, buffer_pitch, j, width, part(steps, at, tall * width))


@jitable
def put_back(block, shares, width, buffer, weights):
    """Copy the gathered groups back to their columns."""
    rows, pitch, count = block[1], block[1] * width + GAP, shares.size
    buffer_pitch = buffer.size // TALL
    for low in range(0, rows, TALL):
        tall = min(TALL, rows - low)
        for r in range(tall):
            copy(row_part(block, low + r, 0, count), part(buffer, r * buffer_pitch, count))
        for j in range(0, count, width):
            if shares[j] < shares.dtype.type(0.0):
                at = j // width * pitch + low * width
                copy_group_back(part(weights, at, tall * width), buffer, buffer_pitch, j, width)
        for r in range(tall):
            copy(part(buffer, r * buffer_pitch, count), row_part(block, low + r, 0, count))


@jitable
def compute_steps(variances, steps, numbers):
    scale, root, eps = numbers
    for j in range(steps.size):
        steps[j] = scale / (math.sqrt(variances[j]) * root + eps)


@jitable
def copy_group_out(buffer, buffer_pitch, j, width, group):
    """Copy the part of a group in the buffer, which begins at column j, into `group`."""
    if width == 1:
        for r in range(group.size):
            group[r] = buffer[r * buffer_pitch + j]
        return
    for r in range(group.size // width):
        copy(part(buffer, r * buffer_pitch + j, width), part(group, r * width, width))


@jitable
def copy_group_back(group, buffer, buffer_pitch, j, width):
    if width == 1:
        for r in range(group.size):
            buffer[r * buffer_pitch + j] = group[r]
        return
    for r in range(group.size // width):
        copy(part(group, r * width, width), part(buffer, r * buffer_pitch + j, width))


@jitable
def scale_block(block, variances, shares, numbers, squares):
    """Write zθ/(θ + c) for small c; return the sums."""
    partial, rows, size = np.zeros(shares.size, shares.dtype), block[1], shares.size
    measured = 0.0, 0.0, 0.0
    fill(squares, 0.0)
    for r in range(rows):
        w, v = row_part(block, r, 0, size), row_part(variances, r, 0, size)
        measured = join_sums(measured, scale_row(w, v, shares, numbers, partial))
        if r % FLUSH == FLUSH - 1 or r == rows - 1:
            flush(partial, squares)
    return measured


@tight
def scale_row(w, variances, shares, numbers, squares):
    scale, root, eps = numbers
    zero = w.dtype.type(0.0)
    measured = no_entries(zero)
    for j in range(w.size):
        # Compute the step again from the state: storing it would take memory as large as the block.
        s = scale / (math.sqrt(variances[j]) * root + eps)
        z = w[j]
        z = z - z * small_loss(s, shares[j]) if shares[j] > zero else z  # 0·inf is NaN
        w[j] = z
        measured = add_entry(measured, z)
        squares[j] += z * z
    return measured
