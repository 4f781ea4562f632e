"""Sums that a pass over weights takes along: of all entries, and the moments of a row.

`benchmarks/step.py`, "statistics() read after each step": the sums are taken in the step itself,
which saves a pass over the weights.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.intrinsics import add, bits, number
from shrinkage.kernels.jit import jitable, tight

ZERO_SUMS = 0.0, 0.0, 0.0  # the sums of no weights, across chunks
ZERO_MOMENTS = 0.0, 0.0, 0.0, 0.0
ZERO_PIECE_SUMS = (*ZERO_SUMS, 0.0, 0.0)  # and of no groups, in the order of `records.SUMS`


@jitable
def no_entries(zero):
    """The sums Σ|w|, Σw² and the count of exact zeros before any weight was added."""
    return zero, zero, bits(zero)  # the count is an integer of the same width: one vector lane


@jitable
def add_entry(measured, w):
    """Add one weight to such sums."""
    absolute, squares, zeros = measured
    # Counted without a branch, so that the loop stays in vectors.
    zeros = type(zeros)(zeros + type(zeros)(w == type(w)(0.0)))
    return add(absolute, abs(w)), add(squares, w * w), zeros


@jitable
def add_entry_ignoring_step(measured, w, s):
    return add_entry(measured, w)


@jitable
def join_sums(first, second):
    """Add two such sums in float64."""
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


@jitable
def add_chunk(sums, measured):
    """Add the sums of a chunk without groups to those of a piece."""
    absolute, squares, zeros, norms, dead = sums
    return absolute + measured[0], squares + measured[1], zeros + measured[2], norms, dead


@jitable
def add_group(sums, measured, norm, is_dead):
    """Add the sums of one group to those of a piece."""
    absolute, squares, zeros, norms, dead = sums
    absolute, squares, zeros = join_sums((absolute, squares, zeros), measured)
    return absolute, squares, zeros, norms + norm, dead + is_dead


@tight
def measure(weights):
    """Σ|w|, Σw² and the count of exact zeros."""
    measured = no_entries(weights.dtype.type(0.0))
    for i in range(weights.size):
        measured = add_entry(measured, weights[i])
    return measured


@jitable
def no_moments(zero):
    """Σw², Σs·w², the bits of the largest step s and of the largest s·|w|, before any weight."""
    return zero, zero, bits(zero), bits(zero)


@jitable
def add_moments_of_entry(moments, w, s):
    """Add one weight w with its step s to such moments."""
    squares, weighted, max_step, max_move = moments
    square, step, move = w * w, bits(s), bits(s * abs(w))
    max_step = step if step > max_step else max_step
    max_move = move if move > max_move else max_move
    return add(squares, square), add(weighted, s * square), max_step, max_move


@jitable
def join_moments(first, second):
    """Join the moments of two parts of a row, in float64."""
    max_step, max_move = np.float64(number(second[2])), np.float64(number(second[3]))
    return (
        first[0] + second[0],
        first[1] + second[1],
        first[2] if max_step < first[2] else max_step,
        first[3] if max_move < first[3] else max_move,
    )
