"""The group lasso, under which whole groups of weights become zero together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from shrinkage.penalties.arguments import GROUP_WEIGHT, GROUPS, STRENGTH
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    radial_threshold,
    safe_sqrt,
    squared_modulus,
)
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.layout import (
    Grouped,
    Groups,
    Layout,
    is_by_row,
    is_index_lists,
    largest,
    lay_out,
    like,
    resolve,
    restore,
)
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits

NEWTON_STEPS = 60  # at most; it converges after a few


@final
@register("group_lasso")
@dataclass(frozen=True, repr=False)
class GroupLasso(Penalty):
    """Group lasso: ``Ω(w) = lam·Σ_g √p_g·‖w_g‖₂``, whole groups become zero.

    Group g has p_g entries. ``gradient = lam·√p_g·w_g/‖w_g‖``, 0 where a group is all zero.
    ``prox(w, step)_g = w_g·max(1 − step·lam·√p_g/‖w_g‖, 0)``: groups become exactly zero, whole.
    With an array `step` the minimum in that metric is found by Newton's method.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.
    groups : default "out"
        "out": one group an output unit (on a bare array, an index of axis 0); "in": one an input
        unit (axis 1); in a `shrinkage.torch.Regularizer` the module says which entries these are.
        An axis or axes whose indices name the groups: ``0`` rows, ``(0, 1)`` the kernels of a
        convolution. ``"2x2"``: blocks of the first two axes. ``"heads:64"``: the heads of
        attention, 64 output units each, or 64 input units where the module is known as attention's
        output projection; where one projection makes query, key and value, those of a head
        together. ``"out:heads:64"``, ``"in:heads:64"`` say the side, and ``"heads:3x64"`` that a
        head has units in three parts. Lists of indices into the flattened array, entries in none of
        them free. In one dimension every entry is a group.
    weight : {"sqrt", "none"}, default "sqrt"
        "none" leaves out the √p_g.

    Notes
    -----
    References: Yuan and Lin (2006); in a diagonal metric Deleu and Bengio (2021), arXiv 2102.03869.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[3.0, 4.0], [0.3, 0.4]])
    >>> GroupLasso(1.0, weight="none")
    GroupLasso(lam=1.0, weight='none'): 1·Σ‖w_g‖
    >>> float(GroupLasso(1.0, weight="none")(w))
    5.5
    >>> GroupLasso(1.0, weight="none").prox(w, step=1.0)
    array([[2.4, 3.2],
           [0. , 0. ]])
    """

    lam: float = field(metadata=STRENGTH)
    groups: Groups = field(default="out", metadata=GROUPS)
    weight: str = field(default="sqrt", metadata=GROUP_WEIGHT)

    def _value(self, xp: Namespace, w: Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        return xp.sum(self._strengths(grouped) * norms(xp, grouped))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        norm = norms(xp, grouped)
        scale = self._strengths(grouped) / xp.where(norm == 0, 1.0, norm)
        return restore(xp, grouped, grouped.values * scale, xp.zeros_like(w))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        grouped = lay_out(xp, w, self.groups)
        if isinstance(step, float) or step.ndim == 0:
            threshold = step * self._strengths(grouped)
            values = radial_threshold(xp, grouped.values, norms(xp, grouped), threshold)
        else:
            costs = like(xp, grouped, step) * self._strengths(grouped)
            values = _shrink_in_metric(xp, grouped, costs)
        return restore(xp, grouped, values, w)

    def number_groups(self, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """The number of each entry's group in an array of this shape, and each group's strength.

        An entry in no list of indices is a group of its own, of the strength 0.

        >>> numbers, strengths = GroupLasso(1.0, groups=[[0, 2]], weight="none").number_groups((3,))
        >>> numbers.tolist(), strengths.tolist()
        ([0, 1, 0], [1.0, 0.0])
        """
        grouped = lay_out(np, np.zeros(shape), self.groups)
        kept = [1 if axis in grouped.members else n for axis, n in enumerate(grouped.values.shape)]
        count = math.prod(kept)
        numbers = np.broadcast_to(np.arange(count).reshape(kept), grouped.values.shape)
        labels = restore(np, grouped, numbers, np.full(shape, -1))
        alone = labels < 0
        numbered = np.where(alone, count - 1 + np.cumsum(alone).reshape(shape), labels)
        strengths = np.broadcast_to(self._strengths(grouped), kept).ravel()
        return numbered, np.append(strengths, np.zeros(int(alone.sum())))

    def _as_group_norms(self, shape: tuple[int, ...]) -> tuple[Layout, float] | None:
        if is_index_lists(self.groups):
            return None
        layout = resolve(self.groups, shape)
        view = layout.view or shape
        size = math.prod(length for axis, length in enumerate(view) if axis not in layout.axes)
        return Layout(view, layout.axes), self.lam * (size**0.5 if self.weight == "sqrt" else 1.0)

    def _step_text(self, step: float) -> str:
        root = "·√p_g" if self.weight == "sqrt" else ""
        return f"‖w_g‖ − {step * self.lam:.3g}{root}, at least 0"

    def _strengths(self, grouped: Grouped) -> Any:
        return self.lam * grouped.sizes**0.5 if self.weight == "sqrt" else self.lam

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ{'√p_g·' if self.weight == 'sqrt' else ''}‖w_g‖"

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
        )


def norms(xp: Namespace, grouped: Grouped) -> Array:
    """‖w_g‖₂ of each group, shaped to multiply the group's entries."""
    scale = _scale(xp, grouped)
    squares = squared_modulus(xp, grouped.values / scale)
    return scale * safe_sqrt(xp, xp.sum(squares, axis=grouped.members, keepdims=True))


