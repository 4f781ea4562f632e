"""Penalties that grow like `L1` near 0 and are constant far from it: `MCP` and `SCAD`.

Neither is convex. Each prox is a global minimum; where two are equally good, the smaller one.
Training with a prox converges to a stationary point, which may depend on where it began.
"""

from __future__ import annotations

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
    at_most,
    is_beyond,
    sign_of,
    softened,
)
from shrinkage.penalties.traits import Traits


@final
@register("mcp")
@dataclass(frozen=True, repr=False)
class MCP(Penalty):
    """Minimax concave: ``lam·|w| − w²/(2·gamma)`` up to |w| = gamma·lam, constant beyond.

    ``Ω(w) = Σ lam·|w| − w²/(2·gamma)`` where |w| ≤ gamma·lam, else ``gamma·lam²/2``.
    ``gradient = sign(w)·max(lam − |w|/gamma, 0)``.
    ``prox(w, step)``, for step < gamma: 0 up to step·lam, ``S(w, step·lam)/(1 − step/gamma)`` up to
    gamma·lam, then w, where S is the soft threshold of `L1`; for larger steps the hard threshold at
    ``lam·√(step·gamma)``. Weights beyond gamma·lam are not shrunk at all.

    Parameters
    ----------
    lam : float
        The slope at 0, at least 0; 0 is no penalty. Not a factor: 2·lam reaches twice as far.
    gamma : float, default 3
        How far the penalty reaches, above 0; towards infinity it becomes ``L1(lam)``.

    Notes
    -----
    Reference: Zhang (2010).

    Examples
    --------
    >>> import numpy as np
    >>> MCP(1.0, gamma=2.0)
    MCP(lam=1.0, gamma=2.0): Σ(1·|w| − w²/4) up to |w| = 2, then 1
    >>> MCP(1.0, gamma=2.0).prox(np.array([0.4, -1.0, 5.0]), step=0.5)
    array([ 0.        , -0.66666667,  5.        ])
    """

    lam: float = field(metadata=STRENGTH)
    gamma: float = field(default=3.0, metadata=above(0.0, divides=True))

    traits = Traits(is_convex=False, is_separable=True, pulls_to_zero=True, makes_zeros=True)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        reached = xp.clip(modulus(xp, w), max=self.gamma * self.lam)
        return self.lam * reached - reached**2 / (2.0 * self.gamma)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return sign(xp, w) * xp.clip(self.lam - xp.abs(w) / self.gamma, min=0.0)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        size = xp.abs(w)
        step = xp.zeros_like(size) + step
        curvature = 1.0 - step / self.gamma
        is_soft = curvature > 0
        shrunk = xp.clip(size - step * self.lam, min=0.0) / xp.where(is_soft, curvature, 1.0)
        soft = xp.where(size <= self.gamma * self.lam, shrunk, size)
        hard = xp.where(size <= self.lam * (step * self.gamma) ** 0.5, 0.0, size)
        return with_modulus(xp, w, size, xp.where(is_soft, soft, hard))

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return MCP_FORM, (self.lam, self.gamma)

    @property
    def formula(self) -> str:
        end, most = self.gamma * self.lam, self.gamma * self.lam * self.lam / 2
        return f"Σ({self.lam:g}·|w| − w²/{2 * self.gamma:g}) up to |w| = {end:g}, then {most:g}"


def mcp_modulus(size: Number, s: Number, lam: Number, gamma: Number) -> Number:
    """For steps beyond gamma the hard threshold: `is_flat` is false up to it, and `shrunk` is 0."""
    one = type(size)(1.0)
    shrunk = softened(size, s * lam) * (one / at_least(one - s * (one / gamma), type(size)(1e-30)))
    ratio = size * (one / lam)
    is_flat = ratio * ratio > at_least(s, gamma) * gamma
    return size if is_flat else at_most(shrunk, size)


def mcp_gradient(w: Number, lam: Number, gamma: Number) -> Number:
    return sign_of(w) * at_least(lam - abs(w) * (type(w)(1.0) / gamma), type(w)(0.0))


MCP_FORM = ScalarForm("mcp", modulus=mcp_modulus, gradient=mcp_gradient)


