"""How much each input of a network matters."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from shrinkage.sklearn.numpy_engine import DERIVATIVES, forward
from shrinkage.sklearn.parameters import Array, Parameters

ROWS = 256  # at which the derivatives are taken, spread evenly over the data
ENTRIES = 4_000_000  # of the derivatives held at a time


def importances(parameters: Parameters, X: Any, activation: str) -> Array:
    """Each input's mean |∂score/∂input| times its standard deviation, summed over the outputs.

    They sum to 1, or are all 0. Those of a linear model are |coefficient| times the deviation.

    Parameters
    ----------
    X : array or CSR matrix (samples, inputs)
    """
    n_samples, n_inputs = X.shape
    rows = int(np.clip(min(ROWS, ENTRIES // n_inputs), 1, n_samples))
    picked = np.linspace(0, n_samples - 1, rows).astype(int)
    outputs = forward(parameters.coefs, parameters.intercepts, X[picked], activation)
    total = np.zeros(n_inputs)
    for output in range(parameters.sizes[-1]):
        delta = np.broadcast_to(parameters.coefs[-1][:, output], (rows, parameters.sizes[-2]))
        for layer in range(len(parameters.coefs) - 2, -1, -1):
            slope = DERIVATIVES[activation](outputs[layer + 1])
            delta = (delta * slope) @ parameters.coefs[layer].T
        total += np.abs(delta).mean(axis=0)
    total *= _deviations(X)
    whole = float(total.sum())
    return total / whole if np.isfinite(whole) and whole > 0 else np.zeros(n_inputs)


def _deviations(X: Any) -> Array:
    if not sparse.issparse(X):
        deviations: Array = X.std(axis=0, dtype=np.float64)
        return deviations
    means = np.asarray(X.mean(axis=0), dtype=np.float64).ravel()
    squares = np.asarray(X.multiply(X).mean(axis=0), dtype=np.float64).ravel()
    return np.sqrt(np.maximum(squares - means**2, 0.0))
