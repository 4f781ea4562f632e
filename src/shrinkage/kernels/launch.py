"""Loops over pieces of parameters, given by a table of addresses.

A row of the table is a parameter, a piece a range of its entries. Pieces are independent: several
threads take them in turn (`pool`).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from shrinkage.kernels import group_columns, group_rows, loops
from shrinkage.kernels.formulas import Formula
from shrinkage.kernels.group_columns_adaptive import shrinking_in_metric
from shrinkage.kernels.how import is_apart
from shrinkage.kernels.intrinsics import AHEAD, FEW, copy, fill, memory, part, take
from shrinkage.kernels.jit import Loop, Work, compiled, jitable
from shrinkage.kernels.reductions import SUMS, note

# Columns of the table: addresses, then numbers
WEIGHTS, GRADIENTS, FIRST, SECOND, THIRD, COUNTER = range(6)
SIZE, WIDTH, SPAN, FRESH, LONG = range(6, 11)
COLUMNS = 11
WRITTEN = WEIGHTS, FIRST, SECOND, THIRD
# A job: the next piece; addresses of the table, the numbers, the pieces and their sums; how many
# rows and pieces there are, and how many pieces are done
TURN, TABLE, ROWS_OF_NUMBERS, PIECES, SUMS_OF_PIECES, ROWS, COUNT, DONE = range(8)
JOB = 8
LIKE: dict[str, Any] = {"float32": np.empty(0, np.float32), "float64": np.empty(0, np.float64)}
BITS, INTEGERS = np.empty(0, np.uint16), np.empty(0, np.int64)
WIDE = LIKE["float64"]

Vector = np.ndarray[tuple[int], Any]


class Kind(NamedTuple):
    """What a compiled loop is made for."""

    update: str  # "sgd", "adam", "still"
    variant: bool  # SGD: momentum; Adam: amsgrad; still: in a metric
    formula: Formula | None
    how: str
    groups: str  # "none", "rows" or "columns": of a group penalty in place of a formula
    dtype: str  # of weights and gradients; under bfloat16 the state is float32

    @property
    def text(self) -> str:
        """What tells it from every other kind."""
        formula = "none" if self.formula is None else self.formula.name
        return repr(self._replace(formula=formula))  # type: ignore[arg-type]


def is_in_metric(kind: Kind) -> bool:
    """Whether a prox has a step for each entry."""
    with_metric = kind.update == "adam" or (kind.update == "still" and kind.variant)
    return kind.how == "proximal" and with_metric


def keeps_steps(kind: Kind) -> bool:
    """Whether these are needed once more after the update."""
    return is_in_metric(kind) and (kind.groups != "none" or is_apart(kind.formula, kind.how))


@cache
def loop(kind: Kind) -> Work:
    """All pieces of a job that no other thread takes."""
    in_metric = is_in_metric(kind)
    make: dict[str, Loop] = {"sgd": loops.sgd, "adam": loops.adam, "still": loops.still}
    of_rows = {"in_rows": True} if in_metric and kind.groups == "rows" else {}
    update = make[kind.update](kind.formula, kind.how, kind.variant, keeps_steps(kind), **of_rows)
    state = kind.variant + (2 if kind.update == "adam" else 0)  # tensors of it that are read
    ask = loops.fetching(kind.update != "still", state)
    half = kind.dtype == "bfloat16"
    like = LIKE["float32" if half else kind.dtype]  # what is calculated in
    stored = BITS if half else like
    if kind.groups == "columns":
        if in_metric:
            shrink = shrinking_in_metric(kind.update, kind.variant)
        else:
            shrink = group_columns.shrinking_evenly(kind.how)
        run = group_columns.by_columns(update, ask, shrink, kind.how, in_metric, half)
        return compiled(through_blocks(run, stored, like), kind.text)
    if kind.groups == "rows":
        run = group_rows.by_rows(update, ask, kind.how, in_metric, half)
    else:
        run = by_chunks(update, ask, loops.shrinking(kind.formula, kind.how, in_metric))
    return compiled(through_pieces(run, stored, like), kind.text)


@jitable
def tables(job):
    """What the job's addresses stand for: a row for each parameter, or for each piece."""
    many, count = job[ROWS], job[COUNT]
    return (
        memory(job[TABLE], (many, COLUMNS), INTEGERS),
        memory(job[ROWS_OF_NUMBERS], (many, loops.NUMBERS), WIDE),
        memory(job[PIECES], (count, 3), INTEGERS),
        memory(job[SUMS_OF_PIECES], (count, SUMS), WIDE),
    )


@jitable
def finish(job, sums, piece, found):
    """A piece is done, and these are its sums: not added up there, beside another thread's."""
    copy(found, sums[piece])
    take(part(job, DONE, 1))


def through_pieces(run: Loop, stored: Vector, like: Vector) -> Loop:
    """`run` for each piece."""

    def pieces_in_turn(address):
        job = carray(address, JOB)
        table, numbers, pieces, sums = tables(job)
        found = np.empty(SUMS)
        while True:
            piece = take(job)
            if piece >= len(pieces):
                return
            place = table[pieces[piece, 0]]
            fill(found, 0.0)
            if place[GRADIENTS] == 0:
                finish(job, sums, piece, found)
                continue
            low, size = pieces[piece, 1], pieces[piece, 2] - pieces[piece, 1]
            run(
                memory(place[WEIGHTS] + low * stored.itemsize, size, stored),
                memory(place[GRADIENTS] + low * stored.itemsize, size, stored),
                memory(place[FIRST] + low * like.itemsize, size, like),
                memory(place[SECOND] + low * like.itemsize, size, like),
                memory(place[THIRD] + low * like.itemsize, size, like),
                loops.numbers_of(numbers[pieces[piece, 0]]),
                place[WIDTH],
                found,
            )
            finish(job, sums, piece, found)

    return pieces_in_turn


def through_blocks(run: Loop, stored: Vector, like: Vector) -> Loop:
    """`run` for each piece, which is a range of neighbours in every row."""

    def blocks_in_turn(address):
        job = carray(address, JOB)
        table, numbers, pieces, sums = tables(job)
        found = np.empty(SUMS)
        while True:
            piece = take(job)
            if piece >= len(pieces):
                return
            place = table[pieces[piece, 0]]
            fill(found, 0.0)
            if place[GRADIENTS] == 0:
                finish(job, sums, piece, found)
                continue
            size = place[SIZE]
            run(
                memory(place[WEIGHTS], size, stored),
                memory(place[GRADIENTS], size, stored),
                memory(place[FIRST], size, like),
                memory(place[SECOND], size, like),
                memory(place[THIRD], size, like),
                loops.numbers_of(numbers[pieces[piece, 0]]),
                (pieces[piece, 1], pieces[piece, 2], place[WIDTH], place[SPAN]),
                found,
            )
            finish(job, sums, piece, found)

    return blocks_in_turn


def by_chunks(update: Loop, ask: Loop, shrink: Loop) -> Loop:
    """Update, prox and sums, a few entries at a time, while the next are on their way."""

    @jitable
    def run(weights, gradients, first, second, third, row, width, sums):
        steps, before = np.empty(FEW, first.dtype), np.empty(FEW, first.dtype)
        kept = steps, before
        for at in range(0, weights.size, FEW):
            ask(weights, gradients, first, second, third, at + AHEAD, FEW)
            size = min(FEW, weights.size - at)
            w, g = part(weights, at, size), part(gradients, at, size)
            state = part(first, at, size), part(second, at, size), part(third, at, size)
            measured = update(w, g, state, kept, row)
            note(shrink(w, kept, measured, row), sums)

    return run
