"""The formulas of penalties for one number at a time, which compiled loops take in.

Each equals the array formula of its penalty. `z` is a weight, `s` the step of its prox; `a`, `b`
are the penalty's constants, in the type of the weights. A NaN stays one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shrinkage.kernels.jit import jitable
from shrinkage.penalties import L0, MCP, SCAD, Box, CappedL1, LogSum, NonNegative, Penalty

Scalar = Callable[..., Any]


@dataclass(frozen=True)
class Formula:
    """A penalty of single entries, but for its two constants."""

    name: str
    prox: Scalar  # (z, s, a, b)
    gradient: Scalar  # (w, a, b)
    modulus: Scalar | None = None  # (|z|, s, a, b): that of the prox, which has z's sign
    is_threshold: bool = False  # absolute values and squares alone: a·|w| + b·w²
    choice: Scalar | None = None  # (|z|, u, s, a, b): 0 or the modulus u, whichever is better
    is_sure: Scalar | None = None  # (s, a, b): whether it is u for every z


def by_modulus(name: str, modulus: Scalar, gradient: Scalar, **rest: Any) -> Formula:
    """A penalty of the moduli of single entries."""

    @jitable
    def prox(z, s, a, b):
        return signed(z, modulus(abs(z), s, a, b))

    return Formula(name, prox, gradient, modulus, **rest)


@jitable
def nothing(w, a, b):
    """No pull and no value; NaN and infinity are none of its business."""
    return type(w)(0.0)


@jitable
def soft(z, t):
    """S_t(z) = z − min(max(z, −t), t): exactly 0, never −0.0, where |z| ≤ t."""
    inside = z if z < t else t  # in this form one machine instruction each
    return z - (inside if inside > -t else -t)


@jitable
def signed(z, modulus):
    """`modulus` with z's sign, never −0.0."""
    return math.copysign(modulus, z) + type(z)(0.0)


@jitable
def sign(w):
    """w/|w|, 0 at 0."""
    one = type(w)(1.0)
    zero = type(w)(0.0)
    return one if w > zero else (-one if w < zero else w)


@jitable
def towards(w, a):
    """a·sign(w), without a multiplication."""
    return a if w > type(w)(0.0) else (-a if w < type(w)(0.0) else w)


@jitable
def above(x, low):
    """max(x, low), and NaN for NaN."""
    return low if x < low else x


@jitable
def below(x, high):
    """min(x, high), and NaN for NaN."""
    return high if x > high else x


@jitable
def l1_prox(z, s, a, b):
    return soft(z, s * a)


@jitable
def l1_gradient(w, a, b):
    return towards(w, a)


@jitable
def l2_modulus(size, s, a, b):
    one = type(size)(1.0)
    return size * (one / (one + type(size)(2.0) * b * s))


@jitable
def l2_gradient(w, a, b):
    return type(w)(2.0) * b * w


@jitable
def l1_l2_modulus(size, s, a, b):
    one = type(size)(1.0)
    return softened(size, s * a) * (one / (one + type(size)(2.0) * b * s))


@jitable
def l1_l2_gradient(w, a, b):
    return towards(w, a) + type(w)(2.0) * b * w


@jitable
def softened(size, t):
    """max(|z| − t, 0), the modulus of S_t(z)."""
    return above(size - t, type(size)(0.0))


@jitable
def is_beyond(size, t, reach):
    """|z| > ½(reach + t), but for t > reach |z| > √(reach·t): from where on it costs no more."""
    one, half = type(size)(1.0), type(size)(0.5)
    return size * (one / reach) * size > t if t > reach else size > half * (reach + t)


@jitable
def mcp_modulus(size, s, lam, gamma):
    """Steps beyond gamma: as hard a threshold as softened(…) is 0 up to."""
    one = type(size)(1.0)
    shrunk = softened(size, s * lam) * (one / above(one - s * (one / gamma), type(size)(1e-30)))
    ratio = size * (one / lam)
    is_flat = ratio * ratio > above(s, gamma) * gamma
    return size if is_flat else below(shrunk, size)


@jitable
def mcp_gradient(w, lam, gamma):
    return sign(w) * above(lam - abs(w) * (type(w)(1.0) / gamma), type(w)(0.0))


