"""What a separable penalty does to one weight: to its gradient, before the update and after it.

`benchmarks/step.py`, the rows "proximal", "coupled" and "decoupled" of each penalty. Each function
here is inlined into a loop. Its arguments are ``(w, s, factor, limit, a, b)``: the weight, the step
s of a prox, the number by which every strength is multiplied, the farthest that a prox may move a
weight, and the penalty's constants.
"""

from __future__ import annotations

from shrinkage.kernels.jit import Loop, jitable
from shrinkage.kernels.kind import How
from shrinkage.kernels.register_forms import ABSOLUTE, ScalarForm, above, below, signed, soft


@jitable
def leave_weight(w, s, factor, limit, a, b):
    return w


@jitable
def scale_by_decay(w, s, factor, limit, a, b):
    """Decoupled squares: (1 − 2·factor·b)·w, which stops at 0."""
    return w * above(type(w)(1.0) - type(w)(2.0) * factor * b, type(w)(0.0))


@jitable
def soft_threshold(z, s, factor, limit, a, b):
    """Decoupled absolute values: a threshold of factor·a."""
    return soft(z, factor * a)


@jitable
def capped_threshold(z, s, factor, limit, a, b):
    """The prox of absolute values, which moves w by at most `limit`."""
    t = s * (factor * a)
    return soft(z, t if t < limit else limit)


@jitable
def no_penalty_gradient(w, factor, a, b):
    return type(w)(0.0)


@jitable
def cap_move(size, u, limit):
    """u ≤ |z|, or |z| − limit where u is farther from |z| than `limit`."""
    return above(u, size - limit)


def make_gradient(form: ScalarForm | None, how: How) -> Loop:
    """The function that computes factor·∂Ω, which is added to the gradient when coupled."""
    if form is None or how != How.COUPLED:
        return no_penalty_gradient
    gradient, is_linear = form.gradient, form.is_threshold

    @jitable
    def scaled_gradient(w, factor, a, b):
        return gradient(w, factor * a, factor * b) if is_linear else factor * gradient(w, a, b)

    return scaled_gradient


def make_decay(form: ScalarForm | None, how: How) -> Loop:
    """The function that applies the decoupled part before the update."""
    if form is None or how != How.DECOUPLED:
        return leave_weight
    if form.is_threshold:
        return scale_by_decay
    gradient = form.gradient

    @jitable
    def stop_at_zero(w, s, factor, limit, a, b):
        """w − factor·∂Ω(w), but 0 where that changes its sign."""
        moved = w - factor * gradient(w, a, b)
        return w - w if moved * w < type(w)(0.0) else moved

    return stop_at_zero


def make_finish(form: ScalarForm | None, how: How) -> Loop:
    """The function applied after the update: a prox capped by `limit`, or a decoupled threshold.

    The prox of a bound is not capped: weights always end within it.
    """
    if form is None or how == How.COUPLED:
        return leave_weight
    if how == How.DECOUPLED:
        return soft_threshold if form.is_threshold else leave_weight
    if form is ABSOLUTE:
        return capped_threshold
    prox, modulus, is_bound = form.prox, form.modulus, form.is_bound

    @jitable
    def capped_prox(z, s, factor, limit, a, b):
        if modulus is not None:
            return signed(z, cap_move(abs(z), modulus(abs(z), s * factor, a, b), limit))
        u = prox(z, s * factor, a, b)
        return u if is_bound else below(above(u, z - limit), z + limit)

    return capped_prox
