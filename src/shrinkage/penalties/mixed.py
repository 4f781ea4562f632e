"""More penalties on groups: sparse within and between them, and on their largest entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from shrinkage.penalties.arguments import GROUP_WEIGHT, GROUPS, SHARE, STRENGTH
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    modulus,
    sign,
    soft_threshold,
    with_modulus,
)
from shrinkage.penalties.base import Penalty, Split
from shrinkage.penalties.groups import GroupLasso
from shrinkage.penalties.layout import (
    Groups,
    is_by_row,
    largest,
    lay_out,
    like,
    relative_steps,
    restore,
)
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits

ROUNDS = 100  # at most; each drops at least one entry, and a few are usual


@final
@register("sparse_group_lasso")
@dataclass(frozen=True, repr=False)
class SparseGroupLasso(Penalty):
    """Sparse group lasso: ``Ω(w) = lam·(l1_ratio·Σ|w| + (1 − l1_ratio)·Σ_g √p_g·‖w_g‖₂)``.

    Whole groups become exactly zero, and entries within the groups that remain. The prox thresholds
    entries first, then groups.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.
    l1_ratio : float, default 0.5
        The share of the absolute values, from 0 (group lasso alone) to 1 (lasso alone).
    groups : default "out"
    weight : {"sqrt", "none"}, default "sqrt"
        As for `GroupLasso`.

    Notes
    -----
    Equals ``L1(l1_ratio·lam) + GroupLasso((1 − l1_ratio)·lam)``. Reference: Simon, Friedman, Hastie
    and Tibshirani (2013).

    Examples
    --------
    >>> import numpy as np
    >>> penalty = SparseGroupLasso(1.0, weight="none")
    >>> penalty
    SparseGroupLasso(lam=1.0, l1_ratio=0.5, weight='none'): 0.5·Σ|w| + 0.5·Σ‖w_g‖
    >>> penalty.prox(np.array([[3.5, 4.5], [0.6, 0.4]]), step=1.0)
    array([[2.7, 3.6],
           [0. , 0. ]])
    """

    lam: float = field(metadata=STRENGTH)
    l1_ratio: float = field(default=0.5, metadata=SHARE)
    groups: Groups = field(default="out", metadata=GROUPS)
    weight: str = field(default="sqrt", metadata=GROUP_WEIGHT)

    @property
    def _between(self) -> GroupLasso:
        return GroupLasso((1.0 - self.l1_ratio) * self.lam, self.groups, self.weight)

    def _value(self, xp: Namespace, w: Array) -> Array:
        within = self.l1_ratio * self.lam * xp.sum(modulus(xp, w))
        return within + self._between._value(xp, w)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        within = self.l1_ratio * self.lam * sign(xp, w)
        return within + self._between._gradient(xp, w)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        within = soft_threshold(xp, w, step * (self.l1_ratio * self.lam))
        return self._between._prox(xp, within, step)

    def split(self) -> Split:
        return Split(self.l1_ratio * self.lam, 0.0, (self._between,))

    @property
    def formula(self) -> str:
        return f"{self.l1_ratio * self.lam:g}·Σ|w| + {self._between.formula}"

    @property
    def _zeroed_groups(self) -> Groups:
        return self.groups

    @cached_property
    def traits(self) -> Traits:
        by_row = is_by_row(self.groups)
        return Traits(is_by_row=by_row, pulls_to_zero=True, makes_zeros=True, is_norm=True)


@final
@register("l_inf")
@dataclass(frozen=True, repr=False)
class LInf(Penalty):
    """The largest entry of each group: ``Ω(w) = lam·Σ_g max|w_g|``.

    ``gradient = lam·sign(w)`` on the largest entry of a group, shared evenly where several are
    equal, else 0. ``prox(w, step)_g = sign(w)·min(|w|, θ)`` where θ is such that
    ``Σ_g (|w| − θ)₊ = step·lam``, or 0 where ``Σ_g |w| ≤ step·lam``: the largest entries of a group
    become equal in size, and whole groups become exactly zero. With an array `step` the sum is
    of ``(|w| − θ)₊/step``.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty. There is no weight by the group's size.
    groups : default "out"
        As for `GroupLasso`.

    Notes
    -----
    Reference: Quattoni, Carreras, Collins and Darrell (2009).

    Examples
    --------
    >>> import numpy as np
    >>> LInf(1.0)
    LInf(lam=1.0): 1·Σ max|w_g|
    >>> LInf(1.0).prox(np.array([[3.0, -2.5, 1.0], [0.5, 0.25, 0.0]]), step=1.0)
    array([[ 2.25, -2.25,  1.  ],
           [ 0.  ,  0.  ,  0.  ]])
    """

    lam: float = field(metadata=STRENGTH)
    groups: Groups = field(default="out", metadata=GROUPS)

    def _value(self, xp: Namespace, w: Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        return self.lam * xp.sum(largest(xp, modulus(xp, grouped.values), grouped.members))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        size = xp.abs(grouped.values)
        at_top = (size == largest(xp, size, grouped.members)) & (size > 0)
        top = xp.astype(at_top, size.dtype)
        sharing = xp.clip(xp.sum(top, axis=grouped.members, keepdims=True), min=1.0)
        values = sign(xp, grouped.values) * (self.lam * top / sharing)
        return restore(xp, grouped, values, xp.zeros_like(w))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        size = xp.abs(grouped.values)
        if isinstance(step, float) or step.ndim == 0:
            weights, cost = xp.ones_like(size), step * self.lam
        else:
            steps = like(xp, grouped, step)
            weights = 1.0 / relative_steps(xp, steps, grouped.members)
            cost = self.lam * largest(xp, steps, grouped.members)
        top = solve_for_level(xp, size, weights, cost, grouped.members)
        shrinks = (size > top) & (cost > 0)  # a cost of 0 must not even round
        values = with_modulus(xp, grouped.values, size, xp.where(shrinks, top, size))
        return restore(xp, grouped, values, w)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ max|w_g|"

    @property
    def _zeroed_groups(self) -> Groups:
        return self.groups

    @cached_property
    def traits(self) -> Traits:
        return Traits(
            is_by_row=is_by_row(self.groups),
            pulls_to_zero=True,
            follows_soft_threshold=True,
            makes_zeros=True,
            is_norm=True,
            is_smooth=False,
        )


def solve_for_level(
    xp: Namespace, size: Array, weights: Array, cost: Any, members: tuple[int, ...]
) -> Array:
    """The θ ≥ 0 with ``Σ weights·(size − θ)₊ = cost`` in each group; 0 where that is too little.

    The sum falls as θ grows and is convex, so Newton's method climbs from below, and reaches the
    root as soon as the entries above θ are the right ones.
    """
    above = xp.ones_like(size)
    theta = xp.zeros_like(largest(xp, size, members))
    for _ in range(ROUNDS):
        total = xp.sum(above * weights * size, axis=members, keepdims=True) - cost
        share = xp.sum(above * weights, axis=members, keepdims=True)
        better = total / xp.where(share > 0, share, 1.0)
        grows = (better > theta) | ((better != better) & (theta == theta))  # NaN once
        if not bool(xp.any(grows)):
            break
        theta = xp.where(grows, better, theta)
        above = xp.astype(size > theta, size.dtype)
    return theta
