"""The gradient of a network, and where training with a penalty comes to rest."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score, r2_score

from shrinkage import L1, L2, GroupLasso, NuclearNorm
from shrinkage.linear import solve
from shrinkage.sklearn import MLPClassifier, MLPRegressor
from shrinkage.sklearn.numpy_engine import loss_and_gradient
from shrinkage.sklearn.parameters import BoundPenalty, Parameters
from shrinkage.sklearn.task import Data, Objective, Task
from shrinkage.sklearn.training import Progress, Schedule, train
from shrinkage.sklearn.update_rules import Adam, Sgd

rng = np.random.default_rng(0)
X = rng.normal(size=(7, 3))
TARGETS = {
    "squared_error": rng.normal(size=(7, 2)),
    "log_loss": np.eye(2)[rng.integers(0, 2, 7)],
    "binary_log_loss": rng.integers(0, 2, (7, 2)).astype(float),
}


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("weights", [None, np.arange(7.0) / 3], ids=["", "weighted"])
def test_the_gradient_is_that_of_finite_differences(loss, activation, weights):
    parameters = Parameters([3, 4, 2], np.float64)
    parameters.values[:] = np.random.default_rng(1).normal(size=parameters.values.size)
    data = Data(sparse.csr_matrix(X) if activation == "tanh" else X, TARGETS[loss], weights)
    objective, gradient = Objective(loss, activation, 0.7, None), np.empty_like(parameters.values)
    loss_and_gradient(parameters, data, objective, gradient)
    start, ignored = parameters.values.copy(), np.empty_like(gradient)
    for index in range(len(start)):
        values = []
        for step in (1e-6, -1e-6):
            parameters.values[:] = start
            parameters.values[index] += step
            values.append(loss_and_gradient(parameters, data, objective, ignored))
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradient[index], abs=1e-7)


RULES = {
    "adam": lambda like: Adam(like, 0.02, 0.9, 0.999, 1e-8),
    "sgd": lambda like: Sgd(like, 0.05, "constant", 0.5, 0.9, True),
    "sgd, no momentum": lambda like: Sgd(like, 0.1, "constant", 0.5, 0.0, False),
}


@pytest.mark.quick_where(rule=["adam"], penalty=[str(L1(0.3))])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", [L1(0.3), GroupLasso(0.2, groups="in"), L2(0.2)], ids=str)
def test_training_rests_where_data_loss_and_penalty_are_least(rule, penalty):
    generator = np.random.default_rng(2)
    inputs = generator.normal(size=(80, 5))
    y = inputs @ generator.normal(size=(5, 2)) + generator.normal(size=(80, 2))
    parameters = Parameters([5, 2], np.float64)  # a linear model, trained as a network is
    parameters.draw("relu", np.random.RandomState(0))
    bound = BoundPenalty(penalty, "weights", "proximal", parameters)
    objective = Objective("squared_error", "relu", 0.0, bound)
    update = RULES[rule](parameters.values)
    task = Task(parameters, Data(inputs, y, None), objective, update)
    for epochs in (800, 600, 600, 600):
        schedule = Schedule(epochs, 80, True, 0.0, np.inf, False)
        train(task, schedule, Progress(), np.random.RandomState(1))
        update.lr /= 10
    best = solve(inputs, y, penalty)
    np.testing.assert_allclose(parameters.coefs[0], best.weights, atol=1e-6)
    np.testing.assert_array_equal(parameters.coefs[0] == 0, best.weights == 0)


def test_groups_are_of_inputs_and_units_as_in_torch():
    parameters = Parameters([3, 4, 2], np.float64)
    parameters.values[:] = 1.0
    bound = BoundPenalty(
        GroupLasso(1.0, groups="in", weight="none"), "weights", "proximal", parameters
    )
    assert bound.value(parameters.values) == pytest.approx(3 * 4**0.5 + 4 * 2**0.5)
    assert BoundPenalty(L1(1.0), "all", "proximal", parameters).value(parameters.values) == 26
    assert BoundPenalty(L1(1.0), "biases", "proximal", parameters).value(parameters.values) == 6
    singular = BoundPenalty(NuclearNorm(1.0), "weights", "proximal", parameters)
    assert singular.value(parameters.values) == pytest.approx(12**0.5 + 8**0.5)


def test_sparse_inputs_train_as_dense_ones():
    inputs = np.random.default_rng(3).normal(size=(60, 4)) * (
        np.random.default_rng(4).random((60, 4)) < 0.4
    )
    y = inputs.sum(axis=1)
    dense = MLPRegressor((6,), penalty="l1:1e-3", random_state=0, tol=0.01).fit(inputs, y)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        thin = MLPRegressor((6,), penalty="l1:1e-3", random_state=0, tol=0.01).fit(kind(inputs), y)
        np.testing.assert_allclose(thin.coefs_[0], dense.coefs_[0], rtol=1e-7)
        np.testing.assert_allclose(thin.feature_importances_, dense.feature_importances_)


@pytest.mark.parametrize("weights", [None, np.arange(6.0)], ids=["", "weighted"])
def test_validation_scores_are_scikit_learns(weights):
    truth = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [3.0, 5.0], [0.0, 5.0], [1.0, 5.0]])
    for error in (0.0, 0.5):
        guess = truth + error * np.arange(12.0).reshape(6, 2)
        expected = r2_score(truth, guess, sample_weight=weights)
        assert MLPRegressor()._score_targets(truth, guess, weights) == pytest.approx(expected)
    labels, chances = np.arange(6) % 3, np.random.default_rng(0).random((6, 3))
    for y, loss in ((labels, "log_loss"), (np.eye(3)[labels], "binary_log_loss")):
        model = MLPClassifier((2,), max_iter=1)
        data, model._loss = model._prepare(np.eye(6), y, None, reset=True)
        assert model._loss == loss
        expected = accuracy_score(y, model._decode(chances), sample_weight=weights)
        score = model._score_targets(data.targets, chances, weights)
        assert score == pytest.approx(expected)
