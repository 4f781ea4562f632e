"""Penalties on the singular values of a matrix; an array of more axes is (rows, all the rest)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import array_api_compat

from shrinkage.penalties.arguments import STRENGTH
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    squared_modulus,
    without_graph,
)
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.powers import descend
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits


@final
@register("nuclear_norm")
@dataclass(frozen=True, repr=False)
class NuclearNorm(Penalty):
    """The sum of the singular values: ``Ω(W) = lam·Σσ``, which lowers the rank of a matrix.

    ``gradient = lam·U·Vᴴ`` over the singular values that are not 0. ``prox(W, step)`` shrinks each
    singular value to ``max(σ − step·lam, 0)``; `step` is one number.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.

    Notes
    -----
    A singular value counts as 0 up to the rounding of the largest. Automatic differentiation finds
    two derivatives of the value, and not a third. References: Fazel (2002); Cai,
    Candès and Shen (2010).

    Examples
    --------
    >>> import numpy as np
    >>> NuclearNorm(0.5)
    NuclearNorm(lam=0.5): 0.5·Σσ
    >>> NuclearNorm(0.5).prox(np.array([[3.0, 0.0], [0.0, -0.25]]), step=1.0).round(9) + 0.0
    array([[2.5, 0. ],
           [0. , 0. ]])
    """

    lam: float = field(metadata=STRENGTH)

    traits = Traits(takes_metric=False, makes_zeros=True, is_norm=True, is_smooth=False)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return self.lam * _sum_of_singular_values(xp, _matrix(xp, w, self))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        left, values, right = _decompose(xp, _matrix(xp, w, self))
        kept = xp.where(_is_zero(xp, values, w), 0.0, xp.ones_like(values))
        return xp.reshape(self.lam * ((left * kept) @ right), tuple(w.shape))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        threshold = step * self.lam
        left, values, right = _decompose(xp, _matrix(xp, w, self))
        kept = xp.clip(values - threshold, min=0.0)
        shrunk = xp.reshape((left * kept) @ right, tuple(w.shape))
        return xp.where(threshold + xp.zeros_like(w) == 0, w, shrunk)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}·Σσ"


@final
@register("orthogonality")
@dataclass(frozen=True, repr=False)
class Orthogonality(Penalty):
    """Soft orthogonality: ``Ω(W) = lam·¼·‖WᴴW − I‖²``, least where the columns are orthonormal.

    A wide matrix counts transposed, so that its rows are. ``gradient = lam·W·(WᴴW − I)``.
    ``prox(W, step)`` takes each singular value s to the largest root σ of
    ``t·σ³ + (1 − t)·σ = s`` with t = step·lam; `step` is one number. Not convex; for t > 1 zero is
    not left at zero.

    Parameters
    ----------
    lam : float
        The strength, at least 0; 0 is no penalty.

    Notes
    -----
    Reference: Bansal, Chen and Wang (2018).

    Examples
    --------
    >>> import numpy as np
    >>> Orthogonality(1.0)
    Orthogonality(lam=1.0): 1/4·‖WᴴW − I‖²
    >>> float(Orthogonality(1.0)(2.0 * np.eye(3)))
    6.75
    >>> Orthogonality(1.0).prox(8.0 * np.eye(2), step=1.0).round(9)
    array([[2., 0.],
           [0., 2.]])
    """

    lam: float = field(metadata=STRENGTH)

    traits = Traits(is_convex=False, takes_metric=False)

    def _value(self, xp: Namespace, w: Array) -> Array:
        matrix = _tall(xp, _matrix(xp, w, self))
        return self.lam / 4.0 * xp.sum(squared_modulus(xp, _gram_excess(xp, matrix)))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        matrix = _matrix(xp, w, self)
        tall = _tall(xp, matrix)
        slope = tall @ _gram_excess(xp, tall)
        slope = slope if matrix.shape[0] >= matrix.shape[1] else _adjoint(xp, slope)
        return xp.reshape(self.lam * slope, tuple(w.shape))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        left, values, right = _decompose(xp, _matrix(xp, w, self))
        t = xp.zeros_like(values) + step * self.lam
        some = xp.where(t > 0, t, 1.0)
        start = xp.clip(values, min=1.0)  # above the root, as is the other where that is large
        start = xp.minimum(start, 1.0 + values ** (1 / 3) / some ** (1 / 3))
        roots = descend(xp, start, (1.0 - some, some, 3.0), values)
        roots = xp.where((values == 0) & (some <= 1), 0.0, roots)  # to the last digit
        moved = xp.reshape((left * roots) @ right, tuple(w.shape))
        return xp.where(step * self.lam + xp.zeros_like(w) == 0, w, moved)

    @property
    def formula(self) -> str:
        return f"{self.lam:g}/4·‖WᴴW − I‖²"


def _matrix(xp: Namespace, w: Array, penalty: Penalty) -> Array:
    if w.ndim < 2:
        raise ValueError(f"{penalty!r} is for arrays of two or more axes, got {tuple(w.shape)}")
    if xp.finfo(w.dtype).bits > 64:
        raise TypeError(
            f"{penalty!r} needs singular values, which w={w.dtype} has no routine for; "
            "convert w to float64"
        )
    return xp.reshape(w, (w.shape[0], math.prod(w.shape[1:])))


def _decompose(xp: Namespace, matrix: Array) -> tuple[Array, Array, Array]:
    """Its singular vectors and values; NaN where it is not finite.

    On infinite entries a library's own routine raises, or never ends.
    """
    is_finite = xp.all(xp.isfinite(matrix))
    left, values, right = xp.linalg.svd(xp.where(is_finite, matrix, 0.0), full_matrices=False)
    return xp.where(is_finite, left, math.nan), xp.where(is_finite, values, math.nan), right


def _sum_of_singular_values(xp: Namespace, matrix: Array) -> Array:
    """Σσ with two derivatives, which are finite also where singular values are equal or 0.

    Those of a decomposition have no bound there. With W = UΣVᴴ of the singular values that are not
    0, A = Uᴴ·E·V, B = E·V − U·A and C = Uᴴ·E − A·Vᴴ, Σσ of W + E is, up to E²,
    ``Σσ + Re tr A + ¼·Σ|A − Aᴴ|²_ij/(σ_i + σ_j) + ½·Σ(‖B_j‖² + ‖C_j‖²)/σ_j``.
    """
    fixed = without_graph(matrix)
    left, values, right = _decompose(xp, fixed)
    zero = _is_zero(xp, values, matrix)
    total = xp.sum(xp.where(zero, 0.0, values))
    if fixed is matrix:  # a library that does not differentiate
        return total
    move, sigma = matrix - fixed, xp.where(zero, 1.0, values)
    left = xp.where(zero, 0.0, left)
    right = xp.where(zero[:, None], 0.0, right)
    across = _adjoint(xp, left) @ move  # UᴴE
    inner = across @ _adjoint(xp, right)  # A
    turned = squared_modulus(xp, inner - _adjoint(xp, inner)) / (sigma[:, None] + sigma)
    below = squared_modulus(xp, move @ _adjoint(xp, right) - left @ inner) / sigma  # B
    beside = squared_modulus(xp, across - inner @ right) / sigma[:, None]  # C
    first = xp.sum(xp.linalg.diagonal(inner))
    first = xp.real(first) if xp.isdtype(matrix.dtype, "complex floating") else first
    return total + first + xp.sum(turned) / 4.0 + (xp.sum(below) + xp.sum(beside)) / 2.0


def _is_zero(xp: Namespace, values: Array, w: Array) -> Array:
    """Which singular values are no more than rounding."""
    rounding = xp.finfo(values.dtype).eps * max(w.shape)
    return values <= rounding * (xp.max(values) if math.prod(values.shape) else 0.0)


def _tall(xp: Namespace, matrix: Array) -> Array:
    return matrix if matrix.shape[0] >= matrix.shape[1] else _adjoint(xp, matrix)


def _adjoint(xp: Namespace, matrix: Array) -> Array:
    turned = xp.matrix_transpose(matrix)
    return xp.conj(turned) if xp.isdtype(matrix.dtype, "complex floating") else turned


def _gram_excess(xp: Namespace, tall: Array) -> Array:
    """WᴴW − I."""
    gram = _adjoint(xp, tall) @ tall
    return gram - xp.eye(gram.shape[0], dtype=gram.dtype, device=array_api_compat.device(gram))
