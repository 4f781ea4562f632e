"""The ways a penalty of single entries goes: what comes before an update, in it and after it.

`benchmarks/step.py`, the rows "proximal", "coupled" and "decoupled" of each penalty. Each part is
a function of one number, which a loop takes in: ``(w, s, factor, limit, a, b)`` with the step s of
a prox, what strengths are multiplied by, the farthest that a prox may move a weight, and the
penalty's constants.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from shrinkage.kernels.formulas import ABSOLUTE, Formula, above, below, signed, soft
from shrinkage.kernels.jit import Loop, jitable


class Update(Enum):
    """The optimizer's own step in a loop."""

    SGD = "sgd"
    MOMENTUM = "sgd with momentum"
    ADAM = "adam"
    AMSGRAD = "adam with amsgrad"
    NONE = "no update, but the prox of sgd"  # the step was made elsewhere
    NONE_IN_METRIC = "no update, but the prox of adam"

    @property
    def is_own(self) -> bool:
        """Whether the loop makes the optimizer's step."""
        return self not in (Update.NONE, Update.NONE_IN_METRIC)

    @property
    def is_adaptive(self) -> bool:
        """Whether each entry has a step of its own."""
        return self in (Update.ADAM, Update.AMSGRAD, Update.NONE_IN_METRIC)


class How(StrEnum):
    """The way of a penalty to the weights."""

    NONE = "none"
    COUPLED = "coupled"
    DECOUPLED = "decoupled"
    PROXIMAL = "proximal"


class Groups(StrEnum):
    """What a group penalty shrinks together."""

    NONE = "none"
    ROWS = "rows"
    COLUMNS = "columns"


class Kind(NamedTuple):
    """What a compiled loop is made for."""

    update: Update
    formula: Formula | None  # of a penalty of single entries
    how: How
    groups: Groups  # of a group penalty in place of a formula
    dtype: str  # of weights and gradients; under bfloat16 the state is float32

    @property
    def text(self) -> str:
        """What tells it from every other kind."""
        formula = "none" if self.formula is None else self.formula.name
        return " ".join((self.update.name, formula, self.how, self.groups, self.dtype))

    @property
    def is_in_metric(self) -> bool:
        """Whether a prox has a step for each entry."""
        return self.how == How.PROXIMAL and self.update.is_adaptive

    @property
    def is_half(self) -> bool:
        """Whether weights are bfloat16, and calculated in float32."""
        return self.dtype == "bfloat16"

    @property
    def has_own_prox_loop(self) -> bool:
        """Whether the prox has a loop of its own: one that has to choose is long."""
        formula = self.formula
        return self.how == How.PROXIMAL and formula is not None and formula.choice is not None

    @property
    def keeps_steps(self) -> bool:
        """Whether the steps of entries are needed once more after the update."""
        return self.is_in_metric and (self.groups != Groups.NONE or self.has_own_prox_loop)


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
def no_gradient(w, factor, a, b):
    return type(w)(0.0)


@jitable
def cap_move(size, u, limit):
    """u ≤ |z|, or as far from |z| towards it as `limit` allows."""
    return above(u, size - limit)


def gradient_of(formula: Formula | None, how: How) -> Loop:
    """factor·∂Ω, which joins the gradient when coupled."""
    if formula is None or how != How.COUPLED:
        return no_gradient
    gradient, is_linear = formula.gradient, formula.is_threshold

    @jitable
    def scaled_gradient(w, factor, a, b):
        return gradient(w, factor * a, factor * b) if is_linear else factor * gradient(w, a, b)

    return scaled_gradient


def decay_of(formula: Formula | None, how: How) -> Loop:
    """What is decoupled and comes before the update."""
    if formula is None or how != How.DECOUPLED:
        return unchanged
    if formula.is_threshold:
        return scaled
    gradient = formula.gradient

    @jitable
    def stop_at_zero(w, s, factor, limit, a, b):
        """w − factor·∂Ω(w), but 0 where that changes its sign."""
        moved = w - factor * gradient(w, a, b)
        return w - w if moved * w < type(w)(0.0) else moved

    return stop_at_zero


def finish_of(formula: Formula | None, how: How) -> Loop:
    """What comes after the update: a prox no farther than `limit`, or a decoupled threshold.

    A bound holds, however far that is.
    """
    if formula is None or how == How.COUPLED:
        return unchanged
    if how == How.DECOUPLED:
        return thresholded if formula.is_threshold else unchanged
    if formula is ABSOLUTE:
        return limited_threshold
    prox, modulus, is_bound = formula.prox, formula.modulus, formula.is_bound

    @jitable
    def capped_prox(z, s, factor, limit, a, b):
        if modulus is not None:
            return signed(z, cap_move(abs(z), modulus(abs(z), s * factor, a, b), limit))
        u = prox(z, s * factor, a, b)
        return u if is_bound else below(above(u, z - limit), z + limit)

    return capped_prox
