"""What a step does to a chunk of one parameter: the optimizer's update with the penalty inside.

`sgd`, `adam` and `still` take in what comes before the update and what comes after it, as functions
of one number. What a prox or groups need more is `kept`: each entry's step, and what it was before.

The numbers of a parameter stand in `row`, in the order of the constants below; the loops copy them
into the type of the weights.
"""

from __future__ import annotations

import math

from shrinkage.kernels.formulas import Formula, above, signed
from shrinkage.kernels.how import decay_of, finish_of, is_apart, limited, no_pull, pull_of
from shrinkage.kernels.intrinsics import ASKS, LINE, bits, fetch, keep, load, number, tight
from shrinkage.kernels.jit import Loop, jitable
from shrinkage.kernels.reductions import (
    no_moments,
    nothing_yet,
    with_entry,
    with_moments,
    with_weight,
)

A, B = range(2)  # the penalty's constants; then, the same for a whole group of parameters
SIGN, LR, FACTOR, SQUARES, LIMIT, STEP = range(2, 8)
BETA1, BETA2, EPS, KEPT = range(8, 12)  # Adam
MOMENTUM, KEEP, NESTEROV = range(8, 11)  # SGD
BC1, ROOT = 12, 13  # Adam, by `counting`
JOINS = 12  # SGD, by `counting`
NUMBERS = 14


def sgd(formula: Formula | None, how: str, momentum: bool, keep_steps: bool) -> Loop:
    """buffer ← μ·buffer + (1 − τ)·g; w ← w − lr·buffer (Nesterov: lr·(g + μ·buffer))."""
    pull, decay, finish = pull_of(formula, how), decay_of(formula, how), finish_of(formula, how)
    pulls, apart = pull is not no_pull, is_apart(formula, how)

    @jitable
    def update(weights, gradients, state, kept, row):
        tight()
        buffers, before = state[0], kept[1]
        kind = buffers.dtype.type
        sign, lr, factor, limit = number4(row, kind, SIGN, LR, FACTOR, LIMIT)
        a, b, squares, step = number4(row, kind, A, B, SQUARES, STEP)
        mu, joins, nesterov = kind(row[MOMENTUM]), kind(row[JOINS]), row[NESTEROV] != 0.0
        zero = kind(0.0)
        measured = nothing_yet(zero)
        for i in range(weights.size):
            w = decay(load(weights, i), step, factor, limit, a, b)
            g = sign * load(gradients, i)
            if pulls:
                g = g + pull(w, factor, a, b)
            g = g + squares * w if squares != zero else g  # 0·∞ is no 0
            if momentum:
                buffer = mu * buffers[i] + joins * g
                buffers[i] = buffer
                g = g + mu * buffer if nesterov else buffer
            w = w - lr * g
            if apart:
                before[i] = w
            else:
                w = finish(w, step, factor, limit, a, b)
                measured = with_entry(measured, keep(weights, i, w))
        return measured

    return update


