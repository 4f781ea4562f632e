"""The yes-or-no facts about a penalty, beside its formulas."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from shrinkage.penalties.arguments import check_names


@dataclass(frozen=True, kw_only=True, repr=False)
class Traits:
    """What is true of a penalty whose strength is not 0, as far as its formulas do not say so.

    A penalty states it once, as its class attribute `traits`; where it depends on the penalty's
    numbers, `traits` is a property. What is not named has its default.

    Parameters
    ----------
    is_convex : bool, default True
        Ω is convex: with a convex data loss, training converges to the minimum.
    is_separable : bool
        Ω is a sum over the entries, each by itself.
    is_by_row : bool
        Ω(w) is the sum of Ω(w[i]) over the indices i of axis 0. True if `is_separable` is.
    is_indicator : bool
        Ω is a constraint: 0 where it holds, else infinite. It has no gradient, and its prox, a
        projection, is applied in full after every step.
    is_constrained : bool
        Ω is infinite somewhere, so its prox must be taken at any strength. True if `is_indicator`
        is.
    takes_metric : bool, default True
        The prox is right for an array of steps, one for each entry, as Adam has.
    pulls_to_zero : bool
        A step moves each entry towards 0, so one whose sign a decoupled step would change stops
        at 0.
    follows_soft_threshold : bool
        The prox of ``L1(lam) + this`` is that of `L1`, then this one.
    makes_zeros : bool
        A minimum with this penalty has exact zeros.
    is_norm : bool
        Ω(c·w) = |c|·Ω(w).
    is_smooth : bool, default True
        Ω has a derivative wherever no entry is 0.
    is_continuous : bool, default True
        The prox of a small step moves `w` little.
    is_count : bool
        Ω is a price for what is not zero, whatever its size.
    fixes_zero : bool, default True
        The prox leaves 0 where it is.

    Raises
    ------
    TypeError
        For a name that is none of these, with the nearest.

    Examples
    --------
    >>> from shrinkage import L2, MaxNorm
    >>> L2(0.1).traits
    Traits(is_separable=True, is_by_row=True, pulls_to_zero=True)
    >>> MaxNorm(1.0, groups="in").traits.is_by_row
    False
    >>> Traits(is_indicator=True).is_constrained
    True
    """

    is_convex: bool = True
    is_separable: bool = False
    is_by_row: bool = False
    is_indicator: bool = False
    is_constrained: bool = False
    takes_metric: bool = True
    pulls_to_zero: bool = False
    follows_soft_threshold: bool = False
    makes_zeros: bool = False
    is_norm: bool = False
    is_smooth: bool = True
    is_continuous: bool = True
    is_count: bool = False
    fixes_zero: bool = True

    def __new__(cls, **facts: bool) -> Self:
        """Refuse a misspelt fact, and say which name to write."""
        check_names(cls, facts)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_by_row", self.is_by_row or self.is_separable)
        object.__setattr__(self, "is_constrained", self.is_constrained or self.is_indicator)

    def __repr__(self) -> str:
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        default = {field.name: field.default for field in fields(self)}
        return f"Traits({', '.join(f'{n}={v}' for n, v in stated.items() if v != default[n])})"


DEFAULTS = Traits()


def cache_traits(penalty: Any) -> None:
    """Compute the traits of a new penalty: torch.compile cannot take a cached property's lock."""
    _ = penalty.traits


def check_traits(kind: type) -> None:
    """Refuse a penalty's class that states a fact where nothing reads it.

    Raises
    ------
    TypeError
        With the line to write.
    """
    for name in (field.name for field in fields(Traits)):
        if hasattr(kind, name):  # also of a base that is no penalty
            value = getattr(kind, name)
            written = value if isinstance(value, bool) else "..."
            raise TypeError(
                f"{kind.__name__}.{name} is read from its traits alone: write "
                f"traits = Traits({name}={written})"
            )
    for name, value in vars(kind).items():
        if isinstance(value, Traits) and name != "traits":
            raise TypeError(f"{kind.__name__}.{name} must be called traits: write traits = {value}")
    traits: Any = vars(kind).get("traits", DEFAULTS)
    is_property = hasattr(traits, "__get__") and not callable(traits)
    if not (is_property or isinstance(traits, Traits)):
        raise TypeError(
            f"{kind.__name__}.traits must be Traits(...) or a property that returns it, got "
            f"{traits!r}"
        )
