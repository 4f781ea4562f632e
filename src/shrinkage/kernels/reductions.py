"""What a pass over weights finds beside: their sums, and the moments of a row in a metric.

`benchmarks/step.py`, "statistics() read after each step": the sums are taken in the step itself,
which saves a pass over the weights.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.intrinsics import add, bits, number
from shrinkage.kernels.jit import jitable, tight

NOTHING = 0.0, 0.0, 0.0  # the sums of no weights, across chunks
NO_MOMENTS = 0.0, 0.0, 0.0, 0.0
NO_SUMS = 0.0, 0.0, 0.0, 0.0, 0.0  # and with those of groups, in the order of `records.SUMS`


@jitable
def nothing_yet(zero):
    """Σ|w|, Σw² and the count of exact zeros, of no weights."""
    return zero, zero, bits(zero)  # the count is an integer of the same width: one vector lane


@jitable
def with_entry(measured, w):
    """The same with one weight more."""
    absolute, squares, zeros = measured
    # Counted without a branch, so that the loop stays in vectors.
    zeros = type(zeros)(zeros + type(zeros)(w == type(w)(0.0)))
    return add(absolute, abs(w)), add(squares, w * w), zeros


@jitable
def with_weight(measured, w, s):
    return with_entry(measured, w)


@jitable
def together(one, other):
    """Two such sums as one, in float64."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


@jitable
def with_chunk(sums, measured):
    """The sums of a piece with those of a chunk without groups."""
    absolute, squares, zeros, norms, dead = sums
    return absolute + measured[0], squares + measured[1], zeros + measured[2], norms, dead


@jitable
def with_group(sums, measured, norm, is_dead):
    """The sums of a piece with those of one group."""
    absolute, squares, zeros, norms, dead = sums
    absolute, squares, zeros = together((absolute, squares, zeros), measured)
    return absolute, squares, zeros, norms + norm, dead + is_dead


@jitable
def both(sums, others):
    """The sums of two parts of a piece."""
    absolute, squares, zeros = together(sums, others)
    return absolute, squares, zeros, sums[3] + others[3], sums[4] + others[4]


@tight
def measure(weights):
    """Σ|w|, Σw² and the count of exact zeros."""
    measured = nothing_yet(weights.dtype.type(0.0))
    for i in range(weights.size):
        measured = with_entry(measured, weights[i])
    return measured


@jitable
def no_moments(zero):
    """Σw², Σsw² and the bits of the largest step s and of the largest s·|w|, of no weights."""
    return zero, zero, bits(zero), bits(zero)


@jitable
def with_moments(moments, w, s):
    """The same with one weight more."""
    squares, weighted, top, farthest = moments
    square, size, move = w * w, bits(s), bits(s * abs(w))
    top = size if size > top else top
    farthest = move if move > farthest else farthest
    return add(squares, square), add(weighted, s * square), top, farthest


@jitable
def join_moments(one, other):
    """Moments of two parts of a row as one, in float64."""
    top, farthest = np.float64(number(other[2])), np.float64(number(other[3]))
    return (
        one[0] + other[0],
        one[1] + other[1],
        one[2] if top < one[2] else top,
        one[3] if farthest < one[3] else farthest,
    )
