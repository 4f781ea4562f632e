"""The formulas of penalties for one number at a time, which compiled loops take in.

Each equals the array formula of its penalty. `z` is a weight, `s` the step of its prox; `a`, `b`
are the penalty's constants, in the type of the weights. A NaN stays one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba.extending import register_jitable

from shrinkage.penalties import L0, MCP, SCAD, Box, CappedL1, LogSum, NonNegative, Penalty

Scalar = Callable[..., Any]


@dataclass(frozen=True)
class Formula:
    """A penalty of single entries, but for its two constants."""

    name: str
    prox: Scalar  # (z, s, a, b)
    gradient: Scalar  # (w, a, b)
    is_threshold: bool = False  # absolute values and squares alone: a·|w| + b·w²
    is_constraint: bool = False
    choice: Scalar | None = None  # (z, s, u, a, b): 0 or what `prox` found, if that is not sure
    is_sure: Scalar | None = None  # (z, s, u, a, b)


@register_jitable
def nothing(w, a, b):
    """No pull and no value; NaN and infinity are none of its business."""
    return type(w)(0.0)


@register_jitable
def soft(z, t):
    """S_t(z) = z − min(max(z, −t), t): exactly 0, never −0.0, where |z| ≤ t."""
    inside = z if z < t else t  # in this form one machine instruction each
    return z - (inside if inside > -t else -t)


@register_jitable
def signed(z, modulus):
    """`modulus` with z's sign, never −0.0."""
    return math.copysign(modulus, z) + type(z)(0.0)


@register_jitable
def sign(w):
    """w/|w|, 0 at 0."""
    one = type(w)(1.0)
    zero = type(w)(0.0)
    return one if w > zero else (-one if w < zero else w)


@register_jitable
def above(x, low):
    """max(x, low), and NaN for NaN."""
    return low if x < low else x


@register_jitable
def below(x, high):
    """min(x, high), and NaN for NaN."""
    return high if x > high else x


@register_jitable
def capped(z, u, limit):
    """u, or as far from z towards it as `limit` allows."""
    return below(above(u, z - limit), z + limit)


@register_jitable
def l1_prox(z, s, a, b):
    return soft(z, s * a)


@register_jitable
def l1_gradient(w, a, b):
    return a * sign(w)


@register_jitable
def l2_prox(z, s, a, b):
    return z / (type(z)(1.0) + type(z)(2.0) * b * s) + type(z)(0.0)  # no −0.0 for what vanishes


@register_jitable
def l2_gradient(w, a, b):
    return type(w)(2.0) * b * w


@register_jitable
def l1_l2_prox(z, s, a, b):
    shrink = type(z)(1.0) / (type(z)(1.0) + type(z)(2.0) * b * s)
    return soft(z * shrink, s * a * shrink)


@register_jitable
def l1_l2_gradient(w, a, b):
    return a * sign(w) + type(w)(2.0) * b * w


@register_jitable
def mcp_prox(z, s, lam, gamma):
    size = abs(z)
    zero = type(z)(0.0)
    one = type(z)(1.0)
    curvature = one - s * (one / gamma)
    is_soft = curvature > zero
    shrunk = above(size - s * lam, zero) * (one / (curvature if is_soft else one))
    bent = shrunk if size <= gamma * lam else size
    ratio = size * (one / lam)  # squares of ratios, for roots take time
    hard = zero if ratio * ratio <= s * gamma else size
    return signed(z, bent if is_soft else hard)


@register_jitable
def mcp_gradient(w, lam, gamma):
    return sign(w) * above(lam - abs(w) * (type(w)(1.0) / gamma), type(w)(0.0))


@register_jitable
def scad_prox(z, s, lam, a):
    size = abs(z)
    zero = type(z)(0.0)
    one = type(z)(1.0)
    soft_size = above(size - s * lam, zero)
    divisor = a - one - s
    is_small = divisor > zero
    bent = ((a - one) * size - s * a * lam) * (one / (divisor if is_small else one))
    small = soft_size if size <= (one + s) * lam else (bent if size <= a * lam else size)
    middle = soft_size if size <= lam * (a + one + s) * type(z)(0.5) else size
    ratio = size * (one / lam)
    large = zero if ratio * ratio <= s * (a + one) else size
    modulus = small if is_small else (large if s > a + one else middle)
    return z if s == zero else signed(z, modulus)


@register_jitable
def scad_gradient(w, lam, a):
    falling = (a * lam - abs(w)) * (type(w)(1.0) / (a - type(w)(1.0)))
    return sign(w) * below(above(falling, type(w)(0.0)), lam)


@register_jitable
def capped_prox(z, s, lam, theta):
    size = abs(z)
    zero = type(z)(0.0)
    two = type(z)(2.0)
    t = lam * s
    bent = above(size - t, zero) if size <= theta + t * type(z)(0.5) else size
    ratio = size * (type(z)(1.0) / theta)
    hard = zero if ratio * ratio * theta <= two * t else size
    return signed(z, bent if t <= two * theta else hard)


@register_jitable
def capped_gradient(w, lam, theta):
    return lam * sign(w) if abs(w) < theta else w - w


@register_jitable
def log_sum_prox(z, s, lam, eps):
    """The larger root, or 0 where there is none."""
    size = abs(z)
    two = type(z)(2.0)
    zero = type(z)(0.0)
    t = s * lam
    root_t = math.sqrt(t)
    low = size + eps - two * root_t
    root = math.sqrt(above(low, zero) * (size + eps + two * root_t))
    x = above(size - two * t / (size + eps + root), zero)
    x = zero if low < zero else x
    return signed(z, x if t > zero and size < math.inf else size)


@register_jitable
def log_sum_is_sure(z, s, u, lam, eps):
    """Where Ω + ½(u − z)²/s is convex, which is where step·lam ≤ eps², and where u is 0."""
    return s * lam <= eps * eps or u == type(z)(0.0) or not abs(z) < math.inf


@register_jitable
def log_sum_choice(z, s, u, lam, eps):
    """The larger root u, or 0 unless it is better: ½(|u| − |z|)² + t·log(1 + |u|/eps) < ½z²."""
    size = abs(u)
    better = s * lam * math.log1p(size / eps) / size < abs(z) - size / type(z)(2.0)
    return u if better else type(z)(0.0)


@register_jitable
def log_sum_gradient(w, lam, eps):
    return sign(w) * (lam / (eps + abs(w)))


@register_jitable
def l0_prox(z, s, lam, b):
    square = type(z)(2.0) * lam * s
    zero = type(z)(0.0)
    return zero if z * z <= square and square > zero else z


@register_jitable
def box_prox(z, s, low, high):
    """Into the box; −0.0 becomes 0.0 at a bound of 0."""
    return below(above(z, low), high) + type(z)(0.0)


ABSOLUTE = Formula("absolute", l1_prox, l1_gradient, is_threshold=True)
SQUARE = Formula("square", l2_prox, l2_gradient, is_threshold=True)
BOTH = Formula("both", l1_l2_prox, l1_l2_gradient, is_threshold=True)
BENT = Formula("mcp", mcp_prox, mcp_gradient)
CLIPPED = Formula("scad", scad_prox, scad_gradient)
CAPPED = Formula("capped", capped_prox, capped_gradient)
LOGARITHM = Formula(
    "logarithm", log_sum_prox, log_sum_gradient, choice=log_sum_choice, is_sure=log_sum_is_sure
)
COUNT = Formula("count", l0_prox, nothing)
BOUNDS = Formula("bounds", box_prox, nothing, is_constraint=True)


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
