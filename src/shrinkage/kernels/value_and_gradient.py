"""Sums over the entries of one array, and the gradient of a penalty on it, in one pass each.

Sums are taken in the type of the entries within a chunk and in float64 across chunks: exact to
about 1e-8 for any number of them, where a plain float32 sum of 10⁸ entries may be wrong by a fifth.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray

from shrinkage.kernels import threads as pool
from shrinkage.kernels.formulas import Formula
from shrinkage.kernels.intrinsics import CHUNK, memory, take
from shrinkage.kernels.jit import Work, compiled
from shrinkage.kernels.launch import LIKE, Vector
from shrinkage.kernels.reductions import measure

PIECE = 1 << 17  # entries: waking threads takes longer than summing these
SUMS, NUMBERS = 2, 3  # of a piece; of a gradient
WIDE = LIKE["float64"]


def absolute_and_squares(w: Vector, threads: int = 1) -> tuple[float, float]:
    """Σ|w| and Σw² of a vector of float32 or float64."""
    count = -(-len(w) // PIECE)
    found = np.zeros((count, SUMS))
    job = np.array([0, count, w.ctypes.data, len(w), found.ctypes.data])
    pool.run(_summing(str(w.dtype)), job.ctypes.data, min(threads, max(count, 1)))
    absolute, squares = found.sum(axis=0).tolist()
    return absolute, squares


def gradient_into(
    out: Vector,
    w: Vector,
    formula: Formula,
    constants: tuple[float, float],
    scale: float,
    threads: int,
) -> None:
    """out ← scale·∂Ω(w) for a vector of float32 or float64."""
    count = -(-len(w) // PIECE)
    numbers = np.array([*constants, scale])
    job = np.array([0, count, w.ctypes.data, len(w), out.ctypes.data, numbers.ctypes.data])
    pool.run(_pulling(formula, str(w.dtype)), job.ctypes.data, min(threads, max(count, 1)))


@cache
def _summing(dtype: str) -> Work:
    like = LIKE[dtype]

    def add_up(address):
        job = carray(address, 5)
        w = memory(job[2], job[3], like)
        found = memory(job[4], (job[1], SUMS), WIDE)
        while True:
            piece = take(job)
            if piece >= job[1]:
                return
            end = min((piece + 1) * PIECE, w.size)
            for at in range(piece * PIECE, end, CHUNK):
                absolute, squares, _ = measure(w[at : min(at + CHUNK, end)])
                found[piece, 0] += absolute
                found[piece, 1] += squares

    return compiled(add_up, dtype)


@cache
def _pulling(formula: Formula, dtype: str) -> Work:
    gradient, like = formula.gradient, LIKE[dtype]

    def pull(address):
        job = carray(address, 6)
        kind = like.dtype.type
        numbers = memory(job[5], NUMBERS, WIDE)
        a, b, scale = kind(numbers[0]), kind(numbers[1]), kind(numbers[2])
        while True:
            piece = take(job)
            if piece >= job[1]:
                return
            low, high = piece * PIECE, min((piece + 1) * PIECE, job[3])
            w = memory(job[2], job[3], like)[low:high]
            out = memory(job[4], job[3], like)[low:high]
            for i in range(w.size):
                out[i] = scale * gradient(w[i], a, b)

    return compiled(pull, formula.name, dtype)
