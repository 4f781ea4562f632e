"""The sum of several penalties."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import final

from shrinkage.penalties.arrays import Array, Namespace, limited_entries, narrow, soft_threshold
from shrinkage.penalties.base import Penalty, Split, terms
from shrinkage.penalties.describing import construction
from shrinkage.penalties.registry import register
from shrinkage.penalties.scalars import Constants, ScalarForm, threshold_form
from shrinkage.penalties.traits import Traits, cache_traits

# The facts that are true of a sum if they are true of each of its terms.
SHARED = (
    "is_convex",
    "is_separable",
    "is_by_row",
    "is_indicator",
    "takes_metric",
    "pulls_to_zero",
    "is_norm",
    "is_smooth",
    "is_continuous",
    "fixes_zero",
)


@final
@register()
@dataclass(frozen=True, repr=False)
class Sum(Penalty):
    """Ω₁ + Ω₂ + ...: value and gradient add up.

    The prox has a closed form for squares plus at most one other kind of term: with
    ``s = 1 + 2b·step``, ``prox(w, step)`` of Ω + b·Σw² is ``prox_Ω(w/s, step/s)``. L1 beside a
    group lasso (the sparse group lasso) thresholds entries first, then groups.

    Examples
    --------
    >>> from shrinkage import L1, L2
    >>> L1(0.5) + L2(0.25)
    L1(lam=0.5) + L2(lam=0.25): 0.5·Σ|w| + 0.25·Σw²
    """

    terms: tuple[Penalty, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("a sum needs at least one penalty")
        for term in self.terms:
            if not isinstance(term, Penalty):
                raise TypeError(f"a sum is of penalties, got {type(term).__name__}")
        flat = tuple(single for term in self.terms for single in terms(term))
        object.__setattr__(self, "terms", flat)
        cache_traits(self)

    def _value(self, xp: Namespace, w: Array) -> Array:
        return reduce(add, (term._value(xp, w) for term in self.terms))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        return reduce(add, (term._entries(xp, w) for term in self.terms))

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        return reduce(add, (term._gradient(xp, w) for term in self.terms))

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        absolute, square, rest = self.split()
        if square:
            shrink = 1.0 + 2.0 * square * step
            w, step = w / shrink, step / shrink
        if absolute or not rest:  # by 0 it is the identity, and a new array
            w = soft_threshold(xp, w, step * absolute)
        return rest[0]._prox(xp, w, step) if rest else w

    def _why_not(self, what: str) -> str | None:
        if what == "gradient":
            return next(filter(None, (term._why_not(what) for term in self.terms)), None)
        absolute, _, rest = self.split()
        if not rest or (len(rest) == 1 and (not absolute or rest[0].traits.follows_soft_threshold)):
            return rest[0]._why_not(what) if rest else None
        if self._why_not("gradient") is not None:
            remedy = "and no gradient to step along either; leave one of its terms out"
        else:
            remedy = 'use how="loss" or how="coupled" for it'
        return (
            f"{self!r} has no prox in closed form: beside squares, one penalty alone has, or L1 "
            f"with a group lasso or a constraint; {remedy}"
        )

    def split(self) -> Split:
        parts = [term.split() for term in self.terms]
        rest = tuple(penalty for part in parts for penalty in part.rest if not penalty.is_zero)
        return Split(sum(part.absolute for part in parts), sum(part.square for part in parts), rest)

    def _cap_move(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        rest = self.split().rest
        if rest:
            return rest[0]._cap_move(xp, w, target, limit)
        return limited_entries(xp, w, target, limit)

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        rest = self.split().rest
        return rest[0]._round_to(xp, result, w) if rest else narrow(xp, result, w)

    def _scalar_form(self) -> tuple[ScalarForm, Constants] | None:
        absolute, square, rest = self.split()
        if not rest:
            return threshold_form(absolute, square)
        return None if absolute or square or len(rest) > 1 else rest[0]._scalar_form()

    def _terms(self) -> tuple[Penalty, ...]:
        return self.terms

    @cached_property
    def traits(self) -> Traits:
        of_terms = [term.traits for term in self.terms]
        return Traits(
            **{name: all(getattr(each, name) for each in of_terms) for name in SHARED},
            is_constrained=any(each.is_constrained for each in of_terms),
            makes_zeros=any(term.traits.makes_zeros and not term.is_zero for term in self.terms),
        )

    @property
    def formula(self) -> str:
        return " + ".join(term.formula for term in self.terms)

    @property
    def is_zero(self) -> bool:
        return all(term.is_zero for term in self.terms)

    def __repr__(self) -> str:
        return f"{' + '.join(construction(term) for term in self.terms)}: {self.formula}"
