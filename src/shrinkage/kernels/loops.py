"""What a step does to a chunk of one parameter: the optimizer's update with the penalty inside.

`sgd`, `adam` and `still` take in what comes before the update and what comes after it, as functions
of one number. A prox that needs more than that is made `afterwards`, from the step of each entry,
while the chunk is in the first cache.

The numbers of a parameter stand in `row`, in the order of the constants below; the loops copy them
into the type of the weights.
"""

from __future__ import annotations

import math

from numba.extending import register_jitable

from shrinkage.kernels.compiling import Loop
from shrinkage.kernels.formulas import ABSOLUTE, Formula, above, capped, nothing, soft
from shrinkage.kernels.machine import ASKS, LINE, add, fetch, keep, load, tight
from shrinkage.kernels.tallies import no_moments, nothing_yet, with_entry, with_moments, with_weight

A, B = range(2)  # the penalty's constants; then, the same for a whole group of parameters
SIGN, LR, FACTOR, SQUARES, LIMIT, STEP = range(2, 8)
BETA1, BETA2, EPS, KEPT = range(8, 12)  # Adam
MOMENTUM, KEEP, NESTEROV = range(8, 11)  # SGD
BC1, ROOT = 12, 13  # Adam, by `counting`
JOINS = 12  # SGD, by `counting`
NUMBERS = 14


@register_jitable
def unchanged(w, s, factor, limit, a, b):
    return w


@register_jitable
def scaled(w, s, factor, limit, a, b):
    """Squares, decoupled: (1 − 2·factor·b)·w, not beyond 0."""
    return w * above(type(w)(1.0) - type(w)(2.0) * factor * b, type(w)(0.0))


@register_jitable
def thresholded(z, s, factor, limit, a, b):
    """Absolute values, decoupled: a threshold of factor·a."""
    return soft(z, factor * a)


@register_jitable
def limited_threshold(z, s, factor, limit, a, b):
    """The prox of absolute values, no farther than `limit`."""
    t = s * (factor * a)
    return soft(z, t if t < limit else limit)


def pull_of(formula: Formula | None, how: str) -> Loop:
    """∂Ω, which joins the gradient when coupled."""
    return formula.gradient if formula is not None and how == "coupled" else nothing


def decay_of(formula: Formula | None, how: str) -> Loop:
    """What is decoupled and comes before the update."""
    if formula is None or how != "decoupled":
        return unchanged
    if formula.is_threshold:
        return scaled
    gradient = formula.gradient

    @register_jitable
    def stopped(w, s, factor, limit, a, b):
        """w − factor·∂Ω(w), but 0 where that changes its sign."""
        moved = w - factor * gradient(w, a, b)
        return w - w if moved * w < type(w)(0.0) else moved

    return stopped


def finish_of(formula: Formula | None, how: str) -> Loop:
    """What comes after the update: a prox no farther than `limit`, or a decoupled threshold."""
    if formula is None or how == "coupled" or formula.choice is not None:
        return unchanged
    if how == "decoupled":
        return thresholded if formula.is_threshold else unchanged
    if formula is ABSOLUTE:
        return limited_threshold
    prox, holds = formula.prox, formula.is_constraint

    @register_jitable
    def shrunk(z, s, factor, limit, a, b):
        u = capped(z, prox(z, s * factor, a, b), limit)
        return prox(u, s * factor, a, b) if holds else u

    return shrunk


def sgd(formula: Formula | None, how: str, momentum: bool, keep_steps: bool) -> Loop:
    """buffer ← μ·buffer + (1 − τ)·g; w ← w − lr·buffer (Nesterov: lr·(g + μ·buffer))."""
    pull, decay, finish = pull_of(formula, how), decay_of(formula, how), finish_of(formula, how)

    @register_jitable
    def update(weights, gradients, buffers, _, __, steps, row):
        tight()
        kind = steps.dtype.type
        sign, lr, factor, limit = number4(row, kind, SIGN, LR, FACTOR, LIMIT)
        a, b, squares, step = number4(row, kind, A, B, SQUARES, STEP)
        mu, joins, nesterov = kind(row[MOMENTUM]), kind(row[JOINS]), row[NESTEROV] != 0.0
        zero = kind(0.0)
        measured = nothing_yet(zero)
        for i in range(weights.size):
            w = decay(load(weights, i), step, factor, limit, a, b)
            g = sign * load(gradients, i) + factor * pull(w, a, b)
            g = g + squares * w if squares != zero else g  # 0·∞ is no 0
            if momentum:
                buffer = mu * buffers[i] + joins * g
                buffers[i] = buffer
                g = g + mu * buffer if nesterov else buffer
            w = finish(w - lr * g, step, factor, limit, a, b)
            measured = with_entry(measured, keep(weights, i, w))
        return measured

    return update