@jitable
def scad_modulus(size, s, lam, a):
    """Steps below a − 1: the soft threshold, below a steeper line, up to |z|."""
    one = type(size)(1.0)
    soft_size = softened(size, s * lam)
    divisor = a - one - s
    bent = ((a - one) * size - s * (a * lam)) * (one / divisor)
    small = size if size > a * lam else below(above(bent, soft_size), size)
    far = is_beyond(size * (one / lam), s, a + one)
    return small if divisor > type(size)(0.0) else (size if far else soft_size)


@jitable
def scad_gradient(w, lam, a):
    falling = (a * lam - abs(w)) * (type(w)(1.0) / (a - type(w)(1.0)))
    return sign(w) * below(above(falling, type(w)(0.0)), lam)


@jitable
def capped_modulus(size, s, lam, theta):
    t = lam * s
    return size if is_beyond(size, t, type(size)(2.0) * theta) else softened(size, t)


@jitable
def capped_gradient(w, lam, theta):
    return lam * sign(w) if abs(w) < theta else w - w


@jitable
def log_sum_modulus(size, s, lam, eps):
    """The larger root, or 0 where there is none."""
    zero, two, t = type(size)(0.0), type(size)(2.0), s * lam
    reach = size + eps
    square = reach * reach - two * two * t  # rounded once
    x = softened(size, two * t / (reach + math.sqrt(above(square, zero))))
    return zero if square < zero else x


@jitable
def log_sum_is_sure(s, lam, eps):
    """Where Ω + ½(u − z)²/s is convex."""
    return s * lam <= eps * eps


@jitable
def log_sum_choice(size, u, s, lam, eps):
    """The larger root u, or 0 unless it is better: ½(u − |z|)² + t·log(1 + u/eps) < ½z²."""
    better = s * lam * math.log1p(u / eps) / u < size - u / type(size)(2.0)
    return u if better or not size < math.inf else type(size)(0.0)


@jitable
def log_sum_gradient(w, lam, eps):
    return sign(w) * (lam / (eps + abs(w)))


@jitable
def l0_modulus(size, s, lam, b):
    square = type(size)(2.0) * lam * s
    zero = type(size)(0.0)
    return zero if size * size <= square and square > zero else size


@jitable
def box_prox(z, s, low, high):
    """Into the box; −0.0 becomes 0.0 at a bound of 0."""
    return below(above(z, low), high) + type(z)(0.0)


ABSOLUTE = Formula("absolute", l1_prox, l1_gradient, is_threshold=True)
SQUARE = by_modulus("square", l2_modulus, l2_gradient, is_threshold=True)
BOTH = by_modulus("both", l1_l2_modulus, l1_l2_gradient, is_threshold=True)
BENT = by_modulus("mcp", mcp_modulus, mcp_gradient)
CLIPPED = by_modulus("scad", scad_modulus, scad_gradient)
CAPPED = by_modulus("capped", capped_modulus, capped_gradient)
LOGARITHM = by_modulus(
    "logarithm", log_sum_modulus, log_sum_gradient, choice=log_sum_choice, is_sure=log_sum_is_sure
)
COUNT = by_modulus("count", l0_modulus, nothing)
BOUNDS = Formula("bounds", box_prox, nothing)


def formula_of(penalty: Penalty) -> tuple[Formula, tuple[float, float]] | None:
    """The scalar form of a penalty with its constants a and b, or None where there is none."""
    absolute, square, rest = penalty.split()
    if not rest:
        formula = SQUARE if not absolute else BOTH if square else ABSOLUTE
        return formula, (absolute, square)
    return None if absolute or square or len(rest) > 1 else _single(rest[0])


def _single(penalty: Penalty) -> tuple[Formula, tuple[float, float]] | None:
    match penalty:
        case MCP(lam, gamma):
            return BENT, (lam, gamma)
        case SCAD(lam, a):
            return CLIPPED, (lam, a)
        case CappedL1(lam, theta):
            return CAPPED, (lam, theta)
        case LogSum(lam, eps):
            return LOGARITHM, (lam, eps)
        case L0(lam):
            return COUNT, (lam, 0.0)
        case Box(low, high):
            return BOUNDS, (low, high)
        case NonNegative():
            return BOUNDS, (0.0, math.inf)
    return None
