"""`MLPRegressor`: numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import column_or_1d

from shrinkage.sklearn.arguments import check_sample_weight
from shrinkage.sklearn.base import BaseMLP, read_data
from shrinkage.sklearn.parameters import Array


@dataclass(eq=False, repr=False, kw_only=True)
class RegressorPart(RegressorMixin, BaseMLP):
    """What the estimators for numbers do with y."""

    def predict(self, X: Any) -> Array:
        """The predicted numbers: (samples,), or (samples, outputs) where y had several columns."""
        outputs = self._predict_outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _read(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Array]:
        """X, and the targets (samples, outputs) in its type."""
        X, y = read_data(self, X, y, reset=reset, numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y.reshape(len(y), -1).astype(X.dtype, copy=False)

    def _split(self, targets: Array, rng: np.random.RandomState) -> tuple[Array, Array]:
        rows = np.arange(len(targets))
        train_rows, held = train_test_split(
            rows, test_size=self.validation_fraction, random_state=rng
        )
        if len(held) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} holds out fewer than 2 of "
                f"{len(targets)} samples: raise it, or set early_stopping=False"
            )
        return train_rows, held

    def _score_targets(self, targets: Array, predictions: Array, weights: Array | None) -> float:
        return float(r2_score(targets, predictions, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorPart):
    """A network or linear model for numbers, with any penalty: ½·mean squared error + Ω."""

    warm_start: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (samples, inputs) and numbers y (samples,) or (samples, outputs)."""
        self._check_arguments()
        keep = bool(self.warm_start) and hasattr(self, "coefs_")
        X, targets = self._read(X, y, reset=not keep)
        weights = check_sample_weight(sample_weight, X)
        return self._fit(X, targets, weights, "squared_error", keep=keep)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on this data, from where the last call ended."""
        self._check_arguments()
        keep = hasattr(self, "coefs_")
        X, targets = self._read(X, y, reset=not keep)
        weights = check_sample_weight(sample_weight, X)
        return self._fit(X, targets, weights, "squared_error", keep=keep, epochs=1)
