"""Checks of arguments: each error names the argument, its value, and the remedy."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from shrinkage.penalties import Penalty
from shrinkage.penalties.rebuild import with_groups

Array = NDArray[Any]
Seed = np.random.Generator | int | None

HOWS = ("coupled", "proximal")


class NotFiniteError(ValueError):
    """A number is infinite or NaN."""


def check_inputs(
    inputs: ArrayLike, features: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """Return `inputs` as finite floats (samples, features).

    Raises
    ------
    ValueError
        For other inputs; `NotFiniteError` if a number is not finite.
    """
    array = refuse_masked("inputs", inputs)
    if array.dtype.kind not in "biuf":
        hint = "; to_numpy(float) makes them so" if array.dtype == object else ""
        raise ValueError(f"inputs must be real numbers, got {array.dtype}{hint}")
    before_cast = array
    if dtype is not None or array.dtype.kind != "f":
        with np.errstate(over="ignore"):
            array = array.astype(dtype or np.float64, copy=False)
    if array.ndim != 2:
        hint = "; one sample is inputs[None, :]" if array.ndim == 1 else ""
        raise ValueError(f"inputs must have shape (samples, features), got {array.shape}{hint}")
    if len(array) == 0:
        raise ValueError("inputs must have at least one sample, got none")
    if features is not None and array.shape[1] != features:
        raise ValueError(
            f"inputs must have {features} features, as n_in says, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        if np.isfinite(before_cast[row, column]):
            raise ValueError(
                f"inputs must fit into {array.dtype}, but feature {column} of sample {row} is "
                f"{before_cast[row, column]:g}: scale the data, or use dtype float64"
            )
        raise NotFiniteError(
            f"inputs must be finite, but feature {column} of sample {row} is "
            f"{array[row, column]}: remove it from the data or, if training diverged, lower lr"
        )
    return array


def refuse_masked(name: str, values: ArrayLike) -> Array:
    """Return `values` as an array, if none of them is masked."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must have no masked entries: fill or remove them")
    return np.asarray(values)


def check_dvalues(dvalues: ArrayLike, output: Array | None) -> Array:
    """Return `dvalues` as an array, if it has the shape of the layer's output.

    Raises
    ------
    RuntimeError
        Before the first `forward`.
    ValueError
        For another shape.
    """
    if output is None:
        raise RuntimeError("backward needs a forward pass before it")
    array = np.asarray(dvalues, dtype=output.dtype)
    if array.shape != output.shape:
        raise ValueError(
            f"dvalues must have the shape of the output, {output.shape}, got {array.shape}"
        )
    return array


def check_size(name: str, size: object, least: int = 1) -> int:
    """Return `size` as an int, if it is a whole number and at least `least`."""
    if isinstance(size, bool) or not isinstance(size, Integral):
        raise TypeError(f"{name} must be a whole number, got {size!r}")
    if size < least:
        raise ValueError(f"{name} must be at least {least}, got {size}")
    return int(size)


def check_how(how: str) -> str:
    """Return `how`, if it is one of `HOWS`."""
    if how not in HOWS:
        raise ValueError(f'how must be "coupled" or "proximal", got {how!r}')
    return how


def check_penalty(name: str, penalty: Penalty | None, how: str) -> Penalty | None:
    """Return `penalty` with axes for its groups: W is (n_in, n_out), so unit j is column j."""
    if penalty is None:
        return None
    if not isinstance(penalty, Penalty):
        raise TypeError(f"{name} must be a penalty such as L2(1e-3), got {penalty!r}")
    reason = penalty.why_not("prox" if how == "proximal" else "gradient")
    if reason is not None:
        raise ValueError(f"{name}: {reason}")
    # Biases are (1, n_out): their only axis with groups is that of the units.
    axes = {"out": 1, "in": 1 if name == "bias_penalty" else 0}
    return with_groups(penalty, lambda unit: axes.get(unit, unit))


def make_rng(rng: Seed) -> np.random.Generator:
    """Return the given generator, or a new one, seeded with a whole number or by the system."""
    is_whole = isinstance(rng, Integral) and not isinstance(rng, bool) and rng >= 0
    if not (rng is None or isinstance(rng, np.random.Generator) or is_whole):
        raise TypeError(f"rng must be a Generator, a whole number from 0 up, or None, got {rng!r}")
    return np.random.default_rng(rng)


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return `dtype` as NumPy's, if it is float64 or float32."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}") from None
    if kind not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {kind}")
    return kind


def check_number(
    name: str, number: object, *, above: float = -np.finfo(float).tiny, below: float = np.inf
) -> float:
    """Return `number` as a float strictly between `above` and `below`; by default it is >= 0.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"{name} must be a number, got {number!r}")
    value = float(number)
    if not above < value < below:
        start = "> 0" if above == 0.0 else ">= 0"
        end = "finite" if below == np.inf else f"below {below:g}"
        raise ValueError(f"{name} must be {start} and {end}, got {number}")
    return value
