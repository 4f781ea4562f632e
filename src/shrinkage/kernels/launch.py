"""Compile the loop over all pieces of a job's parameters.

`benchmarks/step.py`, the tables for two threads: a piece is a range of one parameter's entries.
Each thread takes the next piece that is left, so that one huge tensor or many small ones keep all
threads busy.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from shrinkage.kernels.group_columns import make_column_loop
from shrinkage.kernels.group_rows import make_row_loop
from shrinkage.kernels.intrinsics import CHUNK, memory, next_piece, part
from shrinkage.kernels.jit import Loop, Work, compile_job, jitable
from shrinkage.kernels.kind import Groups, Kind
from shrinkage.kernels.records import DONE, JOBS, LIKE, PARAMETERS, PIECES
from shrinkage.kernels.reductions import ZERO_PIECE_SUMS, add_chunk
from shrinkage.kernels.updates import make_second_pass, make_update


@cache
def compile_loop(kind: Kind) -> Work:
    """Compile a loop that steps pieces of a job until none is left."""
    return compile_job(loop_over_pieces(kind), kind.text)


def loop_over_pieces(kind: Kind) -> Loop:
    """Call ``run(weights, gradients, state, p, piece)`` for each piece and store its sums."""
    makers = {Groups.ROWS: make_row_loop, Groups.COLUMNS: make_column_loop}
    run = makers.get(kind.groups, make_chunk_loop)(kind)
    takes_whole = kind.groups == Groups.COLUMNS  # the parameter, and not a piece of it
    stored = LIKE[kind.dtype]
    wide = LIKE["float32" if kind.is_half else kind.dtype]  # of the state, and of what is computed

    def run_pieces(address):
        job = memory(address, 1, JOBS)[0]
        parameters = memory(job.parameters, job.parameter_count, PARAMETERS)
        pieces = memory(job.pieces, job.piece_count, PIECES)
        while True:
            index = next_piece(address)
            if index >= pieces.size:
                return
            piece = pieces[index]
            p = parameters[piece.parameter]
            sums = ZERO_PIECE_SUMS
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
            # Stored once, at the end: while it runs, other threads write to neighbouring records.
            piece.absolute, piece.squares, piece.zeros, piece.norms, piece.dead = sums
            next_piece(address + DONE)

    return run_pieces


def make_chunk_loop(kind: Kind) -> Loop:
    """Update, shrink and sum a chunk of entries at a time, which fits a core's first cache."""
    update, shrink = make_update(kind), make_second_pass(kind)

    @jitable
    def run(weights, gradients, state, p, piece):
        first, second, third = state
        saved = np.empty(CHUNK, first.dtype), np.empty(CHUNK, first.dtype)
        sums = ZERO_PIECE_SUMS
        for at in range(0, weights.size, CHUNK):
            size = min(CHUNK, weights.size - at)
            w, g = part(weights, at, size), part(gradients, at, size)
            nearby = part(first, at, size), part(second, at, size), part(third, at, size)
            measured = update(w, g, nearby, saved, p, p.decay)
            sums = add_chunk(sums, shrink(w, saved, measured, p))
        return sums

    return run
