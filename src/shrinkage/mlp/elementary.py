"""exp, tanh and the logistic function in a form that LLVM turns into vectors.

x = n·ln 2 + r with |r| ≤ ½·ln 2, so e^x = 2^n·(1 + p(r)) with p(r) = e^r − 1 by its Taylor series:
7 terms in float32 and 13 in float64 leave less than the last place. ln 2 is subtracted in two
parts, of which the first times n is exact (Cody and Waite, 1980).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from shrinkage.kernels.intrinsics import number
from shrinkage.kernels.jit import OPTIONS, jitable

LOG2_E = 1.0 / math.log(2.0)
MOST32, MOST64 = np.float32(87.0), 708.0  # beyond them e^x overflows, or e^−x is denormal
HIGH32, LOW32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
HIGH64, LOW64 = 6.93145751953125e-1, 1.42860682030941723212e-6


def _split(x: Any) -> Any:
    """(p, 2^n) with e^x = 2^n·(1 + p), for x within the limits."""


def _split32(x):
    bounded = x if x > -MOST32 else -MOST32
    bounded = bounded if bounded < MOST32 else MOST32
    n = np.float32(np.floor(bounded * np.float32(LOG2_E) + np.float32(0.5)))
    r = bounded - n * HIGH32 - n * LOW32
    p = np.float32(1.0 / 5040.0)
    p = p * r + np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    return p * r * r + r, number(np.int32(np.int32(np.int32(n) + np.int32(127)) << np.int32(23)))


def _split64(x):
    bounded = x if x > -MOST64 else -MOST64
    bounded = bounded if bounded < MOST64 else MOST64
    n = np.floor(bounded * LOG2_E + 0.5)
    r = bounded - n * HIGH64 - n * LOW64
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    return p * r * r + r, number(np.int64(np.int64(n) + np.int64(1023)) << np.int64(52))


@overload(_split, jit_options=OPTIONS)
def _split_of(x):
    return _split32 if x == types.float32 else _split64


@jitable
def exponential(x):
    """e^x, beyond ±87 in float32 and ±708 in float64 as at these limits; NaN where x is not finite.

    Only weights that diverge give such an x, and their loss becomes NaN.
    """
    p, scale = _split(x)
    return scale + scale * p + (x - x)  # the bounds hide what is not finite: x − x brings it back


@jitable
def logistic(x):
    """1/(1 + e^−x)."""
    one = type(x)(1.0)
    return one / (one + exponential(-x))


@jitable
def hyperbolic_tangent(x):
    """tanh x = q/(q + 2) with q = e^2x − 1, whose terms near 0 do not cancel."""
    one, two = type(x)(1.0), type(x)(2.0)
    p, scale = _split(two * x)
    q = scale * p + (scale - one)
    return q / (q + two) + (x - x)