def adam(
    formula: Formula | None, how: str, amsgrad: bool, keep_steps: bool, in_rows: bool = False
) -> Loop:
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − s·m/bc1 with s = lr/(√(v/bc2) + ε).

    In as few instructions as it takes: as it is here, the loop is about as fast as memory. So g
    stands for sign·g, and s for s/bc1, until steps are kept.
    """
    pull, decay, finish = pull_of(formula, how), decay_of(formula, how), finish_of(formula, how)
    pulls, apart = pull is not no_pull, is_apart(formula, how)
    nothing, with_one = (no_moments, with_moments) if in_rows else (nothing_yet, with_weight)

    @jitable
    def update(weights, gradients, state, kept, row):
        squares = state[0].dtype.type(row[SIGN] * row[SQUARES])
        if squares != type(squares)(0.0):
            return sweep(weights, gradients, state, kept, row, squares)
        return sweep(weights, gradients, state, kept, row, None)  # 0·∞ is no 0

    @jitable
    def sweep(weights, gradients, state, kept, row, squares):
        tight()
        (means, variances, largest), (steps, before) = state, kept
        kind = means.dtype.type
        factor, limit, a, b = number4(row, kind, FACTOR, LIMIT, A, B)
        decay1, beta1, beta2, eps = number4(row, kind, KEPT, BETA1, BETA2, EPS)
        lr, correction, root = kind(row[LR]), kind(row[BC1]), kind(1.0 / row[ROOT])
        turn = kind(row[SIGN] * row[FACTOR])
        amount = factor if how == "decoupled" else kind(row[FACTOR] * row[BC1])
        rest1, rest2 = kind(row[SIGN] * (1.0 - row[BETA1])), kind(1.0 - row[BETA2])
        scale = kind(row[LR] / row[BC1])
        measured = nothing(kind(0.0))
        for i in range(weights.size):
            w = decay(load(weights, i), lr, factor, limit, a, b)
            g = load(gradients, i)
            if pulls:
                g = g + pull(w, turn, a, b)
            if squares is not None:
                g = g + squares * w
            mean = beta1 * means[i] + rest1 * g
            variance = beta2 * variances[i] + rest2 * g * g
            means[i] = mean
            variances[i] = variance
            if amsgrad:
                variance = above(largest[i], variance)
                largest[i] = variance
            s = scale / (math.sqrt(variance) * root + eps)
            w = w * decay1 - s * mean
            if keep_steps:
                steps[i] = s * correction
            if apart:
                before[i] = w
            else:
                w = finish(w, s, amount, limit, a, b)
                measured = with_one(measured, keep(weights, i, w), s * correction)
        return measured

    return update


def still(
    formula: Formula | None, how: str, in_metric: bool, keep_steps: bool, in_rows: bool = False
) -> Loop:
    """No update, but the prox after one made elsewhere: s = STEP/(√v·ROOT + ε), or STEP itself."""
    finish, apart = finish_of(formula, how), is_apart(formula, how)
    nothing, with_one = (no_moments, with_moments) if in_rows else (nothing_yet, with_weight)

    @jitable
    def update(weights, _, state, kept, row):
        tight()
        variances, (steps, before) = state[0], kept
        kind = variances.dtype.type
        factor, limit, a, b = number4(row, kind, FACTOR, LIMIT, A, B)
        scale, eps, root = kind(row[STEP]), kind(row[EPS]), kind(1.0 / row[ROOT])
        measured = nothing(kind(0.0))
        for i in range(weights.size):
            s = scale
            if in_metric:
                s = scale / (math.sqrt(variances[i]) * root + eps)
            if keep_steps:
                steps[i] = s
            w = load(weights, i)
            if apart:
                before[i] = w
            else:
                w = finish(w, s, factor, limit, a, b)
                measured = with_one(measured, keep(weights, i, w), s)
        return measured

    return update


@jitable
def numbers_of(row):
    """The row as a tuple, whose numbers no store to memory can change."""
    return (
        row[0], row[1], row[2], row[3], row[4], row[5], row[6],
        row[7], row[8], row[9], row[10], row[11], row[12], row[13],
    )  # fmt: skip


@jitable
def number4(row, kind, one, two, three, four):
    """Four of the row's numbers in the type of the weights."""
    return kind(row[one]), kind(row[two]), kind(row[three]), kind(row[four])


def shrinking(formula: Formula | None, how: str, in_metric: bool) -> Loop:
    """The prox in a loop of its own, from what was kept; where it may not be sure, its choice."""
    if formula is None or not is_apart(formula, how):
        return as_measured
    modulus, choice, is_sure = formula.modulus, formula.choice, formula.is_sure
    assert modulus is not None
    assert choice is not None
    assert is_sure is not None

    @jitable
    def shrink(weights, kept, measured, row):
        tight()
        steps, before = kept
        kind = steps.dtype.type
        factor, limit, a, b = number4(row, kind, FACTOR, LIMIT, A, B)
        step = kind(row[STEP])
        found, top = nothing_yet(kind(0.0)), bits(kind(0.0) if in_metric else step)
        for i in range(weights.size):
            s, z = steps[i] if in_metric else step, before[i]
            w = signed(z, limited(abs(z), modulus(abs(z), s * factor, a, b), limit))
            found, size = with_entry(found, keep(weights, i, w)), bits(s)
            top = size if size > top else top
        if is_sure(number(top) * factor, a, b):
            return found
        found = nothing_yet(kind(0.0))
        for i in range(weights.size):
            s, z = (steps[i] if in_metric else step) * factor, before[i]
            w = load(weights, i)
            if not is_sure(s, a, b):
                u = choice(abs(z), modulus(abs(z), s, a, b), s, a, b)
                w = keep(weights, i, signed(z, limited(abs(z), u, limit)))
            found = with_entry(found, w)
        return found

    return shrink


@jitable
def as_measured(weights, kept, measured, row):
    return measured


@jitable
def with_squares(row, squares):
    """The row, with that in the place of SQUARES."""
    return (*row[:5], squares, *row[6:])


def fetching(gradients: bool, state: int) -> Loop:
    """What asks for entries in advance: weights, gradients and what is read of the state."""
    if not ASKS:
        return wait_for

    @jitable
    def ask(w, g, first, second, third, at, count):
        tight()
        for ahead in range(at, at + count, LINE // w.itemsize):
            fetch(w, ahead)
            if gradients:
                fetch(g, ahead)
        for ahead in range(at, at + count, LINE // first.itemsize):
            if state > 0:
                fetch(first, ahead)
            if state > 1:
                fetch(second, ahead)
            if state > 2:
                fetch(third, ahead)

    return ask


@jitable
def wait_for(w, g, first, second, third, at, count):
    """The processor sees by itself which entries are next."""
