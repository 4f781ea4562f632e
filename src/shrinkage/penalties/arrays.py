"""Operations on arrays that the formulas share, for NumPy, torch and other array libraries."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import array_api_compat
import numpy as np

Array = Any  # a NumPy array, a torch tensor, or another library's array
Namespace = Any  # the library itself, through array-api-compat


def namespace(w: Array) -> Namespace:
    """The array library of `w`.

    Raises
    ------
    TypeError, ValueError
        As `checked_array`.
    """
    return array_api_compat.array_namespace(checked_array("w", w))


def checked_array(name: str, array: Any) -> Array:
    """`array`, if it is a dense array of numbers in a type that can be computed with.

    Raises
    ------
    TypeError
        If it is not an array (a list for instance), or holds objects, text or dates, floats of
        less than 16 bits, or is sparse.
    ValueError
        If entries are masked.
    """
    if not array_api_compat.is_array_api_obj(array):
        hint = "" if array is None or isinstance(array, str) else f"; np.asarray({name}) makes one"
        kind = type(array).__name__
        raise TypeError(f"{name} must be an array (NumPy, torch, ...), got {kind}{hint}")
    if not _holds_numbers(array):
        kind = str(array.dtype).removeprefix("torch.")
        raise TypeError(
            f"{name} must hold real or complex numbers in a type to calculate in, got {kind}; "
            "convert it to float32 or float64"
        )
    if "sparse" in str(getattr(array, "layout", "")):
        raise TypeError(f"{name} must be dense, got {array.layout}; write {name}.to_dense()")
    if np.ma.is_masked(array):
        raise ValueError(f"{name} must have no masked entries: fill or remove them")
    return array


def _holds_numbers(array: Array) -> bool:
    xp, dtype = array_api_compat.array_namespace(array), array.dtype
    try:
        floats = xp.isdtype(dtype, ("real floating", "complex floating"))
        if not floats:
            is_time = getattr(dtype, "kind", "") == "m"  # an integer to NumPy
            return bool(xp.isdtype(dtype, ("bool", "integral"))) and not is_time
        return bool(xp.finfo(dtype).bits >= 16) and "complex32" not in str(dtype)
    except (TypeError, ValueError):  # of another library than the array
        return False


def widen(xp: Namespace, w: Array) -> Array:
    """`w` in a type to compute in: integers as floats, 16-bit floats as float32.

    In NumPy it is a plain array in the machine's byte order: `w` itself where that is one already.
    """
    if isinstance(w, np.ndarray):
        w = np.asarray(w, dtype=w.dtype.newbyteorder("="))
    if xp.isdtype(w.dtype, ("bool", "integral")):
        return xp.astype(w, xp.asarray(1.0).dtype)
    if is_half(xp, w):
        return xp.astype(w, xp.float32)
    return w


def narrow(xp: Namespace, result: Array, w: Array) -> Array:
    """`result` in the type of `w`, where that is a float narrower than float32, or swaps bytes."""
    is_swapped = not getattr(w.dtype, "isnative", True) and w.dtype.kind in "fc"
    return xp.astype(result, w.dtype, copy=False) if is_swapped or is_half(xp, w) else result


def narrow_within(xp: Namespace, result: Array, w: Array, low: Any, high: Any) -> Array:
    """`narrow`, to the next float inward where the nearest one is below `low` or above `high`."""
    if not is_half(xp, w):
        return narrow(xp, result, w)
    nearest = narrow(xp, result, w)
    half = xp.abs(result) * (xp.finfo(w.dtype).eps / 2)  # from half a spacing to a whole one
    rounded = widen(xp, nearest)
    nearest = xp.where(rounded > high, narrow(xp, result - half, w), nearest)
    return narrow(xp, xp.where(rounded < low, narrow(xp, result + half, w), nearest), w)


def narrow_inward(xp: Namespace, result: Array, w: Array) -> Array:
    """`narrow`, but rounding makes no modulus larger."""
    if not is_half(xp, w):
        return narrow(xp, result, w)
    nearest = narrow(xp, result, w)
    smaller = narrow(xp, result * (1.0 - xp.finfo(w.dtype).eps / 2), w)
    return narrow(xp, xp.where(xp.abs(widen(xp, nearest)) > xp.abs(result), smaller, nearest), w)


def is_half(xp: Namespace, w: Array) -> bool:
    """Whether `w` holds 16-bit floats (float16, or bfloat16 where the library has it)."""
    kind = getattr(w.dtype, "type", w.dtype)  # in NumPy the same for both orders of bytes
    return kind in (xp.float16, getattr(xp, "bfloat16", xp.float16))


def squared_modulus(xp: Namespace, w: Array) -> Array:
    """|w|² for each entry, without a square root."""
    if xp.isdtype(w.dtype, "complex floating"):
        return xp.real(w) ** 2 + xp.imag(w) ** 2
    return w * w


def modulus(xp: Namespace, w: Array) -> Array:
    """|w| with the derivative 0 at 0 in every library; JAX's own would be 1."""
    if not array_api_compat.is_jax_array(w):
        return xp.abs(w)
    zero = w == 0
    return xp.where(zero, 0.0, xp.abs(xp.where(zero, 1.0, w)))


def without_graph(w: Array) -> Array:
    """`w` as a constant, for a library that differentiates."""
    if array_api_compat.is_torch_array(w):
        return w.detach()
    if array_api_compat.is_jax_array(w):
        from jax.lax import stop_gradient

        return stop_gradient(w)
    return w


def sign(xp: Namespace, w: Array) -> Array:
    """w/|w|, 0 at 0."""
    if xp.isdtype(w.dtype, "complex floating"):
        modulus = xp.abs(w)
        return w / xp.where(modulus > 0, modulus, 1.0)
    if array_api_compat.is_torch_array(w):  # xp.sign writes into its result: no DTensor allows it
        return xp.where(xp.isnan(w), w, w.sign())
    return xp.sign(w)


