"""The one abstract class: a penalty Ω of one array.

>>> import numpy as np
>>> from shrinkage import L1, Box, GroupLasso
>>> w = np.array([[3.0, -4.0], [0.0, 0.0]])
>>> penalty = L1(0.5) + GroupLasso(1.0, weight="none")
>>> float(penalty.value(w))  # ½·(3 + 4) + √(3² + 4²)
8.5
>>> penalty.gradient(w)[0].round(9)
array([ 1.1, -1.3])
>>> penalty.split().absolute, GroupLasso(1.0).group_zeros(w)
(0.5, (1, 2))
>>> figure = penalty.plot()
>>> assert penalty.why_not("prox") is penalty.why_not("metric") is None
>>> Box(0, 1).why_not("gradient")
'Box(low=0.0, high=1.0): 0 ≤ w ≤ 1 is a constraint and has no gradient: use how="proximal"'
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

from shrinkage.figures.penalty_figure import plot_penalty
from shrinkage.penalties.arguments import check_arguments, check_names, check_range
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    checked_step,
    limited_entries,
    namespace,
    narrow,
    widen,
)
from shrinkage.penalties.describing import construction, describe_arguments, describe_terms
from shrinkage.penalties.layout import Groups, Layout, count_zero_groups, limited_groups
from shrinkage.penalties.registry import KINDS
from shrinkage.penalties.scalars import Constants, ScalarForm
from shrinkage.penalties.traits import DEFAULTS, Traits, cache_traits, check_traits
from shrinkage.text_table import to_html


class Split(NamedTuple):
    """A penalty taken apart: absolute·Σ|w| + square·Σw² + the rest."""

    absolute: float
    square: float
    rest: tuple[Penalty, ...]


class Penalty:
    """Ω: a function of one array, with its gradient and its prox.

    ``prox(w, step) = argmin over u of ½‖u − w‖²/step + Ω(u)``. `step` is a number, or an array of
    w's shape that gives the step of each entry: the prox in a diagonal metric. NumPy arrays and
    torch tensors serve alike (any library that array-api-compat knows). Integers count as floats,
    complex numbers by their modulus, and 16-bit floats are calculated in float32. No argument is
    ever changed. Penalties add up: ``L1(1e-4) + L2(1e-3)``.

    Notes
    -----
    *One of your own* is a frozen dataclass, whose fields are its numbers. It defines, for an array
    `w` of 32 bits or more of the library `xp` (a `how` whose method is missing is refused):

    - ``_value(xp, w)``: Ω(w), a scalar of the library; or, where Ω is separable, a sum over the
      entries, ``_entries(xp, w)``: what each entry adds (and ``Traits(is_separable=True)``).
    - ``_gradient(xp, w)``: ∂Ω(w), for ``how="loss"``, "coupled" and "decoupled".
    - ``_prox(xp, w, step)``: for ``how="proximal"``. Optimizers such as Adam pass an array `step`;
      a prox that is right for one number alone has ``Traits(takes_metric=False)``.
    - ``traits``: the facts about it that are not the defaults of `Traits`. A constraint states
      ``Traits(is_indicator=True)``: it has no gradient, and its prox is applied in full.
    - ``formula``: Ω(w) for people; else the name of the class.

    Examples
    --------
    >>> import dataclasses, numpy as np
    >>> from shrinkage import Traits
    >>> @dataclasses.dataclass(frozen=True)
    ... class UnitNorm(Penalty):
    ...     axis: int = 1
    ...     traits = Traits(is_indicator=True)
    ...
    ...     def _norm(self, xp, w):
    ...         return xp.sqrt(xp.sum(w * w, axis=self.axis, keepdims=True))
    ...
    ...     def _value(self, xp, w):
    ...         return xp.where(xp.all(xp.abs(self._norm(xp, w) - 1) < 1e-5), 0.0, xp.inf)
    ...
    ...     def _prox(self, xp, w, step):
    ...         return w / self._norm(xp, w)
    >>> UnitNorm().prox(np.array([[3.0, 4.0], [0.0, 0.5]]), step=1.0)
    array([[0.6, 0.8],
           [0. , 1. ]])
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that states a fact where nothing reads it."""
        check_traits(cls)

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Refuse other libraries' names of arguments, and say which name to write."""
        check_names(cls, named)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        check_arguments(self)
        cache_traits(self)

    def __call__(self, w: Array) -> Array:
        """Ω(w), as `value`."""
        return self.value(w)

    def value(self, w: Array) -> Array:
        """Ω(w): a scalar of w's library, differentiable where the library differentiates."""
        xp = namespace(w)
        wide = widen(xp, w)
        self._check_range(xp, wide.dtype)
        return self._value(xp, wide)

    def gradient(self, w: Array) -> Array:
        """∂Ω(w): of w's shape; at a kink the subgradient 0.

        Raises
        ------
        ValueError
            If there is none: for constraints, counts and powers below 1.
        """
        if (reason := self.why_not("gradient")) is not None:
            raise ValueError(reason)
        xp = namespace(w)
        wide = widen(xp, w)
        self._check_range(xp, wide.dtype)
        return narrow(xp, self._gradient(xp, wide), w)

    def prox(self, w: Array, step: float | Array) -> Array:
        """argmin over u of ½‖u − w‖²/step + Ω(u): of w's shape.

        Parameters
        ----------
        w : array
            The point to start from.
        step : float or array of w's shape
            At least 0; 0 leaves an entry where it is. For gradient descent the learning rate.

        Raises
        ------
        ValueError
            If `step` is negative, not finite, or of another shape than `w`; if this penalty has no
            prox in closed form, or none for an array of steps.
        """
        if (reason := self.why_not("prox")) is not None:
            raise ValueError(reason)
        xp = namespace(w)
        wide = widen(xp, w)
        self._check_range(xp, wide.dtype)
        size = checked_step(xp, wide, step)
        is_metric = not isinstance(size, float) and size.ndim > 0
        if is_metric and (reason := self.why_not("metric")) is not None:
            raise ValueError(reason)
        return self._round_to(xp, self._prox(xp, wide, size), w)

    def why_not(self, what: str) -> str | None:
        """The sentence that says why it has no "gradient", "prox" or "metric"; None if it has one.

        "metric" is a prox for an array of steps, one for each entry, as Adam has.
        """
        if what not in {"gradient", "prox", "metric"}:
            raise ValueError(f'what must be "gradient", "prox" or "metric", got {what!r}')
        return self._why_not(what)

    def plot(self, reach: float = 1.0) -> Any:
        """A Plotly figure: Ω and prox of a weight up to 2·`reach`, the ball up to (`reach`, 0)."""
        return plot_penalty(self, construction(self), reach)

    def split(self) -> Split:
        """This penalty as absolute·Σ|w| + square·Σw² + the rest."""
        return Split(0.0, 0.0, (self,))

    def group_zeros(self, w: Array) -> tuple[int, int]:
        """How many groups of `w` are exactly zero, and how many groups this penalty can zero."""
        groups = self._zeroed_groups
        return (0, 0) if groups is None else count_zero_groups(w, groups)

    @property
    def traits(self) -> Traits:
        """The facts about this penalty beside its formulas."""
        return DEFAULTS

    @property
    def formula(self) -> str:
        """Ω(w) as a formula with its numbers, for people."""
        return f"{type(self).__name__}(w)"

    @property
    def is_zero(self) -> bool:
        """Whether Ω is 0 everywhere, because its strength is."""
        return getattr(self, "lam", 1.0) == 0.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe_arguments(self)}): {self.formula}"

    def _repr_html_(self) -> str:
        return to_html(describe_terms(self._terms()))

    def __add__(self, other: Penalty) -> Penalty:
        if not isinstance(other, Penalty):
            return NotImplemented
        total: Penalty = KINDS["Sum"]((*self._terms(), *other._terms()))
        return total

    def __radd__(self, other: object) -> Penalty:
        return self if other == 0 else NotImplemented  # the built-in sum() starts with 0

    def _value(self, xp: Namespace, w: Array) -> Array:
        return xp.sum(self._entries(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        """What each entry adds to Ω(w), of w's shape."""
        raise NotImplementedError(f"{type(self).__name__} defines neither _value nor _entries")

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no gradient")

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no prox")

    def _why_not(self, what: str) -> str | None:
        if what == "gradient":
            if self.traits.is_indicator:
                return f'{self!r} is a constraint and has no gradient: use how="proximal"'
            if type(self)._gradient is not Penalty._gradient:
                return None
            why = " to step along" if self.traits.is_count else ", as it defines no _gradient"
            return f'{self!r} has no gradient{why}: use how="proximal"'
        if type(self)._prox is Penalty._prox:
            return f'{self!r} has no prox, as it defines no _prox: use how="coupled" or how="loss"'
        if what == "metric" and not self.traits.takes_metric:
            others = "" if self._why_not("gradient") else ', or how="coupled" or how="loss"'
            return (
                f"{self!r} has no prox in closed form where each entry has a step of its own, as "
                f"under Adam: use SGD{others}"
            )
        return None

    # The library's own penalties override these too, where the default does not fit.
    _projects_capped_moves: ClassVar[bool] = False  # `_cap_move` ends with the prox

    @property
    def _zeroed_groups(self) -> Groups | None:
        """The groups of entries that become zero together; None where entries do so alone."""
        return None

    def _cap_move(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        """`target`, or as far from `w` towards it as no entry moves by more than `limit`.

        The entries of a group move in proportion. A constraint ignores the limit, or ends at the
        allowed point next to `near`.
        """
        if (groups := self._zeroed_groups) is not None:
            return limited_groups(xp, w, target, limit, groups)
        near = limited_entries(xp, w, target, limit)
        if not self.traits.is_indicator:
            return near
        return self._prox(xp, near, 0.0) if self._projects_capped_moves else target

    def _round_to(self, xp: Namespace, result: Array, w: Array) -> Array:
        """A prox in the type of `w`: a constraint rounds 16-bit floats towards where it holds."""
        return narrow(xp, result, w)

    def _scalar_form(self) -> tuple[ScalarForm, Constants] | None:
        """Prox and gradient for one number with their constants, from which loops are compiled."""
        return None

    def _as_group_norms(self, shape: tuple[int, ...]) -> tuple[Layout, float] | None:
        """Ω as κ·Σ_g ‖w_g‖₂ with groups of one size: the groups and κ; None where it is not."""
        return None

    def _price(self, size: float | Array) -> float | Array:
        return size  # of a group; for a count what it costs unless it is zero

    def _step_text(self, step: float) -> str | None:
        """What a prox of that step does, in a few words; None where the formula is shown."""
        return f"to the nearest w with {self.formula}" if self.traits.is_indicator else None

    def _terms(self) -> tuple[Penalty, ...]:
        return (self,)

    def _check_range(self, xp: Namespace, dtype: Any) -> None:
        """Refuse numbers that overflow or vanish in the type of the weights."""
        for term in self._terms():
            check_range(term, xp, dtype)


def terms(penalty: Penalty) -> tuple[Penalty, ...]:
    """The terms of a sum, or the penalty alone."""
    return penalty._terms()