def _scale(xp: Namespace, grouped: Grouped) -> Array:
    """A power of two near each group's largest entry: divided by it, no square over- or underflows.

    The exponent is an integer on the way, so for automatic differentiation a constant.
    """
    most = largest(xp, xp.abs(grouped.values), grouped.members)
    usable = (most > 4.0 * xp.finfo(most.dtype).smallest_normal) & (most < math.inf)
    exponent = xp.astype(xp.log2(xp.where(usable, most, 2.0)), xp.int32) - 1
    return 2.0 ** xp.astype(exponent, most.dtype)


def _shrink_in_metric(xp: Namespace, grouped: Grouped, costs: Array) -> Array:
    """argmin over x of ½Σ(xᵢ − zᵢ)²/sᵢ + κ‖x‖ in each group, given cᵢ = sᵢ·κ as `costs`.

    x = θz/(θ + c), where θ = ‖x‖ solves S(θ) = Σ z²/(θ + c)² = 1, or x = 0 if S(0) ≤ 1. 1/√S is
    concave, rises and is nearly a line, so Newton's method on 1/√S = 1 climbs from the left to the
    root in a few steps and never past it.
    """
    z, axes = grouped.values, grouped.members
    modulus = xp.abs(z)
    outside = modulus > costs  # S(0) > 1 by this entry alone
    ratio = modulus / xp.where(outside | (costs == 0), 1.0, costs)
    inside = xp.sum(xp.where(outside, 0.0, ratio) ** 2, axis=axes, keepdims=True)
    alive = xp.any(outside, axis=axes, keepdims=True) | ~(inside <= 1.0)
    theta = largest(xp, modulus - costs, axes)
    tiny = xp.finfo(theta.dtype).smallest_normal  # below every root, and no divisor is 0
    theta = xp.where(theta > tiny, theta, tiny)
    for _ in range(NEWTON_STEPS):
        total = theta + costs
        terms = (modulus / total) ** 2
        squares = xp.sum(terms, axis=axes, keepdims=True)  # S
        slope = xp.sum(terms / total, axis=axes, keepdims=True)  # −S'/2
        better = theta + squares * (xp.sqrt(squares) - 1.0) / _positive(xp, slope)
        grows = alive & (better > theta)
        if not bool(xp.any(grows)):
            break
        theta = xp.where(grows, better, theta)
    scale = xp.where(alive, theta / (theta + costs), 0.0)
    scale = xp.where(xp.isnan(inside), inside, scale)  # with one NaN the group's norm is NaN
    return z * scale + 0.0  # −0.0 + 0.0 = 0.0


def _positive(xp: Namespace, divisor: Array) -> Array:
    """`divisor`, with 1 in place of 0."""
    return xp.where(divisor > 0, divisor, 1.0)
