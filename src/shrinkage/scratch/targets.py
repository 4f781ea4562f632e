"""Checks of targets and outputs, which bring them into the form that a loss compares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.scratch.checks import Array, check_inputs, refuse_masked


def to_class_indices(y: ArrayLike, classes: int) -> Array:
    """Return the index of each sample's class (samples,), from indices or from one-hot rows.

    Raises
    ------
    ValueError
        For anything else, and for an index that has no output.
    """
    array = refuse_masked("y", y)
    if classes < 2:
        raise ValueError(
            "the categorical losses need an output for each class, at least 2, got 1; for yes or "
            "no of one output there are Sigmoid() and BinaryCrossEntropy()"
        )
    if array.ndim == 2 and array.shape[1] == classes:
        if not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
            raise ValueError("y of two dimensions must be one-hot: one 1 in each row, and 0s")
        indices: Array = array.argmax(axis=1)
        return indices
    if array.ndim != 1:
        hint = "; y.ravel() makes a column flat" if array.ndim == 2 and array.shape[1] == 1 else ""
        raise ValueError(
            f"y must have shape (samples,) or one-hot (samples, {classes}), got {array.shape}{hint}"
        )
    if array.dtype.kind == "f" and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        is_float = array.dtype.kind == "f"
        wrong = array[array != np.floor(array)][0] if is_float else array.dtype
        hint = "" if is_float else "; np.unique(y, return_inverse=True)[1] makes names so"
        raise ValueError(f"y must hold the index of each class, whole numbers, got {wrong}{hint}")
    if len(array) and not 0 <= array.min() <= array.max() < classes:
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(
            f"y must be between 0 and {classes - 1} for {classes} outputs, got label {wrong}"
        )
    return array.astype(np.intp)


def to_numbers(y: ArrayLike, outputs: int) -> Array:
    """Return `y` as finite numbers (samples, outputs); for one output it may be (samples,).

    Raises
    ------
    ValueError
        For another shape, and for anything but finite real numbers.
    """
    array = refuse_masked("y", y)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"y must be real numbers, got {array.dtype}")
    if array.ndim == 1 and outputs == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != outputs:
        raise ValueError(f"y must have shape (samples, {outputs}), got {np.shape(y)}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"y must be finite, but sample {row} has {array[row]}; remove it")
    return array.astype(np.float64) if array.dtype.kind != "f" else array


def check_probabilities(output: ArrayLike) -> Array:
    """Return `output` as an array, if its numbers are between 0 and 1."""
    array = check_inputs(output)
    if not 0.0 <= array.min() <= array.max() <= 1.0:
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(
            f"output must be probabilities between 0 and 1, got {wrong:g}: end the network with "
            "Softmax() or Sigmoid()"
        )
    return array


def check_samples(output: Array, y: Array) -> None:
    """Raise unless there are as many targets as outputs."""
    if len(output) != len(y):
        raise ValueError(f"y must have {len(output)} samples, as the output has, got {len(y)}")
