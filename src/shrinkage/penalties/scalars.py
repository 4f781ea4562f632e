"""The scalar forms of separable penalties: their formulas for one number, for compiled loops.

A compiled loop goes through the weights once and does everything for one entry before it reads the
next, so it needs a penalty's prox and gradient as functions of one number. These are plain Python,
which `shrinkage.kernels` compiles; this package imports no compiler.

Each function equals the array formula of its penalty. `z` is a weight and `size` its modulus, `s`
the step of the prox; `a` and `b` are the penalty's two constants. All of them come in the type of
the weights, and results must stay in it: a literal such as 1.0 would turn float32 into float64, so
functions write ``type(z)(1.0)``. A NaN stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Number = Any  # a float of 32 or 64 bits
Constants = tuple[float, float]


def no_gradient(w: Number, a: Number, b: Number) -> Number:
    """Zero for penalties without a gradient, also where w is NaN or infinite."""
    return type(w)(0.0)


@dataclass(frozen=True)
class ScalarForm:
    """Prox and gradient of a separable penalty, as functions of one number and two constants.

    It has the modulus of a prox where that keeps the sign of its argument, else the prox itself.
    """

    name: str  # unique, since cached machine code is named by it
    prox: Any = None  # (z, s, a, b)
    modulus: Any = None  # (|z|, s, a, b): of the prox, which has z's sign
    gradient: Any = no_gradient  # (w, a, b)
    is_threshold: bool = False  # Ω = a·|w| + b·w²
    is_bound: bool = False  # a constraint, whose prox no limit on the move caps
    # Where the prox may be at either of two local minima, 0 and `modulus`:
    choice: Any = None  # (|z|, u, s, a, b): the better of 0 and u
    is_sure: Any = None  # (s, a, b): whether u is always the better


def soft(z: Number, t: Number) -> Number:
    """S_t(z) = z − min(max(z, −t), t): exactly 0, never −0.0, where |z| ≤ t."""
    inside = z if z < t else t  # each of these comparisons is one machine instruction
    return z - (inside if inside > -t else -t)


def signed(z: Number, modulus: Number) -> Number:
    """`modulus` with z's sign, never −0.0."""
    return math.copysign(modulus, z) + type(z)(0.0)


def sign_of(w: Number) -> Number:
    """w/|w|, 0 at 0."""
    one = type(w)(1.0)
    zero = type(w)(0.0)
    return one if w > zero else (-one if w < zero else w)


def with_sign_of(w: Number, a: Number) -> Number:
    """a·sign(w), without a multiplication."""
    return a if w > type(w)(0.0) else (-a if w < type(w)(0.0) else w)


def at_least(x: Number, low: Number) -> Number:
    """max(x, low), and NaN for NaN."""
    return low if x < low else x


def at_most(x: Number, high: Number) -> Number:
    """min(x, high), and NaN for NaN."""
    return high if x > high else x


def softened(size: Number, t: Number) -> Number:
    """max(|z| − t, 0), the modulus of S_t(z)."""
    return at_least(size - t, type(size)(0.0))


def is_beyond(size: Number, t: Number, reach: Number) -> bool:
    """Whether Ω is constant there: |z| > ½(reach + t), or |z| > √(reach·t) where t > reach."""
    one, half = type(size)(1.0), type(size)(0.5)
    is_far: bool = size * (one / reach) * size > t if t > reach else size > half * (reach + t)
    return is_far


def absolute_prox(z: Number, s: Number, a: Number, b: Number) -> Number:
    return soft(z, s * a)


def absolute_gradient(w: Number, a: Number, b: Number) -> Number:
    return with_sign_of(w, a)


def square_modulus(size: Number, s: Number, a: Number, b: Number) -> Number:
    one = type(size)(1.0)
    return size * (one / (one + type(size)(2.0) * b * s))


def square_gradient(w: Number, a: Number, b: Number) -> Number:
    return type(w)(2.0) * b * w


def both_modulus(size: Number, s: Number, a: Number, b: Number) -> Number:
    one = type(size)(1.0)
    return softened(size, s * a) * (one / (one + type(size)(2.0) * b * s))


def both_gradient(w: Number, a: Number, b: Number) -> Number:
    return with_sign_of(w, a) + type(w)(2.0) * b * w


ABSOLUTE = ScalarForm("absolute", absolute_prox, None, absolute_gradient, is_threshold=True)
SQUARE = ScalarForm("square", None, square_modulus, square_gradient, is_threshold=True)
BOTH = ScalarForm("both", None, both_modulus, both_gradient, is_threshold=True)


def threshold_form(absolute: float, square: float) -> tuple[ScalarForm, Constants]:
    """The form of absolute·|w| + square·w²: of `L1`, `L2`, `ElasticNet` and their sums."""
    form = SQUARE if not absolute else BOTH if square else ABSOLUTE
    return form, (absolute, square)
