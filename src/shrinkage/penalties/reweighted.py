"""Penalties whose slope falls as |w| grows: `CappedL1` and `LogSum`, known from reweighted L1.

Neither is convex. Each prox is a global minimum; where two are equally good, the smaller one.
Training with a prox converges to a stationary point, which may depend on where it began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

from shrinkage.penalties.arguments import STRENGTH, above
from shrinkage.penalties.arrays import Array, Namespace, modulus, sign, with_modulus
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import (
    Constants,
    Number,
    ScalarForm,
    at_least,
    is_beyond,
    sign_of,
    softened,
)
from shrinkage.penalties.traits import Traits


@final
@register("capped_l1")
@dataclass(frozen=True, repr=False)
class CappedL1(Penalty):
    """Capped L1: ``Ω(w) = lam·Σ min(|w|, theta)``.

    ``gradient = lam·sign(w)`` where |w| < theta, else 0.
    ``prox(w, step)`` with t = step·lam, for t ≤ 2·theta: the soft threshold by t where
    ``|w| ≤ theta + t/2``, else w; for larger t the hard threshold at ``√(2·t·theta)``.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.
    theta : float
        From where on a weight costs no more, above 0.

    Notes
    -----
    Reference: T. Zhang (2010), multi-stage convex relaxation.

    Examples
    --------
    >>> import numpy as np
    >>> CappedL1(0.5, theta=1.0)
    CappedL1(lam=0.5, theta=1.0): 0.5·Σ min(|w|, 1)
    >>> CappedL1(0.5, theta=1.0).prox(np.array([0.5, -1.0, 3.0]), step=1.0)
    array([ 0. , -0.5,  3. ])
    """

    lam: float = field(metadata=STRENGTH)
    theta: float = field(metadata=above(0.0, divides=True))

    traits = Traits(is_convex=False, is_separable=True, pulls_to_zero=True, makes_zeros=True)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        size = modulus(xp, w)
        return self.lam * xp.where(size > self.theta, self.theta, size)  # NaN stays

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return xp.where(xp.abs(w) < self.theta, self.lam * sign(xp, w), 0.0)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        size, t = xp.abs(w), self.lam * step
        t = xp.zeros_like(size) + t
        shrunk = xp.clip(size - t, min=0.0)
        soft = xp.where(size <= self.theta + t / 2.0, shrunk, size)
        hard = xp.where(size <= (2.0 * t * self.theta) ** 0.5, 0.0, size)
        return with_modulus(xp, w, size, xp.where(t <= 2.0 * self.theta, soft, hard))

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return CAPPED_L1_FORM, (self.lam, self.theta)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ min(|w|, {self.theta:g})"


def capped_l1_modulus(size: Number, s: Number, lam: Number, theta: Number) -> Number:
    t = lam * s
    return size if is_beyond(size, t, type(size)(2.0) * theta) else softened(size, t)


def capped_l1_gradient(w: Number, lam: Number, theta: Number) -> Number:
    return lam * sign_of(w) if abs(w) < theta else w - w


CAPPED_L1_FORM = ScalarForm("capped", modulus=capped_l1_modulus, gradient=capped_l1_gradient)


@final
@register("log_sum")
@dataclass(frozen=True, repr=False)
class LogSum(Penalty):
    """Log-sum: ``Ω(w) = lam·Σ log(1 + |w|/eps)``.

    ``gradient = lam·sign(w)/(eps + |w|)``.
    ``prox(w, step)`` with t = step·lam: 0 where ``(|w| + eps)² < 4·t``, else the better of 0 and
    ``(|w| − eps + √((|w| + eps)² − 4·t))/2``.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty. Beside 0 the slope is lam/eps.
    eps : float, default 1
        Above 0: the smaller, the nearer to a count of the weights that are not zero.

    Notes
    -----
    Reference: Candès, Wakin and Boyd (2008), reweighted L1.

    Examples
    --------
    >>> import numpy as np
    >>> LogSum(0.5, eps=0.5)
    LogSum(lam=0.5, eps=0.5): 0.5·Σ log(1 + |w|/0.5)
    >>> LogSum(0.5, eps=0.5).prox(np.array([0.5, 2.0]), step=1.0)
    array([0.        , 1.78077641])
    """

    lam: float = field(metadata=STRENGTH)
    eps: float = field(default=1.0, metadata=above(0.0, divides=True))

    traits = Traits(is_convex=False, is_separable=True, pulls_to_zero=True, makes_zeros=True)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return self.lam * xp.log1p(modulus(xp, w) / self.eps)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return sign(xp, w) * (self.lam / (self.eps + xp.abs(w)))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        eps, size, t = self.eps, xp.abs(w), self.lam * step
        t = xp.zeros_like(size) + t
        usable = (t > 0) & (size < math.inf)  # the others stay
        z, t = xp.where(usable, size, 0.0), xp.where(usable, t, 1.0)
        below, above = z + eps - 2.0 * t**0.5, z + eps + 2.0 * t**0.5
        root = xp.clip(below, min=0.0) ** 0.5 * above**0.5  # √((|w| + eps)² − 4t), no square
        x = xp.clip(z - 2.0 * t / (z + eps + root), min=0.0)
        # x is better than 0 if ½(x − z)² + t·log(1 + x/eps) < ½z².
        is_better = (below >= 0) & (t * xp.log1p(x / eps) / xp.where(x > 0, x, 1.0) < z - x / 2.0)
        moved = xp.where(is_better & (x > 0), x, 0.0)
        return with_modulus(xp, w, size, xp.where(usable, moved, size))

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return LOG_SUM_FORM, (self.lam, self.eps)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ log(1 + |w|/{self.eps:g})"


def log_sum_modulus(size: Number, s: Number, lam: Number, eps: Number) -> Number:
    """The larger root, or 0 where there is none."""
    zero, two, t = type(size)(0.0), type(size)(2.0), s * lam
    reach = size + eps
    square = reach * reach - two * two * t  # rounded once
    x = softened(size, two * t / (reach + math.sqrt(at_least(square, zero))))
    return zero if square < zero else x


def log_sum_is_sure(s: Number, lam: Number, eps: Number) -> bool:
    """Whether Ω + ½(u − z)²/s is convex."""
    is_convex: bool = s * lam <= eps * eps
    return is_convex


def log_sum_choice(size: Number, u: Number, s: Number, lam: Number, eps: Number) -> Number:
    """The larger root u, or 0 unless u is better: ½(u − |z|)² + t·log(1 + u/eps) < ½z²."""
    better = s * lam * math.log1p(u / eps) / u < size - u / type(size)(2.0)
    return u if better or not size < math.inf else type(size)(0.0)


def log_sum_gradient(w: Number, lam: Number, eps: Number) -> Number:
    return sign_of(w) * (lam / (eps + abs(w)))


LOG_SUM_FORM = ScalarForm(
    "logarithm",
    modulus=log_sum_modulus,
    gradient=log_sum_gradient,
    choice=log_sum_choice,
    is_sure=log_sum_is_sure,
)
