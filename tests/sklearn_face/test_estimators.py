"""What the estimators promise beside scikit-learn's: zeros, names of inputs, arguments."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shrinkage import L1, L2, MCP, Box, ElasticNet, GroupLasso, NuclearNorm
from shrinkage.sklearn import MLPClassifier, MLPRegressor, MLPRegressorCV

CANCER, LABELS = load_breast_cancer(return_X_y=True, as_frame=True)
SCALED = pd.DataFrame(StandardScaler().fit_transform(CANCER), columns=CANCER.columns)
TRUTH = np.array([3.0, -2.0, 2.0, 1.0])
generator = np.random.default_rng(0)
X = generator.normal(size=(200, 12))
Y = X[:, :4] @ TRUTH + 0.1 * generator.normal(size=200)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_with_a_penalty_has_exact_zeros_and_names_its_inputs():
    model = MLPRegressor(
        (16,), penalty="group_lasso:0.02,groups=in", learning_rate_init=0.01, random_state=0
    ).fit(X, Y)
    assert model.selected_features_.tolist() == [True] * 4 + [False] * 8
    assert not model.coefs_[0][4:].any()
    assert model.sparsity_ == np.mean(np.concatenate([w.ravel() for w in model.coefs_]) == 0)
    assert model.sparsity_ > 0.5
    importances = model.feature_importances_
    assert importances.sum() == pytest.approx(1.0)
    assert np.array_equal(importances > 0, model.selected_features_)
    assert np.argmax(importances) == np.argmax(np.abs(TRUTH))
    assert model.score(X, Y) > 0.95


def test_a_linear_model_has_importances_of_standardized_coefficients():
    scaled = X * np.arange(1.0, 13.0)
    model = MLPRegressor((), penalty=L1(0.05)).fit(scaled, Y)
    weights = np.abs(model.coefs_[0][:, 0]) * scaled.std(axis=0)
    np.testing.assert_allclose(model.feature_importances_, weights / weights.sum())
    assert model.selected_features_.sum() < 12
    assert model.loss_curve_ == [model.loss_]
    assert model.n_iter_ >= 1


def test_class_weights_count_as_sample_weights_do():
    weights = np.where(LABELS == 0, 5.0, 1.0)
    by_class = MLPClassifier((), penalty=L1(0.02), class_weight={0: 5.0}).fit(SCALED, LABELS)
    by_sample = MLPClassifier((), penalty=L1(0.02)).fit(SCALED, LABELS, sample_weight=weights)
    np.testing.assert_allclose(by_class.coefs_[0], by_sample.coefs_[0], atol=1e-9)
    balanced = MLPClassifier((), penalty=L1(0.02), class_weight="balanced").fit(SCALED, LABELS)
    assert (balanced.predict(SCALED) == 0).sum() > 0
    plain = MLPClassifier((), penalty=L1(0.02)).fit(SCALED, LABELS)
    assert np.abs(balanced.intercepts_[0] - plain.intercepts_[0]) > 0.01


def test_it_works_inside_scikit_learn():
    model = MLPClassifier((), penalty="l1:0.05")
    pipeline = make_pipeline(
        StandardScaler(), SelectFromModel(model, threshold=1e-12), clone(model)
    )
    pipeline.set_output(transform="pandas").fit(CANCER, LABELS)
    kept = pipeline[:-1].transform(CANCER).columns
    assert 0 < len(kept) < 15
    assert "worst concave points" in kept
    assert list(pipeline[-1].feature_names_in_) == list(kept)
    assert cross_val_score(pipeline, CANCER, LABELS, cv=3).min() > 0.88


@pytest.mark.parametrize("penalty", ["l1:1.0", "l1", L1(1.0)], ids=str)
def test_grid_search_over_the_strength(penalty):
    search = GridSearchCV(
        MLPRegressor((), penalty=penalty), {"penalty__lam": [10.0, 0.1, 0.01]}, cv=3
    ).fit(X, Y)
    assert search.best_params_["penalty__lam"] == 0.01
    assert search.best_estimator_.penalty == L1(0.01)
    assert np.diff(search.cv_results_["mean_test_score"]).min() > 0


def test_penalties_are_read_set_and_cloned():
    model = MLPRegressor(penalty="elastic_net:0.1,l1_ratio=0.3")
    assert model.get_params()["penalty__l1_ratio"] == 0.3
    assert "penalty__lam" not in model.get_params(deep=False)
    assert clone(model).penalty == "elastic_net:0.1,l1_ratio=0.3"
    copied = clone(model).set_params(penalty__l1_ratio=0.5, penalty__lam=0.2, alpha=1.0)
    assert copied.penalty == ElasticNet(0.2, 0.5)
    assert copied.alpha == 1.0
    assert model.penalty == "elastic_net:0.1,l1_ratio=0.3"
    summed = MLPRegressor(penalty=L1(0.1) + MCP(0.2)).set_params(penalty__1__gamma=5.0)
    assert summed.penalty == L1(0.1) + MCP(0.2, gamma=5.0)
    assert clone(summed).penalty == summed.penalty
    assert repr(MLPRegressor(penalty=L1(0.1))) == "MLPRegressor(penalty=L1(lam=0.1): 0.1·Σ|w|)"
    with pytest.raises(ValueError, match=r"penalty__gamma names no argument .* has lam, l1_ratio"):
        model.set_params(penalty__gamma=1.0)
    with pytest.raises(ValueError, match="has no arguments: set penalty to another penalty"):
        MLPRegressor().set_params(penalty__lam=1.0)


def test_alpha_is_off_where_a_penalty_is_on():
    weak = MLPRegressor((), penalty=L2(0.0)).fit(X, Y).coefs_[0]
    np.testing.assert_allclose(MLPRegressor((), alpha=0.0).fit(X, Y).coefs_[0], weak)
    both = MLPRegressor((), penalty=L2(0.1), alpha=40.0).fit(X, Y)
    ridge = MLPRegressor((), penalty=L2(0.1 + 40 / (2 * 200))).fit(X, Y)
    np.testing.assert_allclose(both.coefs_[0], ridge.coefs_[0], rtol=1e-8)
    assert both.coefs_[0] != pytest.approx(weak)


def test_intercepts_are_penalized_only_on_request():
    shifted = Y + 3.0
    free = MLPRegressor((), penalty=L1(0.5)).fit(X, shifted)
    held = MLPRegressor((), penalty=L1(0.5), on="all").fit(X, shifted)
    only = MLPRegressor((), penalty=L1(0.5), on="biases").fit(X, shifted)
    assert free.intercepts_[0][0] == pytest.approx(3.0, abs=0.2)
    assert held.intercepts_[0][0] == pytest.approx(2.5, abs=0.2)
    assert only.intercepts_[0][0] == pytest.approx(2.5, abs=0.2)
    assert only.selected_features_.all()
    assert not held.selected_features_.all()


def test_a_warm_start_goes_on_from_the_last_fit():
    model = MLPClassifier((5,), penalty="l1:1e-3", warm_start=True, max_iter=40, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=40 epochs, .*: raise max_iter"):
        first = model.fit(SCALED, LABELS).loss_
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        assert model.fit(SCALED, LABELS).loss_curve_[0] == pytest.approx(first, rel=0.05)
    model.set_params(hidden_layer_sizes=(6,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(6,\) makes weights of the shapes"):
        model.fit(SCALED, LABELS)
    solved = MLPClassifier((), penalty="l1:1e-2", warm_start=True).fit(SCALED, LABELS)
    assert solved.fit(SCALED, LABELS).n_iter_ == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("sizes", [(), (4,)])
def test_types_of_inputs_do_not_change_the_model(sizes):
    arguments = {"penalty": L1(0.01), "max_iter": 20, "random_state": 0}
    dense = MLPClassifier(sizes, **arguments).fit(SCALED.to_numpy(), LABELS)
    thin = MLPClassifier(sizes, **arguments).fit(sparse.csc_matrix(SCALED), LABELS)
    frame = MLPClassifier(sizes, **arguments).fit(SCALED, LABELS)
    single = MLPClassifier(sizes, **arguments).fit(SCALED.to_numpy(np.float32), LABELS)
    np.testing.assert_allclose(thin.coefs_[0], dense.coefs_[0], atol=1e-6)
    np.testing.assert_allclose(frame.coefs_[0], dense.coefs_[0])
    np.testing.assert_allclose(single.coefs_[0], dense.coefs_[0], atol=1e-4)
    assert single.coefs_[0].dtype == np.float32
    assert single.predict_proba(SCALED.to_numpy(np.float32)).dtype == np.float32
    assert list(frame.feature_names_in_) == list(SCALED.columns)
    again = pickle.loads(pickle.dumps(frame))
    np.testing.assert_array_equal(again.predict_proba(SCALED), frame.predict_proba(SCALED))


def test_three_classes_in_text_and_one_class_alone():
    inputs, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    model = MLPClassifier((), penalty=GroupLasso(0.02, groups="in")).fit(inputs, names)
    assert model.out_activation_ == "softmax"
    assert model.predict(inputs[:1]).tolist() == ["setosa"]
    assert model.score(inputs, names) > 0.9
    assert model.coefs_[0].shape == (4, 3)
    alone = MLPClassifier((3,), tol=1.0).fit(inputs[:50], names[:50])
    assert alone.predict(inputs[:2]).tolist() == ["setosa"] * 2
    assert alone.predict_proba(inputs[:2]).tolist() == [[1.0], [1.0]]


BAD_ARGUMENTS = [
    ({"solver": "lbfgs"}, 'solver must be "adam" or "sgd", got \'lbfgs\'; lbfgs needs derivatives'),
    ({"how": "decoupled"}, 'how must be "proximal" or "coupled", got \'decoupled\'; shrinkage.tor'),
    ({"on": "gains"}, 'on must be "weights" or "biases" or "all", got \'gains\''),
    ({"alpha": -1.0}, "alpha must be >= 0 and finite, or 'auto', got -1.0"),
    ({"alpha": "none"}, "alpha must be a number, or 'auto', got 'none'"),
    ({"momentum": 1.5}, "momentum must be >= 0 and <= 1, got 1.5"),
    ({"beta_1": 1.0}, "beta_1 must be >= 0 and < 1, got 1.0"),
    ({"max_iter": 0}, "max_iter must be at least 1, got 0"),
    ({"batch_size": 0.5}, "batch_size must be a whole number from 1 up, or 'auto', got 0.5"),
    ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be whole numbers from 1 up, such as"),
    ({"penalty": 0.1}, 'penalty must be a penalty such as L1(1e-3), text such as "l1:1e-3", or'),
    ({"penalty": "l1"}, "'l1': l1 has no strength; write for example l1:1e-4"),
    ({"penalty": "none"}, "penalty='none' is no penalty: write None, without quotes"),
    ({"penalty": NuclearNorm(1.0)}, 'use solver="sgd" for it'),
    ({"penalty": Box(0, 1), "how": "coupled"}, 'has no gradient: use how="proximal"'),
    ({"learning_rate_init": 1e200, "max_iter": 3}, "training diverged: the weights are no longer"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS, ids=lambda case: str(case)[:40])
def test_bad_arguments_are_told(arguments, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        MLPRegressor(**{"hidden_layer_sizes": (3,)} | arguments).fit(X, Y)
    assert message in str(caught.value)


def test_bad_data_are_told():
    with pytest.raises(ValueError, match="squares are too large; standardize them"):
        MLPRegressor((), penalty="l1:0.1").fit(X, Y * 1e200)
    for make in (MLPRegressor, MLPRegressorCV):
        with pytest.raises(ValueError, match="X has values whose squares are too large; standard"):
            make(()).fit(X * 1e200, Y)
    with pytest.raises(ValueError, match="sample_weight must be >= 0, got -1"):
        MLPRegressor(()).fit(X, Y, sample_weight=-np.ones(200))
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, Y > 0)
    model = MLPClassifier((3,)).partial_fit(X, Y > 0, classes=[False, True])
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[False, Tr"):
        model.partial_fit(X, Y > 0, classes=[False, 2])
    with pytest.raises(ValueError, match="y has the classes"):
        model.partial_fit(X, np.arange(200) % 3)
    with pytest.raises(ValueError, match='class_weight="balanced" needs all of y'):
        MLPClassifier(class_weight="balanced").partial_fit(X, Y > 0, classes=[False, True])
    with pytest.raises(ValueError, match="early_stopping must be False for partial_fit"):
        MLPRegressor(early_stopping=True).partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"validation_fraction=0.001 holds out fewer than 2 of 20"):
        MLPRegressor(early_stopping=True, validation_fraction=0.001).fit(X, Y)
