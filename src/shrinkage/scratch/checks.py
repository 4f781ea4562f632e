"""What goes in, checked: each error names the argument, what it was, and what to do."""

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
    """An infinite number came in, or none at all."""


def checked_inputs(
    inputs: ArrayLike, features: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """`inputs` as a table of finite floats (samples, features), or an error that says what is not.

    Raises
    ------
    ValueError
        `NotFiniteError` where that is what is wrong.
    """
    array = unmasked("inputs", inputs)
    if array.dtype.kind not in "biuf":
        hint = "; to_numpy(float) makes them so" if array.dtype == object else ""
        raise ValueError(f"inputs must be real numbers, got {array.dtype}{hint}")
    given = array
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
        if np.isfinite(given[row, column]):
            raise ValueError(
                f"inputs must fit into {array.dtype}, but feature {column} of sample {row} is "
                f"{given[row, column]:g}: scale the data, or use dtype float64"
            )
        raise NotFiniteError(
            f"inputs must be finite, but feature {column} of sample {row} is "
            f"{array[row, column]}: remove it from the data or, if training went astray, lower lr"
        )
    return array


def unmasked(name: str, values: ArrayLike) -> Array:
    """`values` as an array, if none of them is masked."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must have no masked entries: fill or remove them")
    return np.asarray(values)


def checked_dvalues(dvalues: ArrayLike, output: Array | None) -> Array:
    """`dvalues` in the shape of the layer's output.

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


def checked_size(name: str, size: object, least: int = 1) -> int:
    """`size` as a whole number of at least `least`."""
    if isinstance(size, bool) or not isinstance(size, Integral):
        raise TypeError(f"{name} must be a whole number, got {size!r}")
    if size < least:
        raise ValueError(f"{name} must be at least {least}, got {size}")
    return int(size)


def checked_how(how: str) -> str:
    """`how`, if a layer knows it."""
    if how not in HOWS:
        raise ValueError(f'how must be "coupled" or "proximal", got {how!r}')
    return how


def checked_penalty(name: str, penalty: Penalty | None, how: str) -> Penalty | None:
    """`penalty` with its groups resolved: W has shape (n_in, n_out), so unit j is column j."""
    if penalty is None:
        return None
    if not isinstance(penalty, Penalty):
        raise TypeError(f"{name} must be a penalty such as L2(1e-3), got {penalty!r}")
    reason = penalty.why_no_prox() if how == "proximal" else penalty.why_no_gradient()
    if reason is not None:
        raise ValueError(f"{name}: {reason}")
    each_bias = name == "bias_penalty"
    axes = {"out": 1, "in": 1 if each_bias else 0}
    return with_groups(penalty, lambda unit: axes.get(unit, unit))


def checked_rng(rng: Seed) -> np.random.Generator:
    """A generator: the one given, or one from a whole number, or one that nobody can foresee."""
    is_whole = isinstance(rng, Integral) and not isinstance(rng, bool) and rng >= 0
    if not (rng is None or isinstance(rng, np.random.Generator) or is_whole):
        raise TypeError(f"rng must be a Generator, a whole number from 0 up, or None, got {rng!r}")
    return np.random.default_rng(rng)


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float64 or float32."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}") from None
    if kind not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {kind}")
    return kind


def checked_number(
    name: str, number: object, *, above: float = -np.finfo(float).tiny, below: float = np.inf
) -> float:
    """`number` as a float between these ends, which it may not reach; by default from 0 up.

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
