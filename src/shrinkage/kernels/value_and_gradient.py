"""Sums over the entries of one array, and the gradient of a penalty on it, in one pass each.

They serve ``how="loss"`` on large weights, where torch allocates one array for |w|, one for its
sign and one for the gradient. Sums are taken in the type of the entries within a chunk and in
float64 across chunks. They are exact to about 1e-8 for any number of entries, where a plain float32
sum of 10⁸ entries may be wrong by a fifth.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from shrinkage.kernels import threads
from shrinkage.kernels.intrinsics import CHUNK, memory, next_piece, part
from shrinkage.kernels.jit import Work, compile_job
from shrinkage.kernels.records import LIKE, Vector
from shrinkage.kernels.reductions import measure
from shrinkage.kernels.register_forms import ScalarForm

PIECE = 1 << 17  # entries: waking threads takes longer than summing these
ARRAY = np.dtype(
    [
        ("next_piece", np.int64),  # the next piece
        ("weights", np.int64),  # addresses, and how many entries there are
        ("out", np.int64),  # of the gradient, or of Σ|w| and Σw² of each piece
        ("size", np.int64),
        ("a", np.float64),
        ("b", np.float64),
        ("scale", np.float64),
    ]
)
ARRAYS = np.empty(0, ARRAY)


def absolute_and_squares(w: Vector, thread_count: int = 1) -> tuple[float, float]:
    """Σ|w| and Σw² of a vector of float32 or float64."""
    sums = np.zeros((count_pieces(w), 2))
    run(compile_sums(str(w.dtype)), w, sums, (0.0, 0.0, 0.0), thread_count)
    absolute, squares = sums.sum(axis=0).tolist()
    return absolute, squares


def gradient_into(
    out: Vector,
    w: Vector,
    form: ScalarForm,
    constants: tuple[float, float],
    scale: float,
    thread_count: int,
) -> None:
    """out ← scale·∂Ω(w) for a vector of float32 or float64."""
    run(compile_gradient(form, str(w.dtype)), w, out, (*constants, scale), thread_count)


def count_pieces(w: Vector) -> int:
    return -(-len(w) // PIECE)


def run(
    work: Work,
    w: Vector,
    out: np.ndarray[Any, Any],
    numbers: tuple[float, float, float],
    thread_count: int,
) -> None:
    """Run a compiled loop over all pieces of w."""
    job = np.array([(0, w.ctypes.data, out.ctypes.data, len(w), *numbers)], ARRAY)
    threads.run(work, job.ctypes.data, min(thread_count, max(count_pieces(w), 1)))


@cache
def compile_sums(dtype: str) -> Work:
    """Compile a loop that writes Σ|w| and Σw² of each piece to `out`."""
    like, double = LIKE[dtype], LIKE["float64"]

    def sum_up(address):
        job = memory(address, 1, ARRAYS)[0]
        w = memory(job.weights, job.size, like)
        while True:
            low = next_piece(address) * PIECE
            if low >= w.size:
                return
            high, total, squares = min(low + PIECE, w.size), 0.0, 0.0
            for at in range(low, high, CHUNK):
                measured = measure(part(w, at, min(CHUNK, high - at)))
                total += measured[0]
                squares += measured[1]
            sums = memory(job.out + low // PIECE * 16, 2, double)  # 16 bytes a piece
            sums[0], sums[1] = total, squares

    return compile_job(sum_up, dtype)


@cache
def compile_gradient(form: ScalarForm, dtype: str) -> Work:
    """Compile a loop that writes scale·∂Ω of each entry."""
    gradient, like = form.gradient, LIKE[dtype]

    def differentiate(address):
        job = memory(address, 1, ARRAYS)[0]
        real = like.dtype.type
        a, b, scale = real(job.a), real(job.b), real(job.scale)
        while True:
            low = next_piece(address) * PIECE
            if low >= job.size:
                return
            size, at = min(PIECE, job.size - low), low * like.itemsize
            w, out = memory(job.weights + at, size, like), memory(job.out + at, size, like)
            for i in range(size):
                out[i] = scale * gradient(w[i], a, b)

    return compile_job(differentiate, form.name, dtype)
