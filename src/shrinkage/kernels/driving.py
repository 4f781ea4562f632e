"""Loops over pieces of parameters, given by a table of addresses.

A row of the table is a parameter, a piece a range of its entries. Pieces are independent: several
threads take them in turn (`pool`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import carray
from numba.extending import register_jitable

from shrinkage.kernels import columns, groups, loops
from shrinkage.kernels.compiling import Loop, Work, compiled
from shrinkage.kernels.formulas import Formula
from shrinkage.kernels.loops import measure
from shrinkage.kernels.machine import (
    AHEAD,
    CHUNK,
    FEW,
    LINE,
    fetch,
    memory,
    narrow,
    take,
    widen,
)

# Columns of the table: addresses, then numbers
WEIGHTS, GRADIENTS, FIRST, SECOND, THIRD, COUNTER = range(6)
SIZE, WIDTH, SPAN, FRESH, LONG = range(6, 11)
COLUMNS = 11
WRITTEN = WEIGHTS, FIRST, SECOND, THIRD
ABSOLUTE, SQUARES, ZEROS, NORMS, DEAD = range(5)  # sums over a piece; the last two over its rows
SUMS = 5
# A job: the next piece; addresses of the table, the numbers, the pieces and their sums; how many
# rows and pieces there are
TURN, TABLE, ROWS_OF_NUMBERS, PIECES, SUMS_OF_PIECES, ROWS, COUNT = range(7)
JOB = 7
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


@cache
def loop(kind: Kind) -> Work:
    """All pieces of a job that no other thread takes."""
    make = {"sgd": loops.sgd, "adam": loops.adam, "still": loops.still}[kind.update]
    in_metric = kind.how == "proximal" and kind.update != "sgd"
    in_metric = in_metric and (kind.update == "adam" or kind.variant)
    chooses = kind.formula is not None and kind.formula.choice is not None
    keeps_steps = in_metric and (kind.groups != "none" or chooses)
    update = make(kind.formula, kind.how, kind.variant, keeps_steps)
    half = kind.dtype == "bfloat16"
    like = LIKE["float32" if half else kind.dtype]  # what is calculated in
    if kind.groups == "columns":
        run = by_columns(update, columns.shrink_columns(kind.how, in_metric), in_metric)
        return compiled(through_blocks(run, like), kind.text)
    if kind.groups == "rows":
        run = by_rows(update, groups.shrink_row(kind.how, in_metric), kind.how, half)
    else:
        run = by_chunks(
            update, loops.afterwards(kind.formula, kind.how, in_metric), half, kind.update == "adam"
        )
    return compiled(through_pieces(run, BITS if half else like, like), kind.text)


@register_jitable
def tables(job):
    """What the job's addresses stand for: a row for each parameter, or for each piece."""
    rows, count = job[ROWS], job[COUNT]
    return (
        memory(job[TABLE], (rows, COLUMNS), INTEGERS),
        memory(job[ROWS_OF_NUMBERS], (rows, loops.NUMBERS), WIDE),
        memory(job[PIECES], (count, 3), INTEGERS),
        memory(job[SUMS_OF_PIECES], (count, SUMS), WIDE),
    )


def through_pieces(run: Loop, stored: Vector, like: Vector) -> Loop:
    """`run` for each piece."""

    def pieces_in_turn(address):
        job = carray(address, JOB)
        table, numbers, pieces, sums = tables(job)
        found = np.empty(SUMS)  # not in `sums` itself, where threads would write side by side
        while True:
            piece = take(job)
            if piece >= len(pieces):
                return
            place = table[pieces[piece, 0]]
            found[:] = 0.0
            sums[piece] = found
            if place[GRADIENTS] == 0:
                continue
            low, high, size = pieces[piece, 1], pieces[piece, 2], place[SIZE]
            run(
                memory(place[WEIGHTS], size, stored)[low:high],
                memory(place[GRADIENTS], size, stored)[low:high],
                memory(place[FIRST], size, like)[low:high],
                memory(place[SECOND], size, like)[low:high],
                memory(place[THIRD], size, like)[low:high],
                numbers[pieces[piece, 0]].copy(),
                place[WIDTH],
                found,
            )
            sums[piece] = found

    return pieces_in_turn