@final
@register("scad")
@dataclass(frozen=True, repr=False)
class SCAD(Penalty):
    """Smoothly clipped absolute deviation: ``lam·|w|`` up to lam, constant from a·lam on.

    ``Ω(w) = Σ lam·|w|`` where |w| ≤ lam, ``(2·a·lam·|w| − w² − lam²)/(2·(a − 1))`` up to a·lam,
    else ``lam²·(a + 1)/2``. ``gradient = sign(w)·min(lam, max((a·lam − |w|)/(a − 1), 0))``.
    ``prox(w, step)``, for step < a − 1: the soft threshold up to (1 + step)·lam,
    ``((a − 1)·w − sign(w)·step·a·lam)/(a − 1 − step)`` up to a·lam, then w; for steps up to a + 1
    soft up to ``lam·(a + 1 + step)/2``, then w; above that hard at ``lam·√(step·(a + 1))``.

    Parameters
    ----------
    lam : float
        The slope near 0, at least 0; 0 is no penalty. Not a factor: 2·lam reaches twice as far.
    a : float, default 3.7
        How far the penalty reaches, above 2; 3.7 is the authors' choice.

    Notes
    -----
    Reference: Fan and Li (2001).

    Examples
    --------
    >>> import numpy as np
    >>> SCAD(1.0, a=3.0)
    SCAD(lam=1.0, a=3.0): 1·Σ|w| bent from |w| = 1 to its most, 2, at 3
    >>> SCAD(1.0, a=3.0).prox(np.array([0.5, -1.5, 2.5, 4.0]), step=1.0)
    array([ 0. , -0.5,  2. ,  4. ])
    """

    lam: float = field(metadata=STRENGTH)
    a: float = field(default=3.7, metadata=above(2.0))

    traits = Traits(is_convex=False, is_separable=True, pulls_to_zero=True, makes_zeros=True)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        lam, size = self.lam, modulus(xp, w)
        over = xp.clip(size, min=lam, max=self.a * lam) - lam
        # The slope falls from lam by 1/(a − 1) for each unit beyond lam.
        return lam * xp.clip(size, max=lam) + lam * over - over**2 / (2.0 * (self.a - 1.0))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        falling = (self.a * self.lam - xp.abs(w)) / (self.a - 1.0)
        return sign(xp, w) * xp.clip(falling, min=0.0, max=self.lam)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        lam, a, size = self.lam, self.a, xp.abs(w)
        step = xp.zeros_like(size) + step
        soft = xp.clip(size - step * lam, min=0.0)
        divisor = a - 1.0 - step
        is_small, is_large = divisor > 0, step > a + 1.0
        bent = ((a - 1.0) * size - step * a * lam) / xp.where(is_small, divisor, 1.0)
        small = xp.where(size <= (1.0 + step) * lam, soft, xp.where(size <= a * lam, bent, size))
        middle = xp.where(size <= lam * (a + 1.0 + step) / 2.0, soft, size)
        large = xp.where(size <= lam * (step * (a + 1.0)) ** 0.5, 0.0, size)
        modulus = xp.where(is_small, small, xp.where(is_large, large, middle))
        return with_modulus(xp, w, size, xp.where(step == 0, size, modulus))

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return SCAD_FORM, (self.lam, self.a)

    @property
    def formula(self) -> str:
        lam, a = self.lam, self.a
        most, end = lam * lam * (a + 1) / 2, a * lam
        return f"{lam:g}·Σ|w| bent from |w| = {lam:g} to its most, {most:g}, at {end:g}"


def scad_modulus(size: Number, s: Number, lam: Number, a: Number) -> Number:
    """Steps below a − 1: the soft threshold, below a steeper line, up to |z|."""
    one = type(size)(1.0)
    soft_size = softened(size, s * lam)
    divisor = a - one - s
    bent = ((a - one) * size - s * (a * lam)) * (one / divisor)
    small = size if size > a * lam else at_most(at_least(bent, soft_size), size)
    far = is_beyond(size * (one / lam), s, a + one)
    return small if divisor > type(size)(0.0) else (size if far else soft_size)


def scad_gradient(w: Number, lam: Number, a: Number) -> Number:
    falling = (a * lam - abs(w)) * (type(w)(1.0) / (a - type(w)(1.0)))
    return sign_of(w) * at_most(at_least(falling, type(w)(0.0)), lam)


SCAD_FORM = ScalarForm("scad", modulus=scad_modulus, gradient=scad_gradient)
