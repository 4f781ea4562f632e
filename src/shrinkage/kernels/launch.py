"""Loops over pieces of parameters, given by the records of a job.

`benchmarks/step.py`, the tables for two threads: a piece is a range of one parameter's entries, and
several threads take pieces in turn (`threads`), so that one huge tensor and many small ones keep
all of them busy.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from shrinkage.kernels.group_columns import by_columns
from shrinkage.kernels.group_rows import by_rows
from shrinkage.kernels.how import Groups, Kind
from shrinkage.kernels.intrinsics import CHUNK, memory, next_piece, part
from shrinkage.kernels.jit import Loop, Work, compiled, jitable
from shrinkage.kernels.loops import shrinking, update_of
from shrinkage.kernels.records import DONE, JOBS, LIKE, PARAMETERS, PIECES
from shrinkage.kernels.reductions import NO_SUMS, with_chunk


@cache
def loop(kind: Kind) -> Work:
    """All pieces of a job that no other thread takes."""
    return compiled(through(*runs(kind), kind), kind.text)


def runs(kind: Kind) -> tuple[Loop, bool]:
    """What a piece goes through, and whether that is given the whole parameter."""
    if kind.groups == Groups.COLUMNS:
        return by_columns(kind), True
    if kind.groups == Groups.ROWS:
        return by_rows(kind), False
    return by_chunks(kind), False


def through(run: Loop, takes_whole: bool, kind: Kind) -> Loop:
    """``run(weights, gradients, state, p, piece)`` for each piece, and its sums into the record."""
    stored = LIKE[kind.dtype]
    wide = LIKE["float32" if kind.is_half else kind.dtype]  # of the state, and of what is computed

    def pieces_in_turn(address):
        job = memory(address, 1, JOBS)[0]
        parameters = memory(job.parameters, job.parameter_count, PARAMETERS)
        pieces = memory(job.pieces, job.piece_count, PIECES)
        while True:
            turn = next_piece(address)
            if turn >= pieces.size:
                return
            piece = pieces[turn]
            p = parameters[piece.parameter]
            sums = NO_SUMS
            if p.gradient != 0:
                low = 0 if takes_whole else piece.low
                size = p.size if takes_whole else piece.high - piece.low
                at = low * stored.itemsize, low * wide.itemsize
                state = (
                    memory(p.first + at[1], size, wide),
                    memory(p.second + at[1], size, wide),
                    memory(p.third + at[1], size, wide),
                )
                weights = memory(p.weights + at[0], size, stored)
                gradients = memory(p.gradient + at[0], size, stored)
                sums = run(weights, gradients, state, p, piece)
            # Not added up here while the piece runs: records of two threads are neighbours.
            piece.absolute, piece.squares, piece.zeros, piece.norms, piece.dead = sums
            next_piece(address + DONE)

    return pieces_in_turn


def by_chunks(kind: Kind) -> Loop:
    """Update, prox and sums, a few entries at a time, which stay in a core's first cache."""
    update, shrink = update_of(kind), shrinking(kind)

    @jitable
    def run(weights, gradients, state, p, piece):
        first, second, third = state
        kept = np.empty(CHUNK, first.dtype), np.empty(CHUNK, first.dtype)
        sums = NO_SUMS
        for at in range(0, weights.size, CHUNK):
            size = min(CHUNK, weights.size - at)
            w, g = part(weights, at, size), part(gradients, at, size)
            near = part(first, at, size), part(second, at, size), part(third, at, size)
            measured = update(w, g, near, kept, p, p.decay)
            sums = with_chunk(sums, shrink(w, kept, measured, p))
        return sums

    return run
