"""Constraints on the size of an array or of its groups: balls, and projections onto them.

In a metric (an array of steps) the projection is not a rescaling: each entry moves in proportion to
its own step. Sums with `L1` and `L2` shrink first, then project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, final

from shrinkage.penalties.arguments import GROUPS, above
from shrinkage.penalties.arrays import Array, Namespace, narrow_inward, sign
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.groups import norms
from shrinkage.penalties.layout import (
    Groups,
    Layout,
    is_by_row,
    largest,
    lay_out,
    like,
    relative_steps,
    restore,
)
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits

ROUNDS = 100  # at most; about 5 are usual
SLACK = 64.0  # units in the last place by which a point may lie outside


@final
@register("max_norm")
@dataclass(frozen=True, repr=False)
class MaxNorm(Penalty):
    """Groups of bounded length: ``Ω(w) = 0 if ‖w_g‖₂ ≤ radius in each group, else ∞``.

    ``prox(w, step)_g = w_g·min(1, radius/‖w_g‖)``. With an array `step` it is ``w/(1 + ν·step)``,
    ν ≥ 0 such that the length is the radius.

    Parameters
    ----------
    radius : float
        Above 0.
    groups : default "out"
        As for `GroupLasso`.

    Notes
    -----
    Keras' ``MaxNorm``, where `axis` says the group's own axes. Reference: Srebro, Rennie and
    Jaakkola (2005).

    Examples
    --------
    >>> import numpy as np
    >>> MaxNorm(1)
    MaxNorm(radius=1.0): ‖w_g‖ ≤ 1
    >>> MaxNorm(1).prox(np.array([[3.0, 4.0], [0.3, 0.4]]), step=1.0)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """

    radius: float = field(metadata=above(0.0, divides=True))
    groups: Groups = field(default="out", metadata=GROUPS)

    _projects_capped_moves: ClassVar[bool] = True

    def _value(self, xp: Namespace, w: Array) -> Array:
        norm = norms(xp, lay_out(xp, w, self.groups))
        return indicator_of_excess(xp, norm - self.radius, self.radius)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        norm = norms(xp, grouped)
        long = norm > self.radius
        near = grouped.values * xp.where(long, self.radius / xp.where(long, norm, 1.0), 1.0)
        if isinstance(step, float) or step.ndim == 0:
            return restore(xp, grouped, near, w)
        share = relative_steps(xp, like(xp, grouped, step), grouped.members)
        nu = _solve_secular(xp, xp.abs(grouped.values), share, self.radius, grouped.members)
        return restore(xp, grouped, xp.where(long, grouped.values / (1.0 + nu * share), near), w)

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        return narrow_inward(xp, result, w)

    @cached_property
    def traits(self) -> Traits:
        by_row = is_by_row(self.groups)
        return Traits(is_by_row=by_row, is_indicator=True, follows_soft_threshold=True)

    @property
    def formula(self) -> str:
        return f"‖w_g‖ ≤ {self.radius:g}"


@final
@register("l1_ball")
@dataclass(frozen=True, repr=False)
class L1Ball(Penalty):
    """A bounded sum of absolute values: ``Ω(w) = 0 if Σ|w| ≤ radius, else ∞``, over the array.

    ``prox(w, step) = S(w, ν·step)``, the soft threshold of `L1` with the least ν ≥ 0 that makes the
    sum the radius: weights become exactly zero.

    Parameters
    ----------
    radius : float
        Above 0.

    Notes
    -----
    References: Duchi, Shalev-Shwartz, Singer and Chandra (2008); the root by Michelot (1986).

    Examples
    --------
    >>> import numpy as np
    >>> L1Ball(2)
    L1Ball(radius=2.0): Σ|w| ≤ 2
    >>> L1Ball(2).prox(np.array([2.5, -0.5, 0.25]), step=1.0)
    array([2., 0., 0.])
    """

    radius: float = field(metadata=above(0.0, divides=True))

    traits = Traits(is_indicator=True, follows_soft_threshold=True)
    _projects_capped_moves: ClassVar[bool] = True

    def _value(self, xp: Namespace, w: Array) -> Array:
        return indicator_of_excess(xp, xp.sum(xp.abs(w)) - self.radius, self.radius)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        size = xp.abs(w)
        share = steps_of_whole(xp, size, step)
        kept = project_to_total(xp, size, share, self.radius)
        return xp.where(xp.sum(size) > self.radius, sign(xp, w) * kept, w) + 0.0

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        return narrow_inward(xp, result, w)

    @property
    def formula(self) -> str:
        return f"Σ|w| ≤ {self.radius:g}"


@final
@register("l2_ball")
@dataclass(frozen=True, repr=False)
class L2Ball(Penalty):
    """A bounded length of the whole array: ``Ω(w) = 0 if ‖w‖₂ ≤ radius, else ∞``.

    `MaxNorm` with the array as its one group.

    Parameters
    ----------
    radius : float
        Above 0.

    Examples
    --------
    >>> import numpy as np
    >>> L2Ball(1)
    L2Ball(radius=1.0): ‖w‖ ≤ 1
    >>> L2Ball(1).prox(np.array([3.0, 4.0]), step=1.0)
    array([0.6, 0.8])
    """

    radius: float = field(metadata=above(0.0, divides=True))

    traits = Traits(is_indicator=True, follows_soft_threshold=True)
    _projects_capped_moves: ClassVar[bool] = True

    @property
    def _norm(self) -> MaxNorm:
        return MaxNorm(self.radius, Layout(None, ()))

    def _value(self, xp: Namespace, w: Array) -> Array:
        return self._norm._value(xp, w)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return self._norm._prox(xp, w, step)

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        return narrow_inward(xp, result, w)

    @property
    def formula(self) -> str:
        return f"‖w‖ ≤ {self.radius:g}"


def indicator_of_excess(xp: Namespace, excess: Array, size: float) -> Array:
    """0 if no excess is larger than rounding explains, else ∞."""
    least = SLACK * xp.finfo(excess.dtype).eps * size
    nothing = xp.where(excess != excess, excess, 0.0)
    return xp.sum(xp.where(excess > least, math.inf, nothing))


def steps_of_whole(xp: Namespace, size: Array, step: float | Array) -> Array:
    """The steps of an array that is one group, relative to the largest: a projection needs no more.

    A number is the same step for each entry.
    """
    if isinstance(step, float) or step.ndim == 0:
        return xp.ones_like(size)
    return relative_steps(xp, step, tuple(range(size.ndim)))


def project_to_total(xp: Namespace, z: Array, share: Array, total: float) -> Array:
    """``max(z − ν·share, 0)`` with the ν that makes the sum the total."""
    lowered = z - _solve_for_price(xp, z, share, total) * share
    # The second pass corrects the rounding of large numbers.
    lowered = lowered - _solve_for_price(xp, lowered, share, total) * share
    clipped = xp.clip(lowered, min=0.0)
    sum_of_clipped = xp.sum(clipped)
    return clipped * (total / xp.where(sum_of_clipped > 0, sum_of_clipped, 1.0))


def _solve_for_price(xp: Namespace, z: Array, share: Array, total: float) -> Array:
    """The ν with ``Σ (z − ν·share)₊ = total``, by Newton's method from below (convex, falling)."""
    if not math.prod(z.shape):
        return xp.sum(z)
    nu = (xp.sum(z) - total) / xp.sum(share)
    for _ in range(ROUNDS):
        above = xp.astype(z > nu * share, z.dtype)
        weight = xp.sum(above * share)
        better = (xp.sum(above * z) - total) / xp.where(weight > 0, weight, 1.0)
        if not bool((better > nu) & (weight > 0)):
            break
        nu = better
    return nu


def _solve_secular(
    xp: Namespace, size: Array, share: Array, radius: float, members: tuple[int, ...]
) -> Array:
    """The ν ≥ 0 with ``‖z/(1 + ν·share)‖ = radius`` in each group that is longer.

    Newton's method on 1/‖·‖, which is concave in ν and nearly a line, climbs to the root from 0.
    """
    nu = xp.zeros_like(largest(xp, size, members))
    for _ in range(ROUNDS):
        shrunk = size / (1.0 + nu * share)
        most = largest(xp, shrunk, members)
        scaled = shrunk / xp.where(most > 0, most, 1.0)  # so that no square over- or underflows
        squares = xp.sum(scaled**2, axis=members, keepdims=True)
        slope = xp.sum(share * scaled**2 / (1.0 + nu * share), axis=members, keepdims=True)
        norm = most * squares**0.5
        better = nu + (norm / radius - 1.0) * squares / xp.where(slope > 0, slope, 1.0)
        grows = (norm > radius) & (better > nu)
        if not bool(xp.any(grows)):
            break
        nu = xp.where(grows, better, nu)
    return nu
