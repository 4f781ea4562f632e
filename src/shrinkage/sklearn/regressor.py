"""`MLPRegressor`: numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d

from shrinkage.sklearn.base import BaseMLP
from shrinkage.sklearn.checks import check_sample_weight, read_data
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.task import Data


@dataclass(eq=False, repr=False, kw_only=True)
class RegressorPart(RegressorMixin, BaseMLP):
    """What the estimators for numbers do with y."""

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None
    ) -> tuple[Data, str]:
        X, y = read_data(self, X, y, reset=reset, numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1).astype(X.dtype, copy=False)
        return Data(X, targets, check_sample_weight(sample_weight, X)), "squared_error"

    def _decode(self, outputs: Array) -> Array:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _score_targets(self, targets: Array, predictions: Array, weights: Array | None) -> float:
        return float(r2_score(targets, predictions, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorPart):
    """A network or linear model for numbers, with any penalty: ½·mean squared error + Ω.

    Arguments and fitted attributes are those of `MLPClassifier`, but for what concerns classes.
    With several columns of y the data loss is the sum of theirs.

    Examples
    --------
    scikit-learn's ``Lasso(alpha=1.0)``:

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = MLPRegressor(hidden_layer_sizes=(), penalty="l1:1.0").fit(X, y)
    >>> model.feature_names_in_[model.selected_features_].tolist()
    ['bmi', 'bp', 's5']
    >>> model.predict(X[:2]).round()
    array([181., 112.])
    >>> network = MLPRegressor((10,), penalty="group_lasso:0.01,groups=in", random_state=0)
    >>> network.partial_fit(X, y).n_iter_  # one epoch more with each call
    1
    """

    warm_start: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (samples, inputs) and numbers y (samples,) or (samples, outputs)."""
        return self._begin(X, y, sample_weight, keep=self.warm_start)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on this data, from where the last call ended."""
        return self._begin(X, y, sample_weight, keep=True, epochs=1)
