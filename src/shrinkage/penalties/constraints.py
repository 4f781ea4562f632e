"""Constraints: Ω is 0 where weights are allowed to be and infinite elsewhere; prox is a projection.

There is no gradient, so they are for ``how="proximal"``. A number as `step` changes nothing: the
nearest allowed point is the nearest at any step. An array is the metric in which it is the nearest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, final

from shrinkage.penalties.arguments import above
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    checked_number,
    limited_entries,
    narrow_within,
)
from shrinkage.penalties.balls import indicator_of_excess, project_to_total, steps_of_whole
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import Constants, Number, ScalarForm, at_least, at_most
from shrinkage.penalties.traits import Traits, cache_traits

ROUNDINGS = 4.0  # units in the last place by which a weight may lie outside


@final
@register("box")
@dataclass(frozen=True, repr=False)
class Box(Penalty):
    """Weights between two numbers: ``Ω(w) = 0 if low ≤ w ≤ high in each entry, else ∞``.

    ``prox(w, step) = min(max(w, low), high)``. For real weights.

    Parameters
    ----------
    low, high : float
        The least and the greatest that a weight may be; infinite for no bound.

    Notes
    -----
    In a sum with `L1` and `L2` the prox is theirs, then this one.

    Examples
    --------
    >>> import numpy as np
    >>> Box(-1, 1)
    Box(low=-1.0, high=1.0): -1 ≤ w ≤ 1
    >>> Box(-1, 1).prox(np.array([-3.0, 0.5, 2.0]), step=1.0)
    array([-1. ,  0.5,  1. ])
    """

    low: float
    high: float

    _projects_capped_moves: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", checked_number("low", self.low) + 0.0)  # never −0.0
        object.__setattr__(self, "high", checked_number("high", self.high) + 0.0)
        if not (self.low <= self.high and self.low < math.inf and self.high > -math.inf):
            raise ValueError(f"low must be <= high, got low={self.low} and high={self.high}")
        cache_traits(self)

    def _entries(self, xp: Namespace, w: Array) -> Array:
        real = _real(xp, w, self)
        size = 1.0 + xp.where(xp.abs(real) < math.inf, xp.abs(real), 0.0)
        slack = ROUNDINGS * xp.finfo(real.dtype).eps * size
        allowed = (real >= self.low - slack) & (real <= self.high + slack)
        return xp.where(real != real, real, xp.where(allowed, 0.0, math.inf))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return xp.clip(_real(xp, w, self), self.low, self.high)

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        return narrow_within(xp, result, w, self.low, self.high)

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return BOX_FORM, (self.low, self.high)

    @cached_property
    def traits(self) -> Traits:
        return Traits(
            is_separable=True,
            is_indicator=True,
            follows_soft_threshold=True,
            fixes_zero=self.low <= 0 <= self.high,
        )

    @property
    def formula(self) -> str:
        return f"{self.low:g} ≤ w ≤ {self.high:g}"


def box_prox(z: Number, s: Number, low: Number, high: Number) -> Number:
    """z moved into the box; −0.0 becomes 0.0 at a bound of 0."""
    return at_most(at_least(z, low), high) + type(z)(0.0)


BOX_FORM = ScalarForm("bounds", prox=box_prox, is_bound=True)


@final
@register("non_negative")
@dataclass(frozen=True, repr=False)
class NonNegative(Penalty):
    """Weights that are not negative: ``Ω(w) = 0 if w ≥ 0 in each entry, else ∞``.

    ``prox(w, step) = max(w, 0)``. For real weights. The same as ``Box(0, inf)``.

    Examples
    --------
    >>> import numpy as np
    >>> from shrinkage import L1
    >>> NonNegative()
    NonNegative(): w ≥ 0
    >>> (L1(0.5) + NonNegative()).prox(np.array([-2.0, 0.25, 2.0]), step=1.0)
    array([0. , 0. , 1.5])
    """

    traits = Traits(is_separable=True, is_indicator=True, follows_soft_threshold=True)
    _projects_capped_moves: ClassVar[bool] = True

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return Box(0.0, math.inf)._entries(xp, _real(xp, w, self))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        real = _real(xp, w, self)
        return xp.where(real <= 0, 0.0, real)  # never −0.0

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return BOX_FORM, (0.0, math.inf)

    @property
    def formula(self) -> str:
        return "w ≥ 0"


@final
@register("simplex")
@dataclass(frozen=True, repr=False)
class Simplex(Penalty):
    """Shares of a whole: ``Ω(w) = 0 if w ≥ 0 and Σw = total, else ∞``, over the whole array.

    ``prox(w, step) = max(w − ν·step, 0)``, with ν so that the sum is the total. For real weights.

    Parameters
    ----------
    total : float, default 1
        Above 0.

    Notes
    -----
    Reference: Held, Wolfe and Crowder (1974).

    Examples
    --------
    >>> import numpy as np
    >>> Simplex()
    Simplex(total=1.0): w ≥ 0, Σw = 1
    >>> Simplex().prox(np.array([1.0, 0.5, -1.0]), step=1.0)
    array([0.75, 0.25, 0.  ])
    """

    total: float = field(default=1.0, metadata=above(0.0))

    traits = Traits(is_indicator=True, fixes_zero=False)

    def _value(self, xp: Namespace, w: Array) -> Array:
        real = _real(xp, w, self)
        short = xp.sum(xp.clip(-real, min=0.0))
        return indicator_of_excess(xp, xp.abs(xp.sum(real) - self.total) + short, self.total)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        real = _real(xp, w, self)
        share = steps_of_whole(xp, real, step)
        return project_to_total(xp, real, share, self.total)

    def _cap_move(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        """`target`, or the allowed point nearest to where `limit` stops the move."""
        near = limited_entries(xp, w, target, limit)
        return xp.where(xp.any(near != target), self._prox(xp, near, 0.0), target)

    @property
    def formula(self) -> str:
        return f"w ≥ 0, Σw = {self.total:g}"


@final
@register("n_of_m")
@dataclass(frozen=True, repr=False)
class NofM(Penalty):
    """At most n of each m neighbours along the last axis are not zero, such as 2 of 4.

    ``prox(w, step)`` keeps the n largest of each m, the later of two that are equal, and sets the
    others to 0; with an array `step` the largest of ``|w|/√step``. Not convex.

    Parameters
    ----------
    n : int, default 2
        At least 1 and below m.
    m : int, default 4
        It divides the length of the last axis.

    Notes
    -----
    Reference: Mishra et al. (2021), arXiv 2104.08378.

    Examples
    --------
    >>> import numpy as np
    >>> NofM(2, 4)
    NofM(n=2, m=4): at most 2 of each 4 neighbours are not 0
    >>> NofM(2, 4).prox(np.array([1.0, -3.0, 0.5, 2.0]), step=1.0)
    array([ 0., -3.,  0.,  2.])
    """

    n: int = 2
    m: int = 4

    traits = Traits(is_convex=False, is_indicator=True)

    def __post_init__(self) -> None:
        for name in ("n", "m"):
            number = checked_number(name, getattr(self, name))
            if number != int(number):
                raise ValueError(f"{name} must be a whole number, got {number}")
            object.__setattr__(self, name, int(number))
        if not 0 < self.n < self.m:
            raise ValueError(f"n must be at least 1 and below m, got n={self.n} and m={self.m}")

    def _value(self, xp: Namespace, w: Array) -> Array:
        alive = xp.astype(self._neighbours(xp, w) != 0, xp.abs(w[:0] if w.ndim else w).dtype)
        return indicator_of_excess(xp, xp.sum(alive, axis=-1) - self.n, 1.0)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        worth = xp.abs(w)
        if not (isinstance(step, float) or step.ndim == 0):
            worth = worth / steps_of_whole(xp, worth, step) ** 0.5
        order = xp.argsort(self._neighbours(xp, worth), axis=-1)
        rank = xp.argsort(order, axis=-1)  # of each entry among its neighbours, from 0
        kept = xp.reshape(rank >= self.m - self.n, tuple(w.shape))
        return xp.where(kept | (w != w), w, 0.0 * xp.zeros_like(w))

    def _neighbours(self, xp: Namespace, w: Array) -> Array:
        if w.ndim == 0 or w.shape[-1] % self.m:
            raise ValueError(f"m={self.m} does not divide the last axis of {tuple(w.shape)}")
        return xp.reshape(w, (*w.shape[:-1], w.shape[-1] // self.m, self.m))

    @property
    def formula(self) -> str:
        return f"at most {self.n} of each {self.m} neighbours are not 0"


def _real(xp: Namespace, w: Array, constraint: Penalty) -> Array:
    if xp.isdtype(w.dtype, "complex floating"):
        raise TypeError(f"{constraint!r} is for real weights, got {w.dtype}")
    return w
