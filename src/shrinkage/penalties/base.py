"""The one abstract idea, a penalty Ω of one array, and the sum of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, final

from shrinkage.penalties.arguments import arguments, check_names
from shrinkage.penalties.arrays import (
    Array,
    Namespace,
    check_number,
    checked_step,
    limited_entries,
    namespace,
    narrow,
    soft_threshold,
    widen,
)


class Split(NamedTuple):
    """A penalty taken apart: absolute·Σ|w| + square·Σw² + whatever else there is."""

    absolute: float
    square: float
    rest: tuple[Penalty, ...]


class Penalty:
    """Ω: a function of one array, with its gradient and its prox.

    ``prox(w, step) = argmin over u of ½‖u − w‖²/step + Ω(u)``. `step` is a number, or an array of
    w's shape that gives the step of each entry: the prox in a diagonal metric.

    NumPy arrays and torch tensors serve alike (any library that array-api-compat knows). Integers
    count as floats, complex numbers by their modulus, and 16-bit floats are calculated in float32.
    No argument is ever changed. Penalties add up: ``L1(1e-4) + L2(1e-3)``.

    Notes
    -----
    *One of your own* is a frozen dataclass, whose fields are its numbers. It writes, for an array
    `w` of 32 bits or more of the library `xp`:

    - ``_value(xp, w)``: Ω(w), a scalar of the library; or, where Ω is a sum over entries that do
      not know of each other, ``_entries(xp, w)``, what each adds (and ``is_separable = True``).
    - ``_gradient(xp, w)``: ∂Ω(w), for ``how="loss"``, "coupled" and "decoupled".
    - ``_prox(xp, w, step)``: for ``how="proximal"``. Adam and its like give an array as `step`. A
      prox that is right for one number alone says so by ``why_no_metric``, and they refuse it.

    What is not written is refused with a sentence, in the ways that need it. A constraint sets
    ``is_indicator = True``, has no gradient, and its prox is a projection, which then holds after
    every step, whole. Further class attributes and properties, all False unless it is said here:

    - ``pulls_to_zero``: an entry that a decoupled step takes over 0 stops there.
    - ``follows_soft_threshold``: the prox of ``L1(lam) + this`` is that of `L1`, then this one.
    - ``is_convex`` (True): what `print(regularizer)` says of where weights come to rest.
    - ``is_by_row`` (as ``is_separable``): Ω(w) is the sum of Ω(w[i]) over rows, as SparseAdam asks.
    - ``formula`` (the name of the class): Ω(w) for people.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True)
    ... class UnitNorm(Penalty):
    ...     axis: int = 1
    ...     is_indicator = True
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

    name: ClassVar[str] = ""  # in the text form, "l1", where it has one
    is_separable: ClassVar[bool] = False  # Ω(w) is a sum over the entries, each on its own
    is_indicator: ClassVar[bool] = False  # 0 where a constraint holds, else infinite
    pulls_to_zero: ClassVar[bool] = False  # each entry towards 0, and not beyond
    follows_soft_threshold: ClassVar[bool] = False  # prox of L1 + this = prox of this ∘ prox of L1

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Refuse arguments of other libraries' names, with the name here."""
        check_names(cls, named)
        return object.__new__(cls)

    def __call__(self, w: Array) -> Array:
        """Ω(w), as `value`."""
        return self.value(w)

    def value(self, w: Array) -> Array:
        """Ω(w): a scalar of w's library, differentiable where the library differentiates."""
        xp = namespace(w)
        wide = widen(xp, w)
        self.check_range(xp, wide.dtype)
        return self._value(xp, wide)

    def gradient(self, w: Array) -> Array:
        """∂Ω(w): of w's shape; at a kink the subgradient 0.

        Raises
        ------
        ValueError
            If there is none: for constraints, counts and powers below 1.
        """
        reason = self.why_no_gradient()
        if reason is not None:
            raise ValueError(reason)
        xp = namespace(w)
        wide = widen(xp, w)
        self.check_range(xp, wide.dtype)
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
        reason = self.why_no_prox()
        if reason is not None:
            raise ValueError(reason)
        xp = namespace(w)
        wide = widen(xp, w)
        self.check_range(xp, wide.dtype)
        size = checked_step(xp, wide, step)
        if not isinstance(size, float) and size.ndim and self.why_no_metric() is not None:
            raise ValueError(self.why_no_metric())
        return self.narrowed(xp, self._prox(xp, wide, size), w)

    def why_no_prox(self) -> str | None:
        """The sentence that says why there is no prox in closed form, or None if there is one."""
        if type(self)._prox is Penalty._prox:
            return f'{self!r} has no prox, as it writes no _prox: use how="coupled" or how="loss"'
        return None

    def why_no_metric(self) -> str | None:
        """The sentence that says why the prox takes no array of steps, or None if it does."""
        return None

    def why_no_gradient(self) -> str | None:
        """The sentence that says why there is no gradient to step along, or None if there is."""
        if self.is_indicator:
            return f'{self!r} is a constraint and has no gradient: use how="proximal"'
        if type(self)._gradient is Penalty._gradient:
            return f'{self!r} has no gradient, as it writes no _gradient: use how="proximal"'
        return None

    def check_range(self, xp: Namespace, dtype: Any) -> None:
        """Refuse numbers that cannot be calculated with in weights of this type."""
        for term in terms(self):
            for name in arguments(type(term)):
                number = getattr(term, name)
                if isinstance(number, float):
                    check_number(xp, dtype, name, number)
                elif isinstance(number, Penalty):
                    number.check_range(xp, dtype)

    def narrowed(self, xp: Namespace, result: Array, w: Array) -> Array:
        """A prox in the type of `w`: a constraint rounds 16-bit floats towards where it holds."""
        return narrow(xp, result, w)

    def split(self) -> Split:
        """This penalty as absolute·Σ|w| + square·Σw² + the rest."""
        return Split(0.0, 0.0, (self,))

    def limited(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        """`target`, or as far from `w` towards it as no entry moves by more than `limit`.

        Entries that belong together move in proportion, the others each on its own. A constraint
        holds after every step, so it knows no limit.
        """
        return target if self.is_indicator else limited_entries(xp, w, target, limit)

    def with_groups(self, resolve: Callable[[str], object]) -> Penalty:
        """The same penalty with group names such as "out" replaced by what `resolve` returns."""
        return self

    def with_arrays(self, resolve: Callable[[str, object], Array]) -> Penalty:
        """The same penalty with each array it holds, or what stands for one, as `resolve` says.

        `resolve` takes the argument's name and what was given.
        """
        return self

    @property
    def formula(self) -> str:
        """Ω(w) as a formula with its numbers, for people."""
        return f"{type(self).__name__}(w)"

    @property
    def is_zero(self) -> bool:
        """Whether Ω is 0 everywhere, because its strength is."""
        return getattr(self, "lam", 1.0) == 0.0

    @property
    def is_convex(self) -> bool:
        """Whether Ω is convex: then with a convex data loss there is one rest, the minimum."""
        return True

    @property
    def is_constrained(self) -> bool:
        """Whether Ω is infinite somewhere, so that a prox must hold it whatever its strength."""
        return self.is_indicator

    @property
    def is_by_row(self) -> bool:
        """Whether Ω(w) is the sum of Ω(w[i]) over the indices i of axis 0."""
        return self.is_separable

    def __repr__(self) -> str:
        written = [f"{name}={getattr(self, name)!r}" for name in arguments(type(self))]
        return f"{type(self).__name__}({', '.join(written)}): {self.formula}"

    def __add__(self, other: Penalty) -> Sum:
        if not isinstance(other, Penalty):
            return NotImplemented
        return Sum((*terms(self), *terms(other)))

    def __radd__(self, other: object) -> Penalty:
        if other == 0:  # the start of the built-in sum()
            return self
        return NotImplemented

    def _value(self, xp: Namespace, w: Array) -> Array:
        return xp.sum(self._entries(xp, w))

    def _entries(self, xp: Namespace, w: Array) -> Array:
        """What each entry adds to Ω(w), of w's shape."""
        raise NotImplementedError(f"{type(self).__name__} writes neither _value nor _entries")

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no gradient")

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no prox")


@final
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

    name: ClassVar[str] = "sum"

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("a sum needs at least one penalty")
        for term in self.terms:
            if not isinstance(term, Penalty):
                raise TypeError(f"a sum is of penalties, got {type(term).__name__}")
        flat = tuple(single for term in self.terms for single in terms(term))
        object.__setattr__(self, "terms", flat)

    def _value(self, xp: Namespace, w: Array) -> Array:
        total = self.terms[0]._value(xp, w)
        for term in self.terms[1:]:
            total = total + term._value(xp, w)
        return total

    def _entries(self, xp: Namespace, w: Array) -> Array:
        total = self.terms[0]._entries(xp, w)
        for term in self.terms[1:]:
            total = total + term._entries(xp, w)
        return total

    def _gradient(self, xp: Namespace, w: Array) -> Array:
        total = self.terms[0]._gradient(xp, w)
        for term in self.terms[1:]:
            total = total + term._gradient(xp, w)
        return total

    def _prox(self, xp: Namespace, w: Array, step: float | Array) -> Array:
        absolute, square, rest = self.split()
        if square:
            shrink = 1.0 + 2.0 * square * step
            w, step = w / shrink, step / shrink
        if absolute or not rest:  # by 0 it is the identity, and a new array
            w = soft_threshold(xp, w, step * absolute)
        return rest[0]._prox(xp, w, step) if rest else w

    def why_no_prox(self) -> str | None:
        absolute, _, rest = self.split()
        if not rest or (len(rest) == 1 and (not absolute or rest[0].follows_soft_threshold)):
            return rest[0].why_no_prox() if rest else None
        if self.why_no_gradient() is not None:
            remedy = "and no gradient to step along either; leave one of its terms out"
        else:
            remedy = 'use how="loss" or how="coupled" for it'
        return (
            f"{self!r} has no prox in closed form: beside squares, one penalty alone has, or L1 "
            f"with a group lasso or a constraint; {remedy}"
        )

    def why_no_metric(self) -> str | None:
        return next(filter(None, (term.why_no_metric() for term in self.terms)), None)

    def why_no_gradient(self) -> str | None:
        return next(filter(None, (term.why_no_gradient() for term in self.terms)), None)

    def split(self) -> Split:
        parts = [term.split() for term in self.terms]
        rest = tuple(penalty for part in parts for penalty in part.rest if not penalty.is_zero)
        return Split(sum(part.absolute for part in parts), sum(part.square for part in parts), rest)

    def limited(self, xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
        rest = self.split().rest
        if rest:
            return rest[0].limited(xp, w, target, limit)
        return limited_entries(xp, w, target, limit)

    def narrowed(self, xp: Namespace, result: Array, w: Array) -> Array:
        last = self.split().rest
        return last[0].narrowed(xp, result, w) if last else narrow(xp, result, w)

    def with_groups(self, resolve: Callable[[str], object]) -> Penalty:
        return Sum(tuple(term.with_groups(resolve) for term in self.terms))

    def with_arrays(self, resolve: Callable[[str, object], Array]) -> Penalty:
        return Sum(tuple(term.with_arrays(resolve) for term in self.terms))

    @property
    def formula(self) -> str:
        return " + ".join(term.formula for term in self.terms)

    @property
    def is_zero(self) -> bool:
        return all(term.is_zero for term in self.terms)

    @property
    def is_convex(self) -> bool:
        return all(term.is_convex for term in self.terms)

    @property
    def is_constrained(self) -> bool:
        return any(term.is_constrained for term in self.terms)

    @property
    def is_by_row(self) -> bool:
        return all(term.is_by_row for term in self.terms)

    def __repr__(self) -> str:
        return f"{' + '.join(construction(term) for term in self.terms)}: {self.formula}"


def terms(penalty: Penalty) -> tuple[Penalty, ...]:
    """The terms of a sum, or the penalty alone."""
    return penalty.terms if isinstance(penalty, Sum) else (penalty,)


def construction(penalty: Penalty) -> str:
    """How a single penalty is written in Python: its repr without the formula."""
    return repr(penalty).removesuffix(f": {penalty.formula}")
