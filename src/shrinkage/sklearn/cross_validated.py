"""`MLPClassifierCV` and `MLPRegressorCV`: the strength of the penalty by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self, final

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import check_array
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from shrinkage.figures.plotly_figure import to_plotly
from shrinkage.figures.strength_path import draw_strength_path
from shrinkage.sklearn.checks import check_sample_weight, check_sizes
from shrinkage.sklearn.classifier import ClassifierPart, MLPClassifier
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.path import choose, default_strengths, fit_path
from shrinkage.sklearn.penalty_argument import PenaltyArgument, with_strength
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

    _model: ClassVar[Any]

    def plot_path(self) -> Any:
        """A Plotly figure of the scores and the number of kept inputs against the strength.

        The band is one standard error over the folds, the dotted line the strength chosen.

        Raises
        ------
        ImportError
            If Plotly is not installed.
        """
        check_is_fitted(self)
        strengths, kept = np.asarray(self.strengths_), self.n_selected_path_
        return to_plotly(draw_strength_path(strengths, self.scores_path_, kept, self.strength_))

    def _make_model(self) -> Any:
        """One model, without cross-validation, whose parameters this one has."""
        names = self._model().get_params(deep=False)
        return self._model(**{name: getattr(self, name) for name in names if hasattr(self, name)})

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the strength, and fit at it to inputs X (samples, inputs) and y."""
        self._check_arguments()
        with_strength(self.penalty, 1.0)  # says what is wrong with it
        data, loss = self._prepare(X, y, sample_weight, reset=True)
        X, y = data.X, self._decode(data.targets)
        weights = check_sample_weight(sample_weight, X)
        self.strengths_ = self._check_strengths()
        model = self._make_model()
        data, loss = model._prepare(X, y, weights, reset=True)
        if self.strengths_ is None:
            self.strengths_ = default_strengths(clone(model), data, loss, self.strengths)
        splits = check_cv(self.cv, y, classifier=is_classifier(self)).split(X, y)
        scorer = check_scoring(model, scoring=self.scoring)
        # Compiled loops hold no lock of Python's; a linear model is solved in NumPy, with many.
        prefer = "threads" if check_sizes(self.hidden_layer_sizes) else None
        scores = Parallel(n_jobs=self.n_jobs, prefer=prefer)(
            delayed(_score_fold)(clone(model), X, y, weights, self.strengths_, fold, scorer)
            for fold in splits
        )
        self.scores_path_ = np.array(scores).T  # (strengths, folds)
        states = fit_path(model, data, loss, self.strengths_)
        self.coefs_path_ = [state["coefs_"] for state in states]
        self.intercepts_path_ = [state["intercepts_"] for state in states]
        self.n_selected_path_ = np.array([state["selected_features_"].sum() for state in states])
        place = choose(self.scores_path_, self.rule)
        self.strength_ = float(self.strengths_[place])
        for name, value in states[place].items():
            if name == "_loss" or (name.endswith("_") and not hasattr(self, name)):
                setattr(self, name, value)
        return self

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
    fold: tuple[Array, Array],
    scorer: Any,
) -> list[float]:
    """The score at each strength on the second rows of `fold`, of models of the first."""
    train, test = fold
    weights = None if sample_weight is None else sample_weight[train]
    data, loss = model._prepare(X[train], y[train], weights, reset=True)
    named = {} if sample_weight is None else {"sample_weight": sample_weight[test]}
    scores = []
    for state in fit_path(model, data, loss, strengths):
        fitted = type(model)()
        vars(fitted).update(state)
        scores.append(float(scorer(fitted, X[test], y[test], **named)))
    return scores


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressorCV(CrossValidated, RegressorPart):
    """`MLPRegressor` at the strength of its penalty that cross-validation chooses.

    Arguments and attributes are those of `MLPRegressor`, and as `MLPClassifierCV` describes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = MLPRegressorCV(hidden_layer_sizes=()).fit(X, y)
    >>> model.feature_names_in_[model.selected_features_].tolist()
    ['sex', 'bmi', 'bp', 's3', 's5']
    >>> figure = model.plot_path()  # one of Plotly's
    """

    _model: ClassVar[Any] = MLPRegressor


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifierCV(CrossValidated, ClassifierPart):
    """`MLPClassifier` at the strength of its penalty that cross-validation chooses.

    For each strength and fold a model is trained, begun at its neighbour: a linear model from
    strong to weak, a network from weak to strong. The fitted attributes are those of the model of
    all rows at the strength chosen. The other parameters are those of `MLPClassifier`, but for
    `warm_start`.

    Parameters
    ----------
    penalty : Penalty or str, default "l1"
        Its strength is what is chosen: text need not state it. In a sum, the terms that state
        none take it, "l1 + l2:1e-3".
    strengths : int or array, default 20
        How many on a geometric grid, from that at which no input is left down to a thousandth of
        it; or the strengths themselves. In a network the first is found by training.
    cv : int, splitter or iterable, default 5
        The folds, as in scikit-learn; for classes stratified.
    rule : {"one-se", "best"}, default "one-se"
        The strongest whose mean score is within one standard error of the best, or the best.
    scoring : str or callable, optional
        As in scikit-learn; by default accuracy, or R² of numbers.
    n_jobs : int, optional
        The folds that run at a time: those of a network in threads, of a linear model in processes.

    Attributes
    ----------
    strengths_ : array (strengths,)
        From strong to weak.
    strength_ : float
        The one chosen.
    scores_path_ : array (strengths, folds)
    n_selected_path_ : array (strengths,)
        How many inputs the model of all rows keeps.
    coefs_path_, intercepts_path_ : lists
        `coefs_` and `intercepts_` of the model of all rows at each strength.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> model = MLPClassifierCV(hidden_layer_sizes=(), strengths=5, cv=3).fit(X, y)
    >>> model.n_selected_path_
    array([ 0,  4,  9, 17, 22])
    >>> figure = model.plot_path()  # one of Plotly's
    """

    _model: ClassVar[Any] = MLPClassifier
