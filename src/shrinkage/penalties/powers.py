"""Powers of |w|, and the count of weights that is their limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from shrinkage.penalties.arguments import STRENGTH, above
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    sign,
    soft_threshold,
    with_modulus,
)
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import Constants, Number, ScalarForm
from shrinkage.penalties.traits import Traits

NEWTON_STEPS = 200  # at most; about 5 are usual
ABOVE = 1.001  # times a bound, so that rounding does not put it below the root


@final
@register("l0")
@dataclass(frozen=True, repr=False)
class L0(Penalty):
    """The number of weights that are not zero: ``Ω(w) = lam·#{w ≠ 0}``.

    There is no gradient. ``prox(w, step) = w where |w| > √(2·step·lam), else 0`` (hard threshold).

    Parameters
    ----------
    lam : float
        The price of one weight that is not zero, at least 0; 0 is no penalty.

    Notes
    -----
    Reference: Blumensath and Davies (2008), iterative hard thresholding.

    Examples
    --------
    >>> import numpy as np
    >>> L0(0.5)
    L0(lam=0.5): 0.5·#{w ≠ 0}
    >>> L0(0.5).prox(np.array([1.0, -1.5, 0.5]), step=1.0)
    array([ 0. , -1.5,  0. ])
    """

    lam: float = field(metadata=STRENGTH)

    traits = Traits(
        is_convex=False,
        is_separable=True,
        pulls_to_zero=True,
        makes_zeros=True,
        is_continuous=False,
        is_count=True,
    )

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return self.lam * xp.astype(w != 0, xp.abs(w).dtype)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return hard_threshold(xp, w, (2.0 * self.lam * step) ** 0.5)

    def _price(self, size: float | Array) -> float | Array:
        return self.lam * size

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return L0_FORM, (self.lam, 0.0)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·#{{w ≠ 0}}"


def l0_modulus(size: Number, s: Number, lam: Number, b: Number) -> Number:
    square = type(size)(2.0) * lam * s
    zero = type(size)(0.0)
    return zero if size * size <= square and square > zero else size


L0_FORM = ScalarForm("count", modulus=l0_modulus)


@final
@register("lp")
@dataclass(frozen=True, repr=False)
class Lp(Penalty):
    """Bridge: ``Ω(w) = lam·Σ|w|^p``; for p < 1 there is no gradient.

    For p ≥ 1 ``gradient = lam·p·|w|^(p−1)·sign(w)``, and ``prox(w, step)`` is the root x of
    ``x + t·p·x^(p−1) = |w|`` with w's sign, where t = step·lam. For p < 1 the gradient has no bound
    at 0, so there is none; the prox is 0 where ``|w| ≤ x₀·(2 − p)/(2·(1 − p))`` with
    ``x₀ = (2·t·(1 − p))^(1/(2 − p))``, else the larger root.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.
    p : float
        Above 0. 1 is `L1`, 2 is `L2`; below 1 Ω is not convex.

    Notes
    -----
    Only p ≤ 1 makes exact zeros. Reference: Frank and Friedman (1993).

    Examples
    --------
    >>> import numpy as np
    >>> Lp(0.5, p=3)
    Lp(lam=0.5, p=3.0): 0.5·Σ|w|^3
    >>> Lp(0.5, p=0.5).prox(np.array([0.5, 1.25]), step=1.0).round(6)
    array([0., 1.])
    """

    lam: float = field(metadata=STRENGTH)
    p: float = field(metadata=above(0.0))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        size = xp.abs(w)
        zero = size == 0  # where powers have no derivative
        return self.lam * xp.where(zero, 0.0, xp.where(zero, 1.0, size) ** self.p)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        size = xp.abs(w)
        power = xp.where(size == 0, 1.0, size) ** (self.p - 1.0)
        return (self.lam * self.p) * sign(xp, w) * power

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        size, t = xp.abs(w), self.lam * step
        if self.p in (1.0, 2.0):
            return soft_threshold(xp, w, t) if self.p == 1.0 else w / (1.0 + 2.0 * t)
        t = xp.zeros_like(size) + t
        usable = (t > 0) & (size > 0) & (size < math.inf)  # the others stay
        known, cost = xp.where(usable, size, 1.0), xp.where(usable, t * self.p, 1.0)
        root = (bridge_root if self.p > 1.0 else concave_root)(xp, known, cost, self.p)
        return with_modulus(xp, w, size, xp.where(usable, root, size))

    def _why_not(self, what: str) -> str | None:
        if what == "gradient" and self.p < 1.0:
            return f'{self!r} has a gradient without bound at 0: use how="proximal"'
        return Penalty._why_not(self, what)

    @cached_property
    def traits(self) -> Traits:
        p = self.p
        return Traits(
            is_convex=p >= 1,
            is_separable=True,
            pulls_to_zero=True,
            makes_zeros=p <= 1,
            is_norm=p == 1,
            is_continuous=p >= 1,
        )

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ|w|^{self.p:g}"


def bridge_root(xp: Namespace, size: Array, cost: Array, p: float) -> Array:
    """The x with ``x + cost·x^(p−1) = size``, for p > 1."""
    if p >= 2.0:  # convex in x
        power = 1.0 / (p - 1.0)
        start = xp.minimum(size, ABOVE * size**power / cost**power)
        return descend(xp, start, (1.0, cost, p - 1.0), size)
    # x = size·e^u with e^u + e^(k + (p−1)·u) = 1: convex in u, and no term large for p near 1
    k = xp.log(cost) + (p - 2.0) * xp.log(size)
    u = xp.clip(-k / (p - 1.0), max=0.0)
    for _ in range(NEWTON_STEPS):
        linear, power = xp.exp(u), xp.exp(k + (p - 1.0) * u)
        lower = u - (linear + power - 1.0) / (linear + (p - 1.0) * power)
        if not bool(xp.any(lower < u)):
            break
        u = xp.minimum(u, lower)
    return size * xp.exp(u)


def concave_root(xp: Namespace, size: Array, cost: Array, p: float) -> Array:
    """The larger x with ``x + cost·x^(p−1) = size`` where it is better than 0, else 0; p < 1."""
    least = (2.0 * cost / p * (1.0 - p)) ** (1.0 / (2.0 - p))
    dies = size <= least * (2.0 - p) / (2.0 * (1.0 - p))
    alive, price = xp.where(dies, 1.0, size), xp.where(dies, 0.0, cost)
    return xp.where(dies, 0.0, descend(xp, alive, (1.0, price, p - 1.0), alive))


def descend(xp: Namespace, x: Array, terms: tuple[Any, Any, float], size: Array) -> Array:
    """The largest root of ``a·x + b·x^e = size``, convex in x, by Newton's method from above."""
    a, b, e = terms
    for _ in range(NEWTON_STEPS):
        power = b * x ** (e - 1.0)
        lower = x - (a * x + power * x - size) / (a + e * power)
        falls = lower < x
        if not bool(xp.any(falls)):
            break
        x = xp.where(falls, lower, x)
    return x


def hard_threshold(xp: Namespace, z: Array, threshold: float | Array) -> Array:
    """z where |z| > threshold or NaN, else 0."""
    return xp.where((xp.abs(z) <= threshold) & (threshold > 0), 0.0, z)
