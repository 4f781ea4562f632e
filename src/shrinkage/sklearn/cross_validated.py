"""`MLPClassifierCV` and `MLPRegressorCV`: the strength of the penalty by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self, final

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import check_array
from sklearn.utils.parallel import Parallel, delayed

from shrinkage.sklearn.arguments import check_sample_weight
from shrinkage.sklearn.classifier import ClassifierPart, MLPClassifier
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.path import choose, default_strengths, fit_path
from shrinkage.sklearn.path_plot import plot_path
from shrinkage.sklearn.penalty_argument import PenaltyArgument, make_penalty, with_strength
from shrinkage.sklearn.regressor import MLPRegressor, RegressorPart


@dataclass(eq=False, repr=False, kw_only=True)
class CrossValidated(BaseEstimator):
    """The arguments of cross-validation, and what it does with a model."""

    penalty: PenaltyArgument = "l1"
    strengths: Any = 20
    cv: Any = 5
    rule: str = "one-se"
    scoring: Any = None
    n_jobs: int | None = None

    _model: ClassVar[type]

    def plot_path(self, ax: Any = None) -> Any:
        """Draw the scores and the number of kept inputs against the strength, with Matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        The axes of the scores.
        """
        return plot_path(self, ax)

    def _make_model(self) -> Any:
        """One model, without cross-validation, whose parameters this one has."""
        names = self._model._get_param_names()
        return self._model(**{name: getattr(self, name) for name in names if hasattr(self, name)})

    def _choose(
        self,
        X: Any,
        y: Array,
        targets: Array,
        loss: str,
        sample_weight: Array | None,
        weights: Array | None,
    ) -> None:
        """Choose the strength, and take over the model of all rows at it."""
        make_penalty(self.penalty, 1.0)
        with_strength(self.penalty, 1.0)
        self.strengths_ = self._check_strengths()
        if self.strengths_ is None:
            self.strengths_ = default_strengths(
                self._make_model(), X, y, targets, loss, sample_weight, weights, self.strengths
            )
        splits = check_cv(self.cv, y, classifier=isinstance(self, ClassifierPart)).split(X, y)
        scorer = check_scoring(self._make_model(), scoring=self.scoring)
        scores = Parallel(n_jobs=self.n_jobs)(
            delayed(_score_fold)(
                self._make_model(), X, y, sample_weight, self.strengths_, train, test, scorer
            )
            for train, test in splits
        )
        self.scores_path_ = np.array(scores).T  # (strengths, folds)
        states = fit_path(self._make_model(), X, y, sample_weight, self.strengths_)
        self.coefs_path_ = [state["coefs_"] for state in states]
        self.intercepts_path_ = [state["intercepts_"] for state in states]
        self.n_selected_path_ = np.array([state["selected_features_"].sum() for state in states])
        place = choose(self.scores_path_, self.rule)
        self.strength_ = float(self.strengths_[place])
        for name, value in states[place].items():
            if name.endswith("_") or name == "_loss":
                setattr(self, name, value)

    def _check_strengths(self) -> Array | None:
        """The given strengths from strong to weak; None where a number of them is given."""
        given = self.strengths
        if isinstance(given, Integral) and not isinstance(given, bool):
            if given < 1:
                raise ValueError(f"strengths must be at least 1, or an array, got {given}")
            return None
        if isinstance(given, str) or not np.iterable(given):
            raise TypeError(f"strengths must be how many, or an array of them, got {given!r}")
        strengths: Array = check_array(
            np.asarray(given), ensure_2d=False, dtype=np.float64, input_name="strengths"
        )
        if strengths.ndim != 1 or strengths.min() < 0:
            raise ValueError(f"strengths must be numbers >= 0 in one dimension, got {given!r}")
        return np.unique(strengths)[::-1]


def _score_fold(
    model: Any,
    X: Any,
    y: Array,
    sample_weight: Array | None,
    strengths: Array,
    train: Array,
    test: Array,
    scorer: Any,
) -> list[float]:
    """The score at each strength on the rows `test`."""
    weights = None if sample_weight is None else sample_weight[train]
    named = {} if sample_weight is None else {"sample_weight": sample_weight[test]}
    scores = []
    for state in fit_path(model, X[train], y[train], weights, strengths):
        fitted = type(model).__new__(type(model))
        vars(fitted).update(state)
        scores.append(float(scorer(fitted, X[test], y[test], **named)))
    return scores


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressorCV(CrossValidated, RegressorPart):
    """`MLPRegressor` at the strength of its penalty that cross-validation chooses."""

    _model: ClassVar[type] = MLPRegressor

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the strength, and fit at it to inputs X (samples, inputs) and numbers y."""
        self._check_arguments()
        X, targets = self._read(X, y, reset=True)
        weights = check_sample_weight(sample_weight, X)
        y = targets[:, 0] if targets.shape[1] == 1 else targets
        self._choose(X, y, targets, "squared_error", weights, weights)
        return self


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifierCV(CrossValidated, ClassifierPart):
    """`MLPClassifier` at the strength of its penalty that cross-validation chooses."""

    _model: ClassVar[type] = MLPClassifier

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the strength, and fit at it to inputs X (samples, inputs) and classes y."""
        self._check_arguments()
        X, y, targets = self._read(X, y, reset=True)
        weights = check_sample_weight(sample_weight, X)
        both = self._weigh(sample_weight, X, y)
        self._choose(X, y, targets, self._loss_name(), weights, both)
        return self
