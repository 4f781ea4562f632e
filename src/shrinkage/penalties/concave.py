"""Penalties that grow more slowly than |w|: large weights are shrunk less than by `L1`, or not.

None is convex. Each prox is a global minimum; where two are equally good, the smaller one. A
training that steps by them rests at a stationary point, which may depend on where it began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    checked_above,
    checked_strength,
    modulus,
    sign,
    with_modulus,
)
from shrinkage.penalties.base import Penalty


@final
@dataclass(frozen=True, repr=False)
class MCP(Penalty):
    """Minimax concave penalty: ``lam·|w| − w²/(2·gamma)`` up to gamma·lam, constant beyond.

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

    lam: float
    gamma: float = 3.0

    name: ClassVar[str] = "mcp"
    pulls_to_zero: ClassVar[bool] = True
    is_separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_strength("lam", self.lam))
        object.__setattr__(self, "gamma", checked_above("gamma", self.gamma, 0.0))

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

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def formula(self) -> str:
        end, most = self.gamma * self.lam, self.gamma * self.lam * self.lam / 2
        return f"Σ({self.lam:g}·|w| − w²/{2 * self.gamma:g}) up to |w| = {end:g}, then {most:g}"


@final
@dataclass(frozen=True, repr=False)
class SCAD(Penalty):
    """Smoothly clipped absolute deviation: ``lam·|w|`` near 0, constant far from it.

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

    lam: float
    a: float = 3.7

    name: ClassVar[str] = "scad"
    pulls_to_zero: ClassVar[bool] = True
    is_separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_strength("lam", self.lam))
        object.__setattr__(self, "a", checked_above("a", self.a, 2.0))

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

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def formula(self) -> str:
        lam, a = self.lam, self.a
        most, end = lam * lam * (a + 1) / 2, a * lam
        return f"{lam:g}·Σ|w| bent from |w| = {lam:g} to its most, {most:g}, at {end:g}"


@final
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

    lam: float
    theta: float

    name: ClassVar[str] = "capped_l1"
    pulls_to_zero: ClassVar[bool] = True
    is_separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_strength("lam", self.lam))
        object.__setattr__(self, "theta", checked_above("theta", self.theta, 0.0))

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

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ min(|w|, {self.theta:g})"


@final
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

    lam: float
    eps: float = 1.0

    name: ClassVar[str] = "log_sum"
    pulls_to_zero: ClassVar[bool] = True
    is_separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_strength("lam", self.lam))
        object.__setattr__(self, "eps", checked_above("eps", self.eps, 0.0))

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

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ log(1 + |w|/{self.eps:g})"
