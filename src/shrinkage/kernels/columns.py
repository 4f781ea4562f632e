"""Group lasso on columns, and on kernels of a middle axis: blocks of columns that fit the cache.

Weights are seen as rows of `span` entries, in which each group has `width` neighbours: width 1 is
the columns of a matrix. A block of columns is updated row by row while sums down its columns are
taken, then shrunk from what the second cache still holds. The mathematics is that of `groups`.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.groups import NEWTON_STEPS
from shrinkage.kernels.loops import FACTOR, LIMIT, LR, STEP, B

BLOCK = 1 << 17  # entries of a block, if its rows are long enough for it
LEAST = 32  # neighbours: fewer are a waste of what memory brings at a time


@register_jitable
def block_width(rows, width, span):
    """How many neighbours of a row are taken together: whole groups."""
    groups = max(1, max(LEAST, BLOCK // max(rows, 1)) // width)
    return min(groups * width, span)


def shrink_columns(how: str, in_metric: bool) -> Loop:
    """The prox of B·‖w‖ on each group of a block (rows, neighbours)."""
    if in_metric:
        return shrink_in_metric
    return shrink_by_step if how == "proximal" else shrink_by_amount


@register_jitable
def shrink_by_step(weights, steps, squares, low, width, row):
    shrink_evenly(weights, squares, low, width, row[FACTOR] * row[STEP] * row[B])


@register_jitable
def shrink_by_amount(weights, steps, squares, low, width, row):
    shrink_evenly(weights, squares, low, width, row[FACTOR] * row[B])


@register_jitable
def shrink_evenly(weights, squares, low, width, t):
    """w·max(1 − t/‖w‖, 0)."""
    if not t > 0.0:
        return
    together(squares, width)
    kept = np.empty(squares.size, weights.dtype)
    for j in range(squares.size):
        size = math.sqrt(squares[j])
        kept[j] = 0.0 if size <= t else 1.0 - t / size
    for r in range(len(weights) - 1, -1, -1):  # what was touched last is nearest
        w = weights[r, low : low + squares.size]
        for j in range(w.size):
            w[j] = w[j] * kept[j] if kept[j] != 0.0 else w.dtype.type(0.0)


@register_jitable
def together(sums, width):
    """Each group's sum in the place of every one of its neighbours."""
    if width > 1:
        for at in range(0, sums.size, width):
            sums[at : at + width] = np.sum(sums[at : at + width])


@register_jitable
def shrink_in_metric(weights, steps, squares, low, width, row):
    kind = weights.dtype.type
    strength, limit = kind(row[FACTOR] * row[B]), kind(row[LIMIT])
    if not strength * kind(row[LR]) > kind(0.0):
        return
    mean = np.zeros_like(squares)
    for r in range(len(weights)):
        w, c = weights[r, low : low + squares.size], steps[r]
        for j in range(w.size):
            c[j] = c[j] * strength
            mean[j] += np.float64(c[j]) * np.float64(w[j]) * np.float64(w[j])
    together(squares, width)
    together(mean, width)
    theta = roots(weights, steps, squares, mean, low, width)
    move_towards(weights, steps, theta, low, width, limit)


@register_jitable
def roots(weights, costs, squares, mean, low, width):
    """θ of every group, 0 where it dies."""
    theta, least = np.empty_like(squares), np.empty_like(squares)
    for j in range(theta.size):
        size = math.sqrt(squares[j])
        least[j] = size * 1e-20
        theta[j] = max(size - mean[j] / max(squares[j], 1e-300), 0.5 * size)
    near = 1e-8 if weights.itemsize == 8 else 1e-4
    at, sums, slopes = costs[0] * 0, np.zeros_like(theta), np.zeros_like(theta)
    for _ in range(NEWTON_STEPS):
        at[:] = theta
        sums[:] = 0
        slopes[:] = 0
        for r in range(len(weights)):
            w, c = weights[r, low : low + theta.size], costs[r]
            for j in range(w.size):
                part = w.dtype.type(1.0) / (at[j] + c[j])
                term = w[j] * part * w[j] * part
                sums[j] += np.float64(term)
                slopes[j] += np.float64(term * part)
        together(sums, width)
        together(slopes, width)
        moves = False
        for j in range(theta.size):
            rise = sums[j] * (math.sqrt(sums[j]) - 1.0)
            change = rise / slopes[j] if slopes[j] > 0.0 else 0.0
            before = theta[j]
            theta[j] = max(before + change, least[j])
            moves = moves or abs(theta[j] - before) > near * theta[j]
        if not moves:
            break
    for j in range(theta.size):
        theta[j] = 0.0 if theta[j] <= least[j] else theta[j]
    return theta


@register_jitable
def move_towards(weights, costs, theta, low, width, limit):
    """The groups at θ, or as far towards it as no entry moves by more than `limit`."""
    zero, one = weights.dtype.type(0.0), weights.dtype.type(1.0)
    at, farthest = costs[0] * 0, costs[0] * 0
    at[:] = theta
    for r in range(len(weights)):
        w, c = weights[r, low : low + theta.size], costs[r]
        for j in range(w.size):
            c[j] = w[j] * c[j] / (at[j] + c[j])  # what an entry loses
            size = abs(c[j])
            farthest[j] = size if size > farthest[j] else farthest[j]
    for j in range(0, theta.size, width):
        farthest[j : j + width] = np.max(farthest[j : j + width])
    dies = (at == zero) & (farthest <= limit)
    share = farthest
    for j in range(theta.size):
        share[j] = limit / farthest[j] if farthest[j] > limit else one
    for r in range(len(weights) - 1, -1, -1):
        w, c = weights[r, low : low + theta.size], costs[r]
        for j in range(w.size):
            w[j] = zero if dies[j] else w[j] - c[j] * share[j]
