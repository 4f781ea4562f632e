"""Sums down the columns of a block, and where its columns go in a metric.

A block is an array of rows, of which `squares.size` entries from `left` on belong to it; groups may
have `width` neighbours in each row. The mathematics is that of `groups`.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.groups import NEWTON_STEPS
from shrinkage.kernels.loops import nothing_yet, with_entry
from shrinkage.kernels.machine import reciprocal, tight

FLUSH = 32  # rows that are summed in the type of the weights before float64 takes over


@register_jitable
def add_squares(w, squares):
    tight()
    kind = squares.dtype.type
    for j in range(w.size):
        squares[j] += kind(w[j]) * kind(w[j])


@register_jitable
def take_squares(block, left, squares):
    """Σw² of every column in float64 throughout."""
    squares[:] = 0.0
    for r in range(len(block)):
        add_squares(block[r, left : left + squares.size], squares)


@register_jitable
def see_to_extremes(block, left, squares):
    """Σw² once more where squares of float32 may have vanished or overflown."""
    for j in range(squares.size):
        if not (squares[j] > 1e-25 and squares[j] < 1e25):
            take_squares(block, left, squares)
            return


@register_jitable
def flush(some, sums):
    """What was summed over some rows into the sums over all."""
    tight()
    for j in range(sums.size):
        sums[j] += np.float64(some[j])
        some[j] = 0.0


@register_jitable
def add_moments(w, costs, strength, squares, weighted):
    """c ← strength·c, and w² and c·w² to the sums of their columns."""
    tight()
    factor = w.dtype.type(strength)
    for j in range(w.size):
        c = costs[j] * factor
        costs[j] = c
        square = w[j] * w[j]
        squares[j] += square
        weighted[j] += square * c


@register_jitable
def measure_columns(w, squares):
    """Σ|w|, Σw² and zeros of a row, and its squares to those of their columns."""
    tight()
    measured = nothing_yet(w.dtype.type(0.0))
    for j in range(w.size):
        measured = with_entry(measured, w[j])
        squares[j] += w[j] * w[j]
    return measured


@register_jitable
def together(sums, width):
    """Each group's sum in the place of every one of its neighbours."""
    if width > 1:
        for at in range(0, sums.size, width):
            sums[at : at + width] = np.sum(sums[at : at + width])


@register_jitable
def roots(block, costs, squares, weighted, left, width):
    """θ of every group, 0 where it dies."""
    theta, least = np.empty_like(squares), np.empty_like(squares)
    for j in range(theta.size):
        size = math.sqrt(squares[j])
        least[j] = size * 1e-20
        theta[j] = max(size - weighted[j] / max(squares[j], 1e-300), 0.5 * size)
    near = 1e-8 if block.itemsize == 8 else 1e-4
    sums, slopes = np.zeros_like(theta), np.zeros_like(theta)
    for _ in range(NEWTON_STEPS):
        add_up(block, costs, theta.astype(block.dtype), left, sums, slopes)
        together(sums, width)
        together(slopes, width)
        moves = False
        for j in range(theta.size):
            rise = sums[j] * (math.sqrt(sums[j]) - 1.0)
            # Costs so large that S is 0: it dies.
            change = rise / slopes[j] if slopes[j] > 0.0 else -theta[j]
            before = theta[j]
            theta[j] = max(before + change, least[j])
            moves = moves or abs(theta[j] - before) > near * theta[j]
        if not moves:
            break
    for j in range(theta.size):
        theta[j] = 0.0 if theta[j] <= least[j] else theta[j]
    return theta


@register_jitable
def add_up(block, costs, theta, left, sums, slopes):
    """S(θ) and −S′(θ)/2 of every column."""
    some, steep = np.zeros(theta.size, block.dtype), np.zeros(theta.size, block.dtype)
    sums[:] = 0.0
    slopes[:] = 0.0
    for begin in range(0, len(costs), FLUSH):
        some[:] = 0
        steep[:] = 0
        for r in range(begin, min(begin + FLUSH, len(costs))):
            add_row(block[r, left : left + theta.size], costs[r, : theta.size], theta, some, steep)
        for j in range(theta.size):
            sums[j] += np.float64(some[j])
            slopes[j] += np.float64(steep[j])


@register_jitable
def add_row(w, costs, theta, some, steep):
    tight()
    for j in range(w.size):
        part = reciprocal(theta[j] + costs[j])
        term = w[j] * part * w[j] * part
        some[j] += term
        steep[j] += term * part