def safe_sqrt(xp: Namespace, squares: Array) -> Array:
    """√x with the derivative 0 at 0 in place of infinity, for automatic differentiation."""
    zero = squares == 0
    return xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, squares)))


def soft_threshold(xp: Namespace, z: Array, threshold: float | Array) -> Array:
    """S_t(z) = sign(z)·max(|z| − t, 0), exactly 0 (never −0.0) where |z| ≤ t > 0."""
    if xp.isdtype(z.dtype, "complex floating"):
        return radial_threshold(xp, z, xp.abs(z), threshold)
    return z - xp.clip(z, -threshold, threshold)


def radial_threshold(xp: Namespace, z: Array, size: Array, threshold: float | Array) -> Array:
    """z·max(1 − t/size, 0) for z of that modulus or norm; t = 0 keeps z, and NaN stays NaN."""
    reached = size <= threshold
    ratio = threshold / xp.where(reached, 1.0, size)
    return z - z * xp.where(reached & (threshold > 0), 1.0, ratio)


def with_modulus(xp: Namespace, z: Array, size: Array, modulus: Array) -> Array:
    """z with another modulus, never −0.0; `size` is |z|, and where both are equal z is kept."""
    if xp.isdtype(z.dtype, "complex floating"):
        turned = z * (modulus / xp.where(size > 0, size, 1.0))
        return xp.where(modulus == size, z, turned)
    return xp.where(modulus == 0, 0.0, xp.where(z < 0, -modulus, modulus))


def limited_entries(xp: Namespace, w: Array, target: Array, limit: float | Array) -> Array:
    """`target`, or as far from `w` towards it as `limit` allows, each entry on its own."""
    move = target - w
    size = xp.abs(move)
    far = size > limit
    if xp.isdtype(w.dtype, "complex floating"):
        share = xp.where(far, limit / xp.where(far, size, 1.0), 1.0)
        return xp.where(far, w + move * share, target)
    return xp.where(far, w + xp.clip(move, -limit, limit), target)


def checked_step(xp: Namespace, w: Array, step: float | Array) -> float | Array:
    """`step` as a float, or as an array of w's shape in w's (real) type.

    Raises
    ------
    TypeError
        If `step` is no number and no array of real numbers from w's library.
    ValueError
        If a step is negative or NaN, or an array has another shape than `w`.
    """
    if isinstance(step, Real):
        number = float(step)
        if not 0.0 <= number < math.inf:
            raise ValueError(f"step must be >= 0 and finite, got {step}")
        return number
    return _checked_steps(xp, w, step)


def _checked_steps(xp: Namespace, w: Array, step: Array) -> Array:
    if not array_api_compat.is_array_api_obj(step):
        raise TypeError(f"step must be a number or an array, got {type(step).__name__}")
    checked_array("step", step)
    if array_api_compat.array_namespace(step) is not xp:
        kinds = f"{type(step).__name__} for a w of type {type(w).__name__}"
        raise TypeError(f"step must be a number or an array of w's library, got {kinds}")
    if xp.isdtype(step.dtype, "complex floating"):
        raise TypeError(f"step must be real, got {step.dtype}")
    if tuple(step.shape) not in {(), tuple(w.shape)}:
        shapes = f"{tuple(step.shape)}, where w has {tuple(w.shape)}"
        raise ValueError(f"step must be a number or an array of w's shape, got shape {shapes}")
    if not bool(xp.all((step >= 0) & (step < math.inf))):
        raise ValueError("step must be >= 0 and finite in every entry")
    return xp.astype(step, xp.abs(w[:0] if w.ndim else w).dtype)


def checked_strength(name: str, strength: object) -> float:
    """`strength` as a float.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is negative, infinite or NaN.
    """
    number = checked_number(name, strength)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{name} must be >= 0 and finite, got {number}")
    return number


def checked_above(name: str, value: object, bound: float) -> float:
    """`value` as a finite float above `bound`.

    Raises
    ------
    TypeError, ValueError
    """
    number = checked_number(name, value)
    if not bound < number < math.inf:
        raise ValueError(f"{name} must be > {bound:g} and finite, got {number}")
    return number


def check_number(xp: Namespace, dtype: Any, name: str, number: float, *, divides: bool) -> None:
    """Refuse a number that overflows in `dtype`, or that vanishes there and is divided by.

    Raises
    ------
    ValueError
    """
    limits = xp.finfo(dtype)
    most, least = float(limits.max), float(limits.smallest_normal) if divides else 0.0
    if abs(number) != math.inf and not least <= abs(number) <= most:
        kind = str(dtype).removeprefix("torch.")
        raise ValueError(
            f"{name}={number:g} is beyond what {kind} holds, up to {most:.2g} and down to "
            f"{limits.smallest_normal:.2g}; use float64 weights"
        )


def checked_number(name: str, value: object) -> float:
    """`value` as a float, which may be infinite or NaN.

    Raises
    ------
    TypeError
        If it is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}{_number_hint(name, value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf  # a negative one would be −inf, which every check refuses too


def _number_hint(name: str, value: object) -> str:
    """A hint how to write a value that holds one number."""
    if isinstance(value, str):
        is_number = value.strip() and not value.strip("+-.0123456789eE \t")
        return f"; write {value.strip()} without quotes" if is_number else ""
    if not array_api_compat.is_array_api_obj(value):
        return ""
    is_one = math.prod(value.shape) == 1  # type: ignore[attr-defined]
    return f"; write float({name})" if is_one else "; Weighted takes a number for each entry"