def through_blocks(run: Loop, like: Vector) -> Loop:
    """`run` for each piece, which is a range of neighbours in every row."""

    def blocks_in_turn(address):
        job = carray(address, JOB)
        table, numbers, pieces, sums = tables(job)
        found = np.empty(SUMS)  # not in `sums` itself, where threads would write side by side
        while True:
            piece = take(job)
            if piece >= len(pieces):
                return
            place = table[pieces[piece, 0]]
            found[:] = 0.0
            sums[piece] = found
            if place[GRADIENTS] == 0:
                continue
            size, span = place[SIZE], place[SPAN]
            run(
                memory(place[WEIGHTS], size, like).reshape((size // span, span)),
                memory(place[GRADIENTS], size, like),
                memory(place[FIRST], size, like),
                memory(place[SECOND], size, like),
                memory(place[THIRD], size, like),
                numbers[pieces[piece, 0]].copy(),
                (pieces[piece, 1], pieces[piece, 2], place[WIDTH]),
                found,
            )
            sums[piece] = found

    return blocks_in_turn


def by_chunks(update: Loop, shrink: Loop, half: bool, two: bool) -> Loop:
    """Update, prox and sums, a chunk at a time."""

    shrinks = shrink is not loops.leave
    widens = half and shrinks  # what is shrunk is float32

    @register_jitable
    def run(weights, gradients, first, second, third, row, width, sums):
        steps = np.empty(FEW, first.dtype)
        wide, pull = np.empty(FEW, first.dtype), np.empty(FEW, first.dtype)
        for at in range(0, weights.size, FEW):
            here = slice(at, min(at + FEW, weights.size))
            size = here.stop - at
            for ahead in range(at + AHEAD, at + AHEAD + FEW, LINE // weights.itemsize):
                fetch(weights, ahead)
                fetch(gradients, ahead)
            for ahead in range(at + AHEAD, at + AHEAD + FEW, LINE // first.itemsize):
                fetch(first, ahead)
                if two:
                    fetch(second, ahead)
            if widens:
                w, g = wide[:size], pull[:size]
                widen(weights[here], w)
                widen(gradients[here], g)
            else:
                w, g = weights[here], gradients[here]
            measured = update(w, g, first[here], second[here], third[here], steps, row)
            shrink(w, steps, pull, row)
            if widens:
                narrow(w, weights[here])
            note(measure(w) if shrinks else measured, sums)

    return run


@register_jitable
def note(measured, sums):
    absolute, squares, zeros = measured
    sums[ABSOLUTE] += absolute
    sums[SQUARES] += squares
    sums[ZEROS] += zeros


def by_rows(update: Loop, shrink: Loop, how: str, half: bool) -> Loop:
    """Update, prox and sums, a row at a time."""
    coupled = how == "coupled"

    @register_jitable
    def run(weights, gradients, first, second, third, row, width, sums):
        steps = np.empty(width, first.dtype)
        wide, pull = np.empty(width, first.dtype), np.empty(width, first.dtype)
        squares = row[loops.SQUARES]
        for at in range(0, weights.size, width):
            here = slice(at, at + width)
            if half:
                w, g = wide, pull
                widen(weights[here], w)
                widen(gradients[here], g)
            else:
                w, g = weights[here], gradients[here]
            if coupled:
                row[loops.SQUARES] = squares + groups.pull_row(w, row)
            update(w, g, first[here], second[here], third[here], steps, row)
            shrink(w, steps, row)
            if half:
                narrow(w, weights[here])
            squared, zeros = 0.0, 0.0
            for low in range(0, width, CHUNK):
                measured = measure(w[low : min(low + CHUNK, width)])
                note(measured, sums)
                squared += measured[1]
                zeros += measured[2]
            sums[NORMS] += math.sqrt(squared)
            sums[DEAD] += zeros == width

    return run


def by_columns(update: Loop, shrink: Loop, in_metric: bool) -> Loop:
    """Update, prox and sums, a block of columns at a time."""

    @register_jitable
    def run(weights, gradients, first, second, third, row, place, sums):
        low, high, width = place
        rows, span = weights.shape
        most = columns.block_width(rows, width, span)
        steps = np.empty((rows if in_metric else 1, most), weights.dtype)
        for at in range(low, high, most):
            size = min(most, high - at)
            squares = np.zeros(size)  # float64: rows may be many
            for r in range(rows):
                here = slice(r * span + at, r * span + at + size)
                w, s = weights[r, at : at + size], steps[r if in_metric else 0, :size]
                update(w, gradients[here], first[here], second[here], third[here], s, row)
                for j in range(size):
                    squares[j] += np.float64(w[j]) * np.float64(w[j])
            shrink(weights, steps[:, :size], squares, at, width, row)
            squares[:] = 0.0
            for r in range(rows):
                w = weights[r, at : at + size]
                note(measure(w), sums)
                for j in range(size):
                    squares[j] += np.float64(w[j]) * np.float64(w[j])
            columns.together(squares, width)
            for j in range(0, size, width):
                sums[NORMS] += math.sqrt(squares[j])
                sums[DEAD] += squares[j] == 0.0

    return run
