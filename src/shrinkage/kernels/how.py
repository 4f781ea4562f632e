"""The ways a penalty of single entries goes: what comes before an update, in it and after it.

Each is a function of one number, which a loop takes in: ``(w, s, factor, limit, a, b)`` with the
step s of a prox, what strengths are multiplied by, the farthest that a prox may move a weight, and
the penalty's constants.
"""

from __future__ import annotations

from shrinkage.kernels.formulas import ABSOLUTE, Formula, above, signed, soft
from shrinkage.kernels.jit import Loop, jitable


@jitable
def unchanged(w, s, factor, limit, a, b):
    return w


@jitable
def scaled(w, s, factor, limit, a, b):
    """Squares, decoupled: (1 − 2·factor·b)·w, not beyond 0."""
    return w * above(type(w)(1.0) - type(w)(2.0) * factor * b, type(w)(0.0))


@jitable
def thresholded(z, s, factor, limit, a, b):
    """Absolute values, decoupled: a threshold of factor·a."""
    return soft(z, factor * a)


@jitable
def limited_threshold(z, s, factor, limit, a, b):
    """The prox of absolute values, no farther than `limit`."""
    t = s * (factor * a)
    return soft(z, t if t < limit else limit)


@jitable
def no_pull(w, factor, a, b):
    return type(w)(0.0)


@jitable
def limited(size, u, limit):
    """u ≤ |z|, or as far from |z| towards it as `limit` allows."""
    return above(u, size - limit)


def pull_of(formula: Formula | None, how: str) -> Loop:
    """factor·∂Ω, which joins the gradient when coupled."""
    if formula is None or how != "coupled":
        return no_pull
    gradient, is_linear = formula.gradient, formula.is_threshold

    @jitable
    def pull(w, factor, a, b):
        return gradient(w, factor * a, factor * b) if is_linear else factor * gradient(w, a, b)

    return pull


def decay_of(formula: Formula | None, how: str) -> Loop:
    """What is decoupled and comes before the update."""
    if formula is None or how != "decoupled":
        return unchanged
    if formula.is_threshold:
        return scaled
    gradient = formula.gradient

    @jitable
    def stopped(w, s, factor, limit, a, b):
        """w − factor·∂Ω(w), but 0 where that changes its sign."""
        moved = w - factor * gradient(w, a, b)
        return w - w if moved * w < type(w)(0.0) else moved

    return stopped


def is_apart(formula: Formula | None, how: str) -> bool:
    """Whether the prox has a loop of its own (`shrinking`): what has to choose, for it is long."""
    return how == "proximal" and formula is not None and formula.choice is not None


def finish_of(formula: Formula | None, how: str) -> Loop:
    """What comes after the update: a prox no farther than `limit`, or a decoupled threshold.

    A bound holds, however far that is.
    """
    if formula is None or how == "coupled":
        return unchanged
    if how == "decoupled":
        return thresholded if formula.is_threshold else unchanged
    if formula is ABSOLUTE:
        return limited_threshold
    prox, modulus = formula.prox, formula.modulus

    @jitable
    def shrunk(z, s, factor, limit, a, b):
        if modulus is None:
            return prox(z, s * factor, a, b)
        return signed(z, limited(abs(z), modulus(abs(z), s * factor, a, b), limit))

    return shrunk
