"""The count of groups that are not all zero."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, final

from shrinkage.penalties.arguments import COUNT_WEIGHT, GROUPS, STRENGTH
from shrinkage.penalties.arrays import Array, Namespace
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.groups import norms
from shrinkage.penalties.layout import Groups, is_by_row, lay_out, like, restore
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits


@final
@register("group_l0")
@dataclass(frozen=True, repr=False)
class GroupL0(Penalty):
    """A price for each group that is not zero: ``Ω(w) = lam·Σ_g p_g·[w_g ≠ 0]``.

    Group g has p_g entries. There is no gradient. ``prox(w, step)_g = w_g where
    ‖w_g‖₂ > √(2·step·lam·p_g), else 0``: groups become exactly zero, whole, and the others stay as
    they are. With an array `step` group g stays where ``Σ w²/(2·step) > lam·p_g``.

    Parameters
    ----------
    lam : float
        The price of one weight in a group that is not zero, at least 0; 0 is no penalty.
    groups : default "out"
        As for `GroupLasso`.
    weight : {"size", "none"}, default "size"
        "none" leaves out the p_g, so that each group has the same price.

    Notes
    -----
    On groups of one entry it is `L0`. Reference: Blumensath and Davies (2009), "Sampling theorems
    for signals from the union of finite-dimensional linear subspaces".

    Examples
    --------
    >>> import numpy as np
    >>> GroupL0(1.0, weight="none")
    GroupL0(lam=1.0, weight='none'): 1·Σ[w_g ≠ 0]
    >>> w = np.array([[3.0, 4.0], [0.3, 0.4]])
    >>> float(GroupL0(0.5)(w))
    2.0
    >>> GroupL0(0.5).prox(w, step=1.0)
    array([[3., 4.],
           [0., 0.]])
    """

    lam: float = field(metadata=STRENGTH)
    groups: Groups = field(default="out", metadata=GROUPS)
    weight: str = field(default="size", metadata=COUNT_WEIGHT)

    def _value(self, xp: Namespace, w: Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        alive = xp.any(grouped.values != 0, axis=grouped.members, keepdims=True)
        return xp.sum(self._price(grouped.sizes) * xp.astype(alive, xp.abs(w).dtype))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        values, price = grouped.values, 2.0 * self._price(grouped.sizes)
        if isinstance(step, float) or step.ndim == 0:
            size, threshold = norms(xp, grouped), (step * price) ** 0.5
        else:
            steps = like(xp, grouped, step)
            stays = (steps == 0) & (values != 0)
            scaled = values / xp.where(steps == 0, 1.0, steps) ** 0.5
            scaled = xp.where(stays, math.inf, scaled)
            size, threshold = norms(xp, replace(grouped, values=scaled)), price**0.5
        dies = (size <= threshold) & (threshold > 0)
        return restore(xp, grouped, xp.where(dies, 0.0, values) + 0.0, w)  # −0.0 + 0.0 = 0.0

    def _price(self, size: float | Array) -> Any:
        return self.lam * size if self.weight == "size" else self.lam

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ{'p_g·' if self.weight == 'size' else ''}[w_g ≠ 0]"

    @property
    def _zeroed_groups(self) -> Groups:
        return self.groups

    @cached_property
    def traits(self) -> Traits:
        return Traits(
            is_convex=False,
            is_by_row=is_by_row(self.groups),
            pulls_to_zero=True,
            makes_zeros=True,
            is_continuous=False,
            is_count=True,
        )
