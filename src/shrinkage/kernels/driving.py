"""Loops over pieces of parameters, given by a table of addresses.

A row of the table is a parameter, a piece a range of its entries. Pieces are independent: several
threads may take them in turn (`pool`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable

from shrinkage.kernels import groups, loops
from shrinkage.kernels.compiling import (
    CHUNK,
    Loop,
    compiled,
    memory,
    narrow,
    sources,
    widen,
)
from shrinkage.kernels.formulas import Formula
from shrinkage.kernels.loops import measure

# Columns of the table: addresses, then numbers
WEIGHTS, GRADIENTS, FIRST, SECOND, THIRD, COUNTER, SIZE, WIDTH, FRESH, WIDE = range(10)
COLUMNS = 10
WRITTEN = WEIGHTS, FIRST, SECOND, THIRD
ABSOLUTE, SQUARES, ZEROS, NORMS, DEAD = range(5)  # sums over a piece; the last two over its rows
SUMS = 5


class Kind(NamedTuple):
    """What a compiled loop is made for."""

    update: str  # "sgd", "adam", "still"
    variant: bool  # SGD: momentum; Adam: amsgrad; still: in a metric
    formula: Formula | None
    how: str
    rows: bool  # a group penalty on rows, in place of a formula
    half: bool  # bfloat16 weights and gradients, float32 state


@cache
def loop(kind: Kind) -> Loop:
    """(table, numbers, pieces, first, last, sums, like): the pieces from `first` to before `last`.

    `like` is an array of the type to calculate in, which is that of the optimizer's state.
    """
    make = {"sgd": loops.sgd, "adam": loops.adam, "still": loops.still}[kind.update]
    in_metric = kind.how == "proximal" and kind.update != "sgd"
    in_metric = in_metric and (kind.update == "adam" or kind.variant)
    chooses = kind.formula is not None and kind.formula.choice is not None
    keeps_steps = in_metric and (kind.rows or chooses)
    update = make(kind.formula, kind.how, kind.variant, keeps_steps)
    if kind.rows:
        run = by_rows(update, groups.shrink_row(kind.how, in_metric), kind)
    else:
        run = by_chunks(update, loops.afterwards(kind.formula, kind.how, in_metric), kind.half)
    return compiled(through_pieces(run, kind.half, int(sources(), 16) % (1 << 62)))


def through_pieces(run: Loop, half: bool, version: int) -> Loop:
    """`run` for each piece. `version` goes into the key under which machine code is kept."""

    def pieces_in_turn(table, numbers, pieces, first, last, sums, like):
        bits = np.empty(0, np.uint16)
        for piece in range(first, last):
            place = table[pieces[piece, 0]]
            sums[piece, :] = 0.0
            if place[GRADIENTS] == 0 or version < 0:
                continue
            low, high, size = pieces[piece, 1], pieces[piece, 2], place[SIZE]
            stored = bits if half else like
            run(
                memory(place[WEIGHTS], size, stored)[low:high],
                memory(place[GRADIENTS], size, stored)[low:high],
                memory(place[FIRST], size, like)[low:high],
                memory(place[SECOND], size, like)[low:high],
                memory(place[THIRD], size, like)[low:high],
                numbers[pieces[piece, 0]].copy(),
                place[WIDTH],
                sums[piece],
            )

    return pieces_in_turn


def by_chunks(update: Loop, shrink: Loop, half: bool) -> Loop:
    """Update, prox and sums, a chunk at a time."""

    changes = half or shrink is not loops.leave  # the weights, after the update

    @register_jitable
    def run(weights, gradients, first, second, third, row, width, sums):
        steps = np.empty(CHUNK, first.dtype)
        wide, pull = np.empty(CHUNK, first.dtype), np.empty(CHUNK, first.dtype)
        for at in range(0, weights.size, CHUNK):
            here = slice(at, min(at + CHUNK, weights.size))
            size = here.stop - at
            if half:
                w, g = wide[:size], pull[:size]
                widen(weights[here], w)
                widen(gradients[here], g)
            else:
                w, g = weights[here], gradients[here]
            measured = update(w, g, first[here], second[here], third[here], steps, row)
            shrink(w, steps, pull, row)
            if half:
                narrow(w, weights[here])
            note(measure(w) if changes else measured, sums)

    return run


@register_jitable
def note(measured, sums):
    absolute, squares, zeros = measured
    sums[ABSOLUTE] += absolute
    sums[SQUARES] += squares
    sums[ZEROS] += zeros


def by_rows(update: Loop, shrink: Loop, kind: Kind) -> Loop:
    """Update, prox and sums, a row at a time."""
    half, coupled = kind.half, kind.how == "coupled"

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
            measured = measure(w)
            note(measured, sums)
            sums[NORMS] += math.sqrt(measured[1])
            sums[DEAD] += measured[2] == width

    return run
