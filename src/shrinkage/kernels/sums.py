"""Sums over the entries of one array, and the gradient of a penalty on it, in one pass each.

Sums are taken in the type of the entries within a chunk and in float64 across chunks: exact to
about 1e-8 for any number of them, where a plain float32 sum of 10⁸ entries may be wrong by a fifth.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from shrinkage.kernels import pool
from shrinkage.kernels.compiling import CHUNK, Loop, compiled
from shrinkage.kernels.formulas import Formula
from shrinkage.kernels.loops import measure

Vector = np.ndarray[tuple[int], Any]

PIECE = 1 << 17  # entries: waking threads takes longer than summing these


def absolute_and_squares(w: Vector, threads: int = 1) -> tuple[float, float]:
    """Σ|w| and Σw² of a vector of float32 or float64."""
    pieces = _pieces(len(w))
    found = np.zeros((len(pieces), 2))
    add_up = _summing(str(w.dtype))
    tasks = [partial(add_up, w[here], found[row]) for row, here in enumerate(pieces)]
    pool.run(tasks, min(threads, len(tasks)))
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
    pull = _pulling(formula, str(w.dtype))
    tasks = [partial(pull, out[here], w[here], *constants, scale) for here in _pieces(len(w))]
    pool.run(tasks, min(threads, len(tasks)))


def _pieces(size: int) -> list[slice]:
    return [slice(low, min(low + PIECE, size)) for low in range(0, size, PIECE)]


@cache
def _summing(dtype: str) -> Loop:
    def add_up(w, found):
        for at in range(0, w.size, CHUNK):
            absolute, squares, _ = measure(w[at : min(at + CHUNK, w.size)])
            found[0] += absolute
            found[1] += squares

    return compiled(add_up, dtype)


@cache
def _pulling(formula: Formula, dtype: str) -> Loop:
    gradient = formula.gradient

    def pull(out, w, a, b, scale):
        kind = w.dtype.type
        for i in range(w.size):
            out[i] = kind(scale) * gradient(w[i], kind(a), kind(b))

    return compiled(pull, formula.name, dtype)
