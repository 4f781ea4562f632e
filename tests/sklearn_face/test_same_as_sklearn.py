"""Without a penalty, a network is the one that scikit-learn trains; linear models are its own."""

import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_wine,
    make_multilabel_classification,
)
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor

from shrinkage import L1, L2
from shrinkage import ElasticNet as ElasticNetPenalty
from shrinkage.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough to compare
)


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


WINE = standardized(load_wine().data), load_wine().target
CANCER = standardized(load_breast_cancer().data), load_breast_cancer().target
DIABETES = standardized(load_diabetes().data), standardized(load_diabetes().target)
SETTINGS = [
    {},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "max_iter": 60},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    {"activation": "tanh", "hidden_layer_sizes": (8, 5), "alpha": 1.0},
    {"activation": "logistic", "hidden_layer_sizes": 8, "batch_size": 32},
    {"activation": "identity", "shuffle": False, "batch_size": 50},
    {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 60},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("data", [WINE, CANCER, DIABETES], ids=["wine", "cancer", "diabetes"])
def test_training_is_the_same_to_the_last_digits(settings, data):
    arguments = {"hidden_layer_sizes": (10,), "max_iter": 12, "random_state": 3} | settings
    is_regression = data is DIABETES
    ours = (MLPRegressor if is_regression else MLPClassifier)(**arguments).fit(*data)
    theirs = (SklearnRegressor if is_regression else SklearnClassifier)(**arguments).fit(*data)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    for mine, other in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-10)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.out_activation_ == theirs.out_activation_
    assert ours.validation_scores_ == pytest.approx(theirs.validation_scores_)
    np.testing.assert_array_equal(ours.predict(data[0]), ours.predict(data[0]))
    if not is_regression:
        np.testing.assert_allclose(
            ours.predict_proba(data[0]), theirs.predict_proba(data[0]), rtol=1e-6, atol=1e-12
        )


def test_samples_with_weights_many_labels_and_partial_fits_are_the_same():
    X, y = make_multilabel_classification(100, 6, n_classes=3, random_state=0)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 100)
    ours, theirs = (
        kind((5,), max_iter=10, random_state=0) for kind in (MLPClassifier, SklearnClassifier)
    )
    for model in (ours, theirs):
        model.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    ours, theirs = (kind((5,), random_state=0) for kind in (MLPClassifier, SklearnClassifier))
    for model in (ours, theirs):
        for rows in (slice(0, 60), slice(60, None), slice(0, 60)):
            model.partial_fit(CANCER[0][rows], CANCER[1][rows], classes=[0, 1])
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-8)
    assert len(ours.loss_curve_) == 3


@pytest.mark.parametrize(
    ("penalty", "model"),
    [
        (L1(0.05), Lasso(0.05, tol=1e-12)),
        (ElasticNetPenalty(0.1, 0.4), ElasticNet(alpha=0.1, l1_ratio=0.4, tol=1e-12)),
        (L2(0.05), Ridge(0.1 * len(DIABETES[1]))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_linear_regression_is_scikit_learns(penalty, model):
    X, y = DIABETES
    ours = MLPRegressor((), penalty=penalty).fit(X, y)
    model.fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], model.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(ours.coefs_[0][:, 0] == 0, model.coef_ == 0)
    np.testing.assert_allclose(ours.predict(X), model.predict(X), rtol=1e-6, atol=1e-9)


@pytest.mark.quick_where(l1_ratio=[0.5])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("data", [WINE, CANCER], ids=["wine", "cancer"])
def test_a_linear_classifier_is_scikit_learns_with_lam_as_one_over_n_times_c(l1_ratio, data):
    X, y = data
    C = 0.1
    lam = 1 / (len(y) * C)
    ours = MLPClassifier((), penalty=ElasticNetPenalty(lam, l1_ratio)).fit(X, y)
    theirs = LogisticRegression(C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=20_000)
    theirs.fit(X, y)
    weights = ours.coefs_[0].T
    np.testing.assert_allclose(weights, theirs.coef_, atol=1e-5)
    data_loss = -ours.predict_log_proba(X)[np.arange(len(y)), y].mean()
    penalty = ElasticNetPenalty(lam, l1_ratio)
    assert ours.loss_ == pytest.approx(data_loss + float(penalty(weights)), abs=1e-12)
    reference = -theirs.predict_log_proba(X)[np.arange(len(y)), y].mean()
    assert ours.loss_ == pytest.approx(reference + float(penalty(theirs.coef_)), abs=1e-6)
    if l1_ratio:
        np.testing.assert_array_equal(weights == 0, np.abs(theirs.coef_) < 1e-8)


def test_alpha_of_a_linear_model_is_scikit_learns():
    X, y = CANCER
    ours = MLPClassifier((), alpha=2.0).fit(X, y)  # alpha/(2n)·Σw² beside the mean: C = 1/alpha
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-5)
