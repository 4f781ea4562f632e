"""What training sees of the data: plain arrays, without column names and without a test part.

This file imports only NumPy, because every process that runs trials loads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Examples:
    """Rows as arrays for a model."""

    X: np.ndarray  # (rows, features), float32
    y: np.ndarray  # (rows,): class index int64, or standardized number float32
    scale: float = 1.0  # one unit of a standardized number in the target's own units


@dataclass(frozen=True)
class Parts:
    """The two parts that the trials of one seed may see."""

    train: Examples
    validation: Examples
    task: str  # "classes" or "numbers"
    outputs: int  # outputs a model needs: 1 for numbers and for two classes, else one a class
