"""The score of a study, and its error on a limited number of rows."""

from __future__ import annotations

import math

import numpy as np

NAMES = {"classes": "accuracy", "numbers": "R²"}


def answer_outputs(outputs: np.ndarray, task: str) -> np.ndarray:
    """The class index, or the number, that outputs of shape (rows, outputs) stand for."""
    if task == "numbers":
        return np.asarray(outputs[:, 0])
    classes = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return np.asarray(classes, dtype=np.int64)


def score_predictions(y: np.ndarray, prediction: np.ndarray, task: str) -> float:
    """Accuracy for classes, R² for numbers; higher is better.

    R² is 1 − Σ(y − ŷ)²/Σ(y − ȳ)², with the mean ȳ of these rows, and 0 where y does not vary.

    Parameters
    ----------
    y, prediction : array
        (rows,): class indices, or numbers.

    Examples
    --------
    >>> score_predictions(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1]), "classes")
    0.75
    >>> score_predictions(np.array([1.0, 3.0]), np.array([2.0, 2.0]), "numbers")
    0.0
    """
    if task == "classes":
        return float((prediction == y).mean())
    errors = y.astype(np.float64) - prediction.astype(np.float64)
    spread = y.astype(np.float64) - y.mean(dtype=np.float64)
    total = float(spread @ spread)
    return 1.0 - float(errors @ errors) / total if total else 0.0


def sampling_error(y: np.ndarray, prediction: np.ndarray, task: str) -> float:
    """The standard error of a score, as far as it comes from the limited number of rows.

    Accuracy p on n rows: √(p(1 − p)/n), or 1/n where p is 0 or 1, for which the formula
    would claim certainty. R²: sd(u)/√n, where u = ((y − ŷ)² − (1 − R²)·(y − ȳ)²)/mean((y − ȳ)²)
    is the influence of each row on the score (the infinitesimal jackknife, close to the
    bootstrap); nan where y does not vary.

    Examples
    --------
    >>> sampling_error(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1]), "classes")  # √(3/16/4)
    0.21650635094610965
    """
    rows = len(y)
    value = score_predictions(y, prediction, task)
    if task == "classes":
        return math.sqrt(value * (1 - value) / rows) or 1 / rows
    squares = (y.astype(np.float64) - prediction.astype(np.float64)) ** 2
    spread = (y.astype(np.float64) - y.mean(dtype=np.float64)) ** 2
    if not spread.any():
        return math.nan
    influence = (squares - (1 - value) * spread) / spread.mean()
    return float(influence.std() / math.sqrt(rows))