def adam(
    formula: Formula | None, how: str, amsgrad: bool, keep_steps: bool, in_rows: bool = False
) -> Loop:
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − s·m/bc1 with s = lr/(√(v/bc2) + ε)."""
    pull, decay, finish = pull_of(formula, how), decay_of(formula, how), finish_of(formula, how)
    nothing, with_one = (no_moments, with_moments) if in_rows else (nothing_yet, with_weight)

    @register_jitable
    def update(weights, gradients, means, variances, largest, steps, row):
        tight()
        kind = steps.dtype.type
        sign, lr, factor, limit = number4(row, kind, SIGN, LR, FACTOR, LIMIT)
        a, b, squares, kept = number4(row, kind, A, B, SQUARES, KEPT)
        beta2, eps = kind(row[BETA2]), kind(row[EPS])
        rest1, rest2 = kind(1.0 - row[BETA1]), kind(1.0 - row[BETA2])
        correction, root = kind(1.0 / row[BC1]), kind(1.0 / row[ROOT])
        zero = kind(0.0)
        measured = nothing(zero)
        for i in range(weights.size):
            w = decay(load(weights, i), lr, factor, limit, a, b)
            g = sign * load(gradients, i) + factor * pull(w, a, b)
            g = g + squares * w if squares != zero else g  # 0·∞ is no 0
            mean = means[i] + rest1 * (g - means[i])
            variance = beta2 * variances[i] + rest2 * g * g
            means[i] = mean
            variances[i] = variance
            if amsgrad:
                variance = above(largest[i], variance)
                largest[i] = variance
            s = lr / (math.sqrt(variance) * root + eps)
            if keep_steps:
                steps[i] = s
            w = finish(w * kept - s * (mean * correction), s, factor, limit, a, b)
            measured = with_one(measured, keep(weights, i, w), s)
        return measured

    return update


def still(
    formula: Formula | None, how: str, in_metric: bool, keep_steps: bool, in_rows: bool = False
) -> Loop:
    """No update, but the prox after one made elsewhere: s = STEP/(√v·ROOT + ε), or STEP itself."""
    finish = finish_of(formula, how)
    nothing, with_one = (no_moments, with_moments) if in_rows else (nothing_yet, with_weight)

    @register_jitable
    def update(weights, _, variances, __, ___, steps, row):
        tight()
        kind = steps.dtype.type
        factor, limit, a, b = number4(row, kind, FACTOR, LIMIT, A, B)
        scale, eps, root = kind(row[STEP]), kind(row[EPS]), kind(1.0 / row[ROOT])
        measured = nothing(kind(0.0))
        for i in range(weights.size):
            s = scale
            if in_metric:
                s = scale / (math.sqrt(variances[i]) * root + eps)
            if keep_steps:
                steps[i] = s
            w = finish(load(weights, i), s, factor, limit, a, b)
            measured = with_one(measured, keep(weights, i, w), s)
        return measured

    return update


@register_jitable
def numbers_of(row):
    """The row as a tuple, whose numbers no store to memory can change."""
    return (
        row[0], row[1], row[2], row[3], row[4], row[5], row[6],
        row[7], row[8], row[9], row[10], row[11], row[12], row[13],
    )  # fmt: skip


@register_jitable
def number4(row, kind, one, two, three, four):
    """Four of the row's numbers in the type of the weights."""
    return kind(row[one]), kind(row[two]), kind(row[three]), kind(row[four])


def afterwards(formula: Formula | None, how: str, in_metric: bool) -> Loop:
    """The prox that is not all in one formula, from the steps that were kept, by way of `found`.

    Where the formula is not sure, which is rare, a choice that takes longer is made.
    """
    if formula is None or formula.choice is None or how != "proximal":
        return leave
    prox, choice, is_sure = formula.prox, formula.choice, formula.is_sure
    assert is_sure is not None

    @register_jitable
    def shrunk(weights, steps, found, row):
        tight()
        kind = weights.dtype.type
        zero, one = kind(0.0), kind(1.0)
        factor, limit, a, b = number4(row, kind, FACTOR, LIMIT, A, B)
        step, size = kind(row[STEP]), weights.size
        doubts = zero
        for i in range(size):
            s, z = (steps[i] if in_metric else step) * factor, weights[i]
            u = prox(z, s, a, b)
            found[i] = u
            # Beyond the limit it makes no difference.
            unsure = not is_sure(z, s, u, a, b) and abs(z - u) < limit
            doubts = add(doubts, one if unsure else zero)
        if doubts > zero:
            for i in range(size):
                s = (steps[i] if in_metric else step) * factor
                if not is_sure(weights[i], s, found[i], a, b):
                    found[i] = choice(weights[i], s, found[i], a, b)
        for i in range(size):
            weights[i] = capped(weights[i], found[i], limit)

    return shrunk


@register_jitable
def leave(weights, steps, found, row):
    pass


@register_jitable
def with_squares(row, squares):
    """The row, with that in the place of SQUARES."""
    return (*row[:5], squares, *row[6:])


def fetching(gradients: bool, state: int) -> Loop:
    """What asks for entries in advance: weights, gradients and what is read of the state."""
    if not ASKS:
        return wait_for

    @register_jitable
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


@register_jitable
def wait_for(w, g, first, second, third, at, count):
    """The processor sees by itself which entries are next."""
