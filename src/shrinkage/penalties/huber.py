"""The Huber penalty: a square near 0, an absolute value far from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from shrinkage.penalties.arguments import STRENGTH, above
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    modulus,
    sign,
    squared_modulus,
    with_modulus,
)
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import (
    Constants,
    Number,
    ScalarForm,
    at_least,
    at_most,
    sign_of,
)
from shrinkage.penalties.traits import Traits


@final
@register("huber")
@dataclass(frozen=True, repr=False)
class Huber(Penalty):
    """Huber: ``lam·Σ h(w)``, where ``h = w²/(2·delta)`` up to |w| = delta, then ``|w| − delta/2``.

    ``gradient = lam·sign(w)·min(|w|/delta, 1)``, with the Lipschitz constant lam/delta.
    ``prox(w, step)`` with t = step·lam: ``w·delta/(delta + t)`` where |w| ≤ delta + t, else
    ``w − t·sign(w)``. Large weights are shrunk as by `L1`, small ones as by ``L2(lam/(2·delta))``,
    and none to exactly zero.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty. Far from 0 it is the slope.
    delta : float, default 1
        Where the square ends, above 0; towards 0 the penalty becomes ``L1(lam)``.

    Notes
    -----
    ``lam·torch.nn.SmoothL1Loss(reduction="sum", beta=delta)`` from w to 0, and lam/delta times
    ``torch.nn.HuberLoss(reduction="sum", delta=delta)``. Also known as the Moreau envelope of
    ``lam·|w|``. Reference: Huber (1964), Robust estimation of a location parameter.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(0.5, delta=2.0)
    Huber(lam=0.5, delta=2.0): 0.5·Σ(w²/4 up to |w| = 2, then |w| − 1)
    >>> float(Huber(0.5, delta=2.0)(np.array([1.0, -4.0])))
    1.625
    >>> Huber(0.5, delta=2.0).prox(np.array([1.25, -4.0]), step=1.0)
    array([ 1. , -3.5])
    """

    lam: float = field(metadata=STRENGTH)
    delta: float = field(default=1.0, metadata=above(0.0, divides=True))

    traits = Traits(is_separable=True, pulls_to_zero=True)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        is_near = modulus(xp, w) <= self.delta
        near = xp.where(is_near, w, 0.0)  # so that no square overflows, nor its derivative
        square = self.delta / 2.0 * squared_modulus(xp, near / self.delta)
        return self.lam * (square + xp.where(is_near, 0.0, modulus(xp, w) - self.delta / 2.0))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return self.lam * sign(xp, w) * xp.clip(xp.abs(w) / self.delta, max=1.0)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        size, t = xp.abs(w), self.lam * step
        t = xp.zeros_like(size) + t
        # Both branches in one: the line is above the other exactly where |w| > delta + t.
        shrunk = xp.maximum(size * (self.delta / (self.delta + t)), size - t)
        return with_modulus(xp, w, size, shrunk)

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return HUBER_FORM, (self.lam, self.delta)

    @property
    def formula(self) -> str:
        near = f"w²/{2 * self.delta:g} up to |w| = {self.delta:g}"
        return f"{self.lam:g}·Σ({near}, then |w| − {self.delta / 2:g})"


def huber_modulus(size: Number, s: Number, lam: Number, delta: Number) -> Number:
    t = s * lam
    return at_least(size * (delta / (delta + t)), size - t)


def huber_gradient(w: Number, lam: Number, delta: Number) -> Number:
    one = type(w)(1.0)
    return lam * sign_of(w) * at_most(abs(w) * (one / delta), one)


HUBER_FORM = ScalarForm("huber", modulus=huber_modulus, gradient=huber_gradient)
