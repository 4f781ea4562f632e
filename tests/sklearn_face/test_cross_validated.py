"""The strength by cross-validation: against scikit-learn's, and the rules by hand."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold

from shrinkage import L1, L2, GroupLasso
from shrinkage.sklearn import MLPClassifier, MLPClassifierCV, MLPRegressor, MLPRegressorCV
from shrinkage.sklearn.path import choose

FRAME, Y = load_diabetes(return_X_y=True, as_frame=True)
FRAME = (FRAME - FRAME.mean()) / FRAME.std()
CANCER, LABELS = load_breast_cancer(return_X_y=True)
CANCER = (CANCER - CANCER.mean(axis=0)) / CANCER.std(axis=0)


def test_the_lasso_path_is_scikit_learns():
    ours = MLPRegressorCV((), scoring="neg_mean_squared_error", rule="best").fit(FRAME, Y)
    theirs = LassoCV(alphas=ours.strengths_, tol=1e-10, max_iter=100_000).fit(FRAME, Y)
    assert ours.strengths_[0] == pytest.approx(LassoCV(cv=5).fit(FRAME, Y).alphas_[0], rel=1e-9)
    assert ours.strengths_[-1] == pytest.approx(ours.strengths_[0] / 1000)
    np.testing.assert_allclose(-ours.scores_path_, theirs.mse_path_, rtol=1e-5)
    assert ours.strength_ == theirs.alpha_
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, rtol=1e-5, atol=1e-7)
    assert ours.scores_path_.shape == (20, 5)
    assert ours.n_selected_path_[0] == 0
    assert ours.n_selected_path_[-1] == 10
    kept = [(coefs[0] != 0).any(axis=1).sum() for coefs in ours.coefs_path_]
    assert kept == ours.n_selected_path_.tolist()
    alone = MLPRegressor((), penalty=L1(ours.strength_)).fit(FRAME, Y)
    np.testing.assert_allclose(alone.coefs_[0], ours.coefs_[0], rtol=1e-6, atol=1e-8)
    assert list(ours.feature_names_in_) == list(FRAME.columns)


def test_the_one_standard_error_rule_is_the_default_and_sparser():
    sparse = MLPRegressorCV(()).fit(FRAME, Y)
    best = MLPRegressorCV((), rule="best").fit(FRAME, Y)
    means = best.scores_path_.mean(axis=1)
    place = means.argmax()
    error = best.scores_path_[place].std(ddof=1) / 5**0.5
    within = best.strengths_[means >= means[place] - error]
    assert sparse.strength_ == within.max() > best.strength_
    assert sparse.selected_features_.sum() < best.selected_features_.sum()


def test_ties_go_to_the_strongest_and_nan_to_none():
    scores = np.array([[0.5, np.nan], [0.6, 0.6], [0.6, 0.6], [0.1, 0.1]])
    assert choose(scores, "best") == choose(scores, "one-se") == 1
    assert choose(np.array([[0.1], [0.2]]), "one-se") == 1  # one fold has no standard error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_goes_from_dense_to_sparse():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(150, 8))
    y = np.abs(X[:, 0]) + np.maximum(X[:, 1], 0) + 0.1 * generator.normal(size=150)
    model = MLPRegressorCV(
        (12,),
        penalty="group_lasso:groups=in",
        strengths=6,
        cv=3,
        max_iter=60,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(X, y)
    assert model.n_selected_path_[0] == 0
    assert model.n_selected_path_[-1] == 8
    assert model.n_selected_path_[1] == 2
    kept = (model.coefs_path_[1][0] != 0).any(axis=1)
    assert kept.tolist() == [True, True] + [False] * 6
    assert model.selected_features_[:2].all()
    assert model.strength_ in model.strengths_
    assert model.score(X, y) > 0.9
    assert model.penalty == "group_lasso:groups=in"
    assert model.predict(X[:2]).shape == (2,)


def test_classes_take_weights_folds_and_a_given_grid():
    weights = np.where(LABELS == 0, 3.0, 1.0)
    model = MLPClassifierCV(
        (), strengths=[0.01, 0.1, 0.1, 1.0], cv=KFold(3), scoring="neg_log_loss", n_jobs=2
    )
    with parallel_config("threading"):
        model.fit(CANCER, LABELS, sample_weight=weights)
    assert model.strengths_.tolist() == [1.0, 0.1, 0.01]
    assert model.scores_path_.shape == (3, 3)
    assert model.predict_proba(CANCER).shape == (569, 2)
    by_class = MLPClassifierCV((), strengths=[model.strength_], cv=3, class_weight={0: 3.0})
    np.testing.assert_allclose(by_class.fit(CANCER, LABELS).coefs_[0], model.coefs_[0], atol=1e-6)
    alone = MLPClassifier((), penalty=L1(model.strength_)).fit(CANCER, LABELS, weights)
    np.testing.assert_allclose(alone.coefs_[0], model.coefs_[0], atol=1e-6)
    assert not np.signbit(model.coefs_[0][model.coefs_[0] == 0]).any()


@pytest.mark.parametrize(
    "penalty", ["l2", L2(1.0), "l1 + l2:1e-3", GroupLasso(1.0, groups="in"), L1(5.0)], ids=str
)
def test_any_penalty_with_a_strength(penalty):
    model = MLPRegressorCV((), penalty=penalty, strengths=4, cv=3, rule="best").fit(FRAME, Y)
    assert model.scores_path_.mean(axis=1).max() > 0.4
    assert model.score(FRAME, Y) > 0.4
    sizes = [np.abs(coefs[0]).sum() for coefs in model.coefs_path_]
    assert np.all(np.diff(sizes) > 0)
    assert sizes[0] < 0.3 * sizes[-1]


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match=r"has 2 strengths to choose: write it as text"):
        MLPRegressorCV((), penalty=L1(1.0) + L2(1.0)).fit(FRAME, Y)
    with pytest.raises(ValueError, match="has 0 strengths to choose"):
        MLPRegressorCV((), penalty="max_norm:3").fit(FRAME, Y)
    with pytest.raises(ValueError, match='rule must be "one-se" or "best", got \'1se\''):
        MLPRegressorCV((), rule="1se").fit(FRAME, Y)
    with pytest.raises(ValueError, match="strengths must be at least 1, or an array, got 0"):
        MLPRegressorCV((), strengths=0).fit(FRAME, Y)
    with pytest.raises(TypeError, match="strengths must be how many, or an array of them, got 'a'"):
        MLPRegressorCV((), strengths="a").fit(FRAME, Y)
    with pytest.raises(ValueError, match="strengths must be numbers >= 0 in one dimension"):
        MLPRegressorCV((), strengths=[-1.0]).fit(FRAME, Y)


def test_the_path_is_drawn():
    model = MLPRegressorCV((), strengths=5)
    with pytest.raises(NotFittedError):
        model.plot_path()
    figure = model.fit(FRAME, pd.Series(Y)).plot_path()
    band, score, kept = figure.data
    np.testing.assert_allclose(score.y, model.scores_path_.mean(axis=1))
    assert len(band.x) == 2 * len(score.x)
    assert kept.y.tolist() == model.n_selected_path_.tolist()
    assert (figure.layout.xaxis.type, figure.layout.xaxis.title.text) == ("log", "strength")
    assert figure.layout.shapes[0].x0 == model.strength_
