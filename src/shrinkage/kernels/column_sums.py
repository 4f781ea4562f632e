"""Sums down the columns of a block, and where its columns go in a metric.

A block is a tuple: the numbers it lies in, how many rows it has, how far these are apart, and where
the first begins. Groups may have `width` neighbours in each row. The mathematics is that of
`groups`.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.formulas import below
from shrinkage.kernels.groups import DEAREST, FAR, NEWTON_STEPS, is_root
from shrinkage.kernels.machine import bits, fill, number, part, reciprocal, tight
from shrinkage.kernels.tallies import nothing_yet, with_entry

FLUSH = 32  # rows that are summed in the type of the weights before float64 takes over


@register_jitable
def line(block, r, low, size):
    """`size` entries of a row of a block, from `low` on."""
    numbers, _, apart, begin = block
    return part(numbers, r * apart + begin + low, size)


@register_jitable
def add_squares(w, squares):
    tight()
    kind = squares.dtype.type
    for j in range(w.size):
        squares[j] += kind(w[j]) * kind(w[j])


@register_jitable
def take_squares(block, squares):
    """Σw² of every column in float64 throughout."""
    fill(squares, 0.0)
    for r in range(block[1]):
        add_squares(line(block, r, 0, squares.size), squares)


@register_jitable
def see_to_extremes(block, squares):
    """Σw² once more where squares of float32 may have vanished or overflown."""
    for j in range(squares.size):
        if not (squares[j] > 1e-25 and squares[j] < 1e25):
            take_squares(block, squares)
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
    """c ← strength·c, and w² and c·w² to the sums of their columns; the largest c."""
    tight()
    factor, top = w.dtype.type(strength), bits(w.dtype.type(0.0))
    most = w.dtype.type(DEAREST)
    for j in range(w.size):
        c = below(costs[j] * factor, most)
        costs[j] = c
        square = w[j] * w[j]
        squares[j] += square
        weighted[j] += square * c
        size = bits(c)
        top = size if size > top else top
    return number(top)


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
def join_neighbours(sums, width):
    """Each group's sum in the place of every one of its neighbours."""
    if width > 1:
        for at in range(0, sums.size, width):
            total = 0.0
            for j in range(at, at + width):
                total += sums[j]
            fill(part(sums, at, width), total)


@register_jitable
def roots(block, costs, squares, weighted, top, width):
    """θ of every group, 0 where it dies; `top` is the largest cost."""
    kind = block[0].dtype.type
    theta, least, are_known = np.empty_like(squares), np.empty_like(squares), True
    for j in range(theta.size):
        size = math.sqrt(squares[j])
        mean = weighted[j] / max(squares[j], 1e-300)
        least[j] = size * 1e-20
        theta[j] = max(size - mean, 0.5 * size)
        are_known = are_known and (size == 0.0 or is_root(size, mean, top, block[0].itemsize))
    near = 1e-8 if block[0].itemsize == 8 else 1e-4
    found, slopes = np.zeros_like(theta), np.zeros_like(theta)
    narrow = np.empty(theta.size, block[0].dtype)
    for _ in range(0 if are_known else NEWTON_STEPS):
        for j in range(theta.size):
            narrow[j] = kind(theta[j])
        add_up(block, costs, narrow, found, slopes)
        join_neighbours(found, width)
        join_neighbours(slopes, width)
        moves = False
        for j in range(theta.size):
            before = theta[j]
            if slopes[j] == math.inf:  # far to the left of the root
                theta[j], moves = before * FAR, True
                continue
            rise = found[j] * (math.sqrt(found[j]) - 1.0)
            # Costs so large that S is 0: it dies.
            change = rise / slopes[j] if slopes[j] > 0.0 else -theta[j]
            theta[j] = max(before + change, least[j])
            moves = moves or abs(theta[j] - before) > near * theta[j]
        if not moves:
            break
    for j in range(theta.size):
        narrow[j] = kind(0.0) if theta[j] <= least[j] else kind(theta[j])
    return narrow


@register_jitable
def add_up(block, costs, theta, found, slopes):
    """S(θ) and −S′(θ)/2 of every column."""
    some, steep = np.zeros(theta.size, theta.dtype), np.zeros(theta.size, theta.dtype)
    fill(found, 0.0)
    fill(slopes, 0.0)
    for r in range(block[1]):
        add_row(line(block, r, 0, theta.size), line(costs, r, 0, theta.size), theta, some, steep)
        if r % FLUSH == FLUSH - 1 or r == block[1] - 1:
            flush(some, found)
            flush(steep, slopes)


@register_jitable
def add_row(w, costs, theta, some, steep):
    tight()
    for j in range(w.size):
        inverse = reciprocal(theta[j] + costs[j])
        term = w[j] * inverse * w[j] * inverse
        some[j] += term
        steep[j] += term * inverse
