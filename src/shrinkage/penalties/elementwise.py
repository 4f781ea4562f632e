"""Penalties that look at one weight at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from shrinkage.penalties.arguments import SHARE, STRENGTH
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    checked_strength,
    modulus,
    sign,
    soft_threshold,
    squared_modulus,
)
from shrinkage.penalties.base import Penalty, Split
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import Constants, ScalarForm, threshold_form
from shrinkage.penalties.traits import Traits


@final
@register("l1")
@dataclass(frozen=True, repr=False)
class L1(Penalty):
    """Lasso: ``Ω(w) = lam·Σ|w|``, which makes weights exactly zero.

    ``gradient = lam·sign(w)``, 0 at 0. ``prox(w, step) = sign(w)·max(|w| − step·lam, 0)``.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.

    Notes
    -----
    The same as Keras' ``L1(lam)`` and as ``alpha`` in scikit-learn's ``Lasso``, whose data loss is
    ``‖y − Xw‖²/(2n)``; beside a mean log-loss it is ``1/(n·C)`` of its ``LogisticRegression``.
    torch.optim has none. Reference: Tibshirani (1996).

    Examples
    --------
    >>> import numpy as np
    >>> penalty = L1(0.5)
    >>> penalty
    L1(lam=0.5): 0.5·Σ|w|
    >>> float(penalty(np.array([1, -2, 3, -4])))
    5.0
    >>> penalty.gradient(np.array([1.0, 0.0, -4.0]))
    array([ 0.5,  0. , -0.5])
    >>> penalty.prox(np.array([1.0, 0.25, -4.0]), step=1.0)
    array([ 0.5,  0. , -3.5])
    """

    lam: float = field(metadata=STRENGTH)

    traits = Traits(is_separable=True, pulls_to_zero=True, makes_zeros=True, is_norm=True)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return self.lam * xp.sum(modulus(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return self.lam * modulus(xp, w)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return self.lam * sign(xp, w)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return soft_threshold(xp, w, step * self.lam)

    def split(self) -> Split:
        return Split(self.lam, 0.0, ())

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return threshold_form(self.lam, 0.0)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σ|w|"


@final
@register("l2")
@dataclass(frozen=True, repr=False)
class L2(Penalty):
    """Ridge: ``Ω(w) = lam·Σw²``, without ½, as in Keras; torch has ½: `L2.from_weight_decay(c)`.

    ``gradient = 2·lam·w``. ``prox(w, step) = w/(1 + 2·step·lam)``.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.

    Notes
    -----
    torch's ``weight_decay=c`` in SGD is ``½·c·Σw²``. Reference: Hoerl and Kennard (1970).

    Examples
    --------
    >>> import numpy as np
    >>> L2(0.5)
    L2(lam=0.5): 0.5·Σw²
    >>> float(L2(0.5)(np.array([0.5, -1, 1.5, -2])))
    3.75
    >>> L2(0.5).prox(np.array([1.0, -2.0]), step=1.0)
    array([ 0.5, -1. ])
    """

    lam: float = field(metadata=STRENGTH)

    traits = Traits(is_separable=True, pulls_to_zero=True)

    @classmethod
    def from_weight_decay(cls, weight_decay: float) -> L2:
        """The penalty that torch's ``weight_decay`` stands for: ``½·weight_decay·Σw²``.

        Examples
        --------
        >>> L2.from_weight_decay(0.01) == L2(0.005)
        True
        """
        return cls(checked_strength("weight_decay", weight_decay) / 2)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return self.lam * xp.sum(squared_modulus(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return self.lam * squared_modulus(xp, w)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return (2.0 * self.lam) * w

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return w / (1.0 + 2.0 * self.lam * step)

    def split(self) -> Split:
        return Split(0.0, self.lam, ())

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return threshold_form(0.0, self.lam)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σw²"


@final
@register("elastic_net")
@dataclass(frozen=True, repr=False)
class ElasticNet(Penalty):
    """Elastic net: ``Ω(w) = lam·(l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²)``, scikit-learn's.

    ``gradient = lam·(l1_ratio·sign(w) + (1 − l1_ratio)·w)``.
    ``prox(w, step) = S(w, step·lam·l1_ratio)/(1 + step·lam·(1 − l1_ratio))``, where S is the soft
    threshold of `L1`.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.
    l1_ratio : float, default 0.5
        The share of the absolute values, from 0 (ridge alone) to 1 (lasso alone).

    Notes
    -----
    scikit-learn's ``ElasticNet(alpha=lam, l1_ratio=l1_ratio)``, which is why the square has its ½
    here. ``ElasticNet(lam, r)`` equals ``L1(r·lam) + L2((1 − r)·lam/2)``.
    Reference: Zou and Hastie (2005).

    Examples
    --------
    >>> import numpy as np
    >>> ElasticNet(1.0)
    ElasticNet(lam=1.0, l1_ratio=0.5): 0.5·Σ|w| + 0.25·Σw²
    >>> ElasticNet(1.0).prox(np.array([2.0, -0.5]), step=1.0)
    array([1., 0.])
    """

    lam: float = field(metadata=STRENGTH)
    l1_ratio: float = field(default=0.5, metadata=SHARE)

    def _value(self, xp: Namespace, w: Array) -> Array:
        absolute, square, _ = self.split()
        return absolute * xp.sum(modulus(xp, w)) + square * xp.sum(squared_modulus(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        absolute, square, _ = self.split()
        return absolute * modulus(xp, w) + square * squared_modulus(xp, w)

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        absolute, square, _ = self.split()
        return absolute * sign(xp, w) + (2.0 * square) * w

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        absolute, square, _ = self.split()
        return soft_threshold(xp, w, step * absolute) / (1.0 + 2.0 * square * step)

    def split(self) -> Split:
        return Split(self.l1_ratio * self.lam, (1.0 - self.l1_ratio) * self.lam / 2.0, ())

    def _scalar_form(self) -> tuple[ScalarForm, Constants]:
        return threshold_form(*self.split()[:2])

    @cached_property
    def traits(self) -> Traits:
        return Traits(
            is_separable=True,
            pulls_to_zero=True,
            makes_zeros=self.l1_ratio > 0,
            is_norm=self.l1_ratio == 1,
        )

    @property
    def formula(self) -> str:
        absolute, square, _ = self.split()
        return f"{absolute:g}·Σ|w| + {square:g}·Σw²"
