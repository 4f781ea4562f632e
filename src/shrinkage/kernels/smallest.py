"""Histograms of what weights are worth, and the cut below a bin, in one pass each.

They serve a target on large layers: torch operations would write several arrays as long as the
weights. An entry is worth ``w²·(a·√v + b)``, which is w²/(2·s·price) where 1/s is linear in Adam's
√v, or the same for all entries. Its bits as float32, read as a whole number, are in the order of
the floats, and the upper ones are its bin.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from shrinkage.kernels import threads
from shrinkage.kernels.intrinsics import CHUNK, bits, memory, next_piece
from shrinkage.kernels.jit import Loop, Work, compile_job, tight
from shrinkage.kernels.records import LIKE, Vector

PIECE = 1 << 19  # entries: each piece has a histogram of its own
TOP, BINS = 17, 1 << 14  # a bin is a float's bits above the TOP lower ones
JOB = np.dtype(
    [
        ("next_piece", np.int64),
        ("weights", np.int64),  # addresses
        ("variances", np.int64),
        ("size", np.int64),
        ("a", np.float64),
        ("b", np.float64),
        ("counts", np.int64),  # int32 for each piece and bin
        ("bin", np.int64),
        ("starts", np.int64),  # int64: where the numbers of each piece go
        ("places", np.int64),  # int64: of the entries in the bin
        ("keys", np.int64),  # int32: their bits
        ("scratch", np.int64),  # int32: CHUNK keys for each piece
    ]
)
JOBS = np.empty(0, JOB)
INT32, INT64 = np.empty(0, np.int32), np.empty(0, np.int64)


class Worth(NamedTuple):
    """A vector of weights with what makes its entries' worth; v is empty where a is 0."""

    w: Vector
    v: Vector
    a: float
    b: float


def count_by_bins(worth: Worth, thread_count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """How many entries each bin has, (pieces, BINS)."""
    counts = np.zeros((-(-len(worth.w) // PIECE), BINS), np.int32)
    _run(compile_count(*_kind(worth)), worth, thread_count, counts=counts.ctypes.data)
    return counts


def cut_below(worth: Worth, bin: int, in_bin: Vector, thread_count: int) -> tuple[Vector, Vector]:
    """Set entries of lower bins to 0 in place; return the places and bits of those in the bin.

    `in_bin` says how many of these each piece has.
    """
    places = np.empty(int(in_bin.sum()), np.int64)
    keys = np.empty(len(places), np.int32)
    starts = np.concatenate([[0], np.cumsum(in_bin)[:-1]]).astype(np.int64)
    addresses = {"bin": bin, "starts": starts.ctypes.data}
    addresses |= {"places": places.ctypes.data, "keys": keys.ctypes.data}
    _run(compile_cut(*_kind(worth)), worth, thread_count, **addresses)
    return places, keys


def _kind(worth: Worth) -> tuple[str, bool]:
    return str(worth.w.dtype), len(worth.v) > 0


def _run(work: Work, worth: Worth, thread_count: int, **fields: int) -> None:
    w, v, a, b = worth
    job = np.zeros(1, JOB)
    job["weights"], job["variances"], job["size"] = w.ctypes.data, v.ctypes.data, len(w)
    job["a"], job["b"] = a, b
    for name, value in fields.items():
        job[name] = value
    pieces = -(-len(w) // PIECE)
    scratch = np.empty((pieces, CHUNK), np.int32)
    job["scratch"] = scratch.ctypes.data
    threads.run(work, job.ctypes.data, min(thread_count, max(pieces, 1)))


def make_keys(has_variances: bool) -> Loop:
    """The loop that writes the bits of w²·(a·√v + b), or of w²·b where there is no v."""

    @tight
    def write_keys(keys, w, v, a, b):
        for i in range(keys.size):
            scale = a * np.sqrt(v[i]) + b if has_variances else b
            # Without a sign, so that NaN is above all numbers.
            keys[i] = bits(np.float32(w[i] * w[i] * scale)) & np.int32(0x7FFFFFFF)

    return write_keys


@tight
def zero_below(w, keys, least):
    """Set to 0 what has a lower key."""
    for i in range(keys.size):
        w[i] = w[i] if keys[i] >= least else type(w[i])(0.0)


@cache
def compile_count(dtype: str, has_variances: bool) -> Work:
    """Compile a loop that counts the entries of each bin."""
    like, write = LIKE[dtype], make_keys(has_variances)

    def count(address):
        job = memory(address, 1, JOBS)[0]
        real = like.dtype.type
        a, b = real(job.a), real(job.b)
        while True:
            piece = next_piece(address)
            low = piece * PIECE
            if low >= job.size:
                return
            counts = memory(job.counts + piece * BINS * 4, BINS, INT32)
            for at in range(low, min(low + PIECE, job.size), CHUNK):
                size, offset = min(CHUNK, job.size - at), at * like.itemsize
                keys = memory(job.scratch + piece * CHUNK * 4, size, INT32)
                v = memory(job.variances + offset, size, like)
                write(keys, memory(job.weights + offset, size, like), v, a, b)
                for i in range(size):
                    counts[keys[i] >> TOP] += 1

    return compile_job(count, "count", dtype, has_variances)


@cache
def compile_cut(dtype: str, has_variances: bool) -> Work:
    """Compile a loop that sets entries below a bin to 0 and collects those in it."""
    like, write = LIKE[dtype], make_keys(has_variances)

    def cut(address):
        job = memory(address, 1, JOBS)[0]
        real = like.dtype.type
        a, b = real(job.a), real(job.b)
        places, found = memory(job.places, 1 << 40, INT64), memory(job.keys, 1 << 40, INT32)
        while True:
            piece = next_piece(address)
            low = piece * PIECE
            if low >= job.size:
                return
            place = memory(job.starts + piece * 8, 1, INT64)[0]
            for at in range(low, min(low + PIECE, job.size), CHUNK):
                size, offset = min(CHUNK, job.size - at), at * like.itemsize
                keys = memory(job.scratch + piece * CHUNK * 4, size, INT32)
                w, v = (
                    memory(job.weights + offset, size, like),
                    memory(job.variances + offset, size, like),
                )
                write(keys, w, v, a, b)
                zero_below(w, keys, np.int32(job.bin << TOP))
                for i in range(size):
                    if keys[i] >> TOP == job.bin:
                        places[place], found[place] = at + i, keys[i]
                        place += 1

    return compile_job(cut, "cut", dtype, has_variances)
