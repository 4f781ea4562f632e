"""Penalties on how far weights are from somewhere, and with a weight for each entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, final

import array_api_compat

from shrinkage.penalties.arguments import ARRAY
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    checked_array,
    narrow,
    narrow_within,
)
from shrinkage.penalties.base import Penalty, terms
from shrinkage.penalties.describing import construction
from shrinkage.penalties.registry import register
from shrinkage.penalties.traits import Traits, cache_traits

OF_A_REGULARIZER = "which only a shrinkage.torch.Regularizer takes, as it knows the parameters"


@final
@register()
@dataclass(frozen=True, repr=False, eq=False)
class Toward(Penalty):
    """The distance from an array, a model or the start: ``Ω(w) = R(w − reference)``.

    With `L2` this is L2-SP, with `L1` L1-SP: weights that fine-tuning does not need return to the
    reference, under ``Toward(..., L1(lam))`` exactly.
    ``prox(w, step) = reference + prox_R(w − reference, step)``.

    Parameters
    ----------
    reference : array, mapping of parameter names to arrays, model, or "start"
        Where to; it does not move. An array has w's shape. A `shrinkage.torch.Regularizer` takes
        from a mapping (a ``state_dict``) or from another model each parameter's own, as it is when
        the Regularizer is made; "start" is where its own parameters are then.
    penalty : Penalty
        R.

    Notes
    -----
    With ``Weighted(fisher, L2(lam))`` as R it is elastic weight consolidation. References: Li,
    Grandvalet and Davoine (2018); Kirkpatrick et al. (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from shrinkage import L1
    >>> penalty = Toward(np.array([1.0, 2.0]), L1(0.5))
    >>> penalty
    Toward([2], L1(lam=0.5)): 0.5·Σ|w| at w − reference
    >>> float(penalty(np.array([3.0, 2.0])))
    1.0
    >>> penalty.prox(np.array([3.0, 2.25]), step=1.0)
    array([2.5, 2. ])
    """

    reference: Any = field(metadata=ARRAY)
    penalty: Penalty

    def __post_init__(self) -> None:
        _check_penalty(self.penalty)
        reference = self.reference
        if isinstance(reference, str) and reference != "start":
            raise ValueError(f'reference must be an array or "start", got {reference!r}')
        if not (isinstance(reference, str) or _is_by_name(reference)):
            checked_array("reference", reference)
        cache_traits(self)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return self.penalty._value(xp, w - self._origin(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return self.penalty._entries(xp, w - self._origin(xp, w))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return self.penalty._gradient(xp, w - self._origin(xp, w))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        origin = self._origin(xp, w)
        moved = self.penalty._prox(xp, w - origin, step)
        return xp.where(moved == w - origin, w, origin + moved)

    def _cap_move(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        origin = self._origin(xp, w)
        return origin + self.penalty._cap_move(xp, w - origin, target - origin, limit)

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        if not self.traits.is_constrained:
            return narrow(xp, result, w)
        origin = self._origin(xp, result)
        low, high = xp.minimum(origin, result), xp.maximum(origin, result)
        return narrow_within(xp, result, w, low, high)  # no farther from the reference

    def _origin(self, xp: Namespace, w: Array) -> Array:
        reference = _check_shape("reference", self.reference, w)
        if _is_complex(reference) and not _is_complex(w):
            raise TypeError(f"reference must be real as w is, got {reference.dtype}")
        return xp.asarray(reference, dtype=w.dtype, device=array_api_compat.device(w))

    def _why_not(self, what: str) -> str | None:
        return self.penalty._why_not(what)

    @cached_property
    def traits(self) -> Traits:
        inner = self.penalty.traits
        return Traits(
            is_convex=inner.is_convex,
            is_constrained=inner.is_constrained,
            takes_metric=inner.takes_metric,
            is_smooth=not (inner.is_norm or inner.makes_zeros),
            fixes_zero=False,
        )

    @property
    def formula(self) -> str:
        return f"{self.penalty.formula} at w − reference"

    @property
    def is_zero(self) -> bool:
        return self.penalty.is_zero

    def __repr__(self) -> str:
        return f"Toward({_describe(self.reference)}, {construction(self.penalty)}): {self.formula}"


@final
@register()
@dataclass(frozen=True, repr=False, eq=False)
class Weighted(Penalty):
    """A weight for each entry, as in the adaptive lasso: ``Ω(w) = Σ weights_i·R(w_i)``.

    R is separable. Weights of ``1/|ŵ|`` from a first fit ŵ make `L1` the adaptive lasso.
    ``gradient`` is R's times the weights, and ``prox(w, step)`` is R's at ``weights·step``.

    Parameters
    ----------
    weights : array of w's shape, or mapping of parameter names to arrays
        At least 0 and finite; 0 leaves an entry free. A `shrinkage.torch.Regularizer` takes from a
        mapping each parameter's own.
    penalty : Penalty
        R, of single entries: not groups, not matrices.

    Notes
    -----
    Reference: Zou (2006).

    Examples
    --------
    >>> import numpy as np
    >>> from shrinkage import L1
    >>> penalty = Weighted(np.array([1.0, 0.0, 4.0]), L1(0.5))
    >>> penalty
    Weighted([3], L1(lam=0.5)): 0.5·Σ|w|, each entry times its weight
    >>> float(penalty(np.array([1.0, 2.0, 3.0])))
    6.5
    >>> penalty.prox(np.array([1.0, 2.0, 3.0]), step=1.0)
    array([0.5, 2. , 1. ])
    """

    weights: Any = field(metadata=ARRAY)
    penalty: Penalty

    def __post_init__(self) -> None:
        _check_penalty(self.penalty)
        for term in terms(self.penalty):
            if not term.traits.is_separable or term.traits.is_indicator:
                hint = (
                    "; write Toward(reference, Weighted(weights, ...))"
                    if isinstance(term, Toward)
                    else ""
                )
                raise ValueError(
                    "penalty must be one of single entries, and no constraint, to be weighted by "
                    f"entry, got {term!r}{hint}"
                )
        if isinstance(self.weights, Mapping):
            for name, weights in self.weights.items():
                _check_weights(f"weights of {name}", weights)
        else:
            _check_weights("weights", self.weights)
        cache_traits(self)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return xp.sum(self._entries(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        entries = self.penalty._entries(xp, w)
        return self._cast_weights(xp, w) * entries

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return self._cast_weights(xp, w) * self.penalty._gradient(xp, w)

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        return self.penalty._prox(xp, w, step * self._cast_weights(xp, w))

    def _cast_weights(self, xp: Namespace, w: Array) -> Array:
        weights = _check_shape("weights", self.weights, w)
        return xp.asarray(
            weights, dtype=xp.abs(w[:0] if w.ndim else w).dtype, device=array_api_compat.device(w)
        )

    def _why_not(self, what: str) -> str | None:
        return self.penalty._why_not("metric" if what == "prox" else what)

    @cached_property
    def traits(self) -> Traits:
        """The penalty's own, but for the weights, which stand for these entries alone."""
        inner = self.penalty.traits
        return replace(inner, is_separable=False, is_by_row=False, is_count=False)

    @property
    def formula(self) -> str:
        return f"{self.penalty.formula}, each entry times its weight"

    @property
    def is_zero(self) -> bool:
        return self.penalty.is_zero

    def __repr__(self) -> str:
        return f"Weighted({_describe(self.weights)}, {construction(self.penalty)}): {self.formula}"


def _check_penalty(penalty: object) -> None:
    if not isinstance(penalty, Penalty):
        raise TypeError(f"penalty must be a penalty such as L1(1e-3), got {penalty!r}")


def _is_by_name(reference: object) -> bool:
    """Whether this is arrays by the names of parameters: a mapping, or a torch module."""
    is_model = not isinstance(reference, type) and callable(
        getattr(reference, "named_parameters", None)
    )
    return isinstance(reference, Mapping) or is_model


def _check_weights(name: str, weights: Any) -> None:
    checked_array(name, weights)
    if _is_complex(weights):
        raise TypeError(f"{name} must be real, got {weights.dtype}")
    xp = array_api_compat.array_namespace(weights)
    if not bool(xp.all((weights >= 0) & (weights < float("inf")))):
        raise ValueError(f"{name} must be >= 0 and finite in every entry")


def _check_shape(name: str, array: Any, w: Array) -> Array:
    """`array`, if it is one of w's shape."""
    if not array_api_compat.is_array_api_obj(array):
        raise ValueError(
            f"{name} must be an array of w's shape here, got {_describe(array)}, {OF_A_REGULARIZER}"
        )
    if tuple(array.shape) != tuple(w.shape):
        shapes = f"{tuple(array.shape)}, where w has {tuple(w.shape)}"
        raise ValueError(f"{name} must have w's shape, got {shapes}")
    return array


def _is_complex(array: Array) -> bool:
    xp = array_api_compat.array_namespace(array)
    return bool(xp.isdtype(array.dtype, "complex floating"))


def _describe(reference: object) -> str:
    if array_api_compat.is_array_api_obj(reference):
        return f"[{'×'.join(map(str, reference.shape))}]"  # type: ignore[attr-defined]
    return repr(reference) if isinstance(reference, str) else f"<{type(reference).__name__}>"
