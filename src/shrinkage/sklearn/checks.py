"""Checks of an estimator's arguments: each error names the argument, its value and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from shrinkage.penalties import Penalty
from shrinkage.sklearn.parameters import Array

CHOICES = {
    "activation": ("identity", "logistic", "tanh", "relu"),
    "solver": ("adam", "sgd"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "how": ("proximal", "coupled"),
    "on": ("weights", "biases", "all"),
    "rule": ("one-se", "best"),
}
REMEDIES = {
    "solver": "; lbfgs needs derivatives everywhere, and hidden_layer_sizes=() is solved exactly",
    "how": "; shrinkage.torch.Regularizer has the other ways",
}
LEAST = {"max_iter": 1, "n_iter_no_change": 1, "batch_size": 1}  # whole numbers
NUMBERS = {  # from, to; whether these are allowed
    "alpha": (0.0, math.inf, True, False),
    "learning_rate_init": (0.0, math.inf, False, False),
    "power_t": (0.0, math.inf, True, False),
    "tol": (0.0, math.inf, True, False),
    "momentum": (0.0, 1.0, True, True),
    "validation_fraction": (0.0, 1.0, False, False),
    "beta_1": (0.0, 1.0, True, False),
    "beta_2": (0.0, 1.0, True, False),
    "epsilon": (0.0, math.inf, False, False),
}
WORDS = {"alpha": "auto", "batch_size": "auto", "n_iter_no_change": math.inf}


def check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse what an estimator cannot work with.

    Raises
    ------
    TypeError, ValueError
    """
    for name, value in arguments.items():
        if name in WORDS and isinstance(value, type(WORDS[name])) and value == WORDS[name]:
            continue
        if name in CHOICES and value not in CHOICES[name]:
            known = " or ".join(f'"{choice}"' for choice in CHOICES[name])
            raise ValueError(f"{name} must be {known}, got {value!r}{REMEDIES.get(name, '')}")
        if name in LEAST:
            _check_whole(name, value)
        elif name in NUMBERS:
            _check_number(name, value)


def _check_whole(name: str, value: Any) -> None:
    also = f", or {WORDS[name]!r}" if name in WORDS else ""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number from {LEAST[name]} up{also}, got {value!r}")
    if value < LEAST[name]:
        raise ValueError(f"{name} must be at least {LEAST[name]}{also}, got {value}")


def _check_number(name: str, value: Any) -> None:
    low, high, with_low, with_high = NUMBERS[name]
    also = f", or {WORDS[name]!r}" if name in WORDS else ""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{also}, got {value!r}")
    number = float(value)
    is_edge = (number == low and with_low) or (number == high and with_high)
    if not (low < number < high or is_edge):
        end = "" if high == math.inf else f" and {'<=' if with_high else '<'} {high:g}"
        start = f"{'>=' if with_low else '>'} {low:g}"
        finite = " and finite" if high == math.inf else ""
        raise ValueError(f"{name} must be {start}{end}{finite}{also}, got {value}")


def check_sizes(hidden_layer_sizes: Any) -> list[int]:
    """The numbers of units of the hidden layers; [] is a linear model."""
    sizes = hidden_layer_sizes if isinstance(hidden_layer_sizes, Iterable) else [hidden_layer_sizes]
    checked = list(sizes)
    for size in checked:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(
                "hidden_layer_sizes must be whole numbers from 1 up, such as (100,), or () for a "
                f"linear model, got {hidden_layer_sizes!r}"
            )
    return [int(size) for size in checked]


def check_sample_weight(sample_weight: Any, X: Any) -> Array | None:
    """Weights of the samples, (samples,), at least 0 and not all 0; None where none are given."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        return np.full(X.shape[0], float(sample_weight))
    weights: Array = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must have shape (samples,), got {weights.shape}")
    check_consistent_length(weights, X)
    if weights.min() < 0:
        raise ValueError(f"sample_weight must be >= 0, got {weights.min():g}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero for all samples: leave it out")
    return weights


def check_way(penalty: Penalty | None, how: str, solver: str | None) -> None:
    """Refuse a penalty that cannot act in that way; `solver` is None for a linear model."""
    if penalty is None:
        return
    reason = penalty.why_not("gradient" if how == "coupled" and solver else "prox")
    if reason is None and how == "proximal" and solver == "adam":
        reason = penalty.why_not("metric")
        reason = reason and f'{reason}; use solver="sgd" for it'
    if reason is not None:
        raise ValueError(reason)


def read_data(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool) -> tuple[Any, Any]:
    """Checked X (dense or CSR, float64 or float32) and y (samples,) or (samples, outputs)."""
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse="csr",
        multi_output=True,
        y_numeric=numeric,
        dtype=(np.float64, np.float32),
        reset=reset,
    )
    if sparse.issparse(X) and not X.has_sorted_indices:
        X = X.sorted_indices()
    return X, y
