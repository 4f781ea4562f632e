"""What each class counts in the training of a balanced study."""

from __future__ import annotations

import numpy as np


def balance_classes(y: np.ndarray, classes: int) -> np.ndarray:
    """The weight of each class, n/(k·n_class) for n rows of k classes; 0 for one without rows.

    Parameters
    ----------
    y : array (rows,)
        Class indices.

    Returns
    -------
    array (classes,), float32

    >>> balance_classes(np.array([0, 0, 0, 2]), 3).round(4)
    array([0.6667, 0.    , 2.    ], dtype=float32)
    """
    counts = np.bincount(y, minlength=classes)
    weights = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1)) * (counts > 0)
    return weights.astype(np.float32)
