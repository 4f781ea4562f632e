"""`solve` against scikit-learn's solvers, and against what holds at a minimum."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge

from shrinkage import L0, L1, L2, MCP, ElasticNet, GroupLasso, NonNegative, NuclearNorm, Weighted
from shrinkage.linear import solve, strongest


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


DIABETES = load_diabetes(return_X_y=True, scaled=False)  # columns of very different scales
WEIGHTS = np.random.default_rng(0).uniform(0.2, 3.0, len(DIABETES[1]))
SQUARES = {
    "Lasso": (L1(1.0), Lasso(1.0, tol=1e-13, max_iter=100_000)),
    "ElasticNet": (ElasticNet(0.5, 0.5), SklearnElasticNet(0.5, l1_ratio=0.5, tol=1e-13)),
    "Ridge": (L2(0.25), Ridge(0.5 * len(DIABETES[1]))),
    "no penalty": (None, LinearRegression()),
}


def squares_objective(X, y, weights, intercept, penalty, sample_weight):
    residuals = y - X @ weights - intercept
    data = 0.5 * np.average(residuals**2, weights=sample_weight)
    return data + (0.0 if penalty is None else float(penalty(weights)))


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_least_squares_agree_with_scikit_learn(name, sample_weight, is_sparse):
    X, y = DIABETES
    penalty, model = SQUARES[name]
    if name == "Ridge":
        total = len(y) if sample_weight is None else sample_weight.sum()
        model = Ridge(2 * penalty.lam * total)
    model.fit(X, y, sample_weight)
    matrix = sparse.csr_matrix(X) if is_sparse else X
    solution = solve(matrix, y, penalty, sample_weight=sample_weight)
    reference = squares_objective(X, y, model.coef_, model.intercept_, penalty, sample_weight)
    ours = squares_objective(
        X, y, solution.weights[:, 0], solution.intercepts[0], penalty, sample_weight
    )
    assert ours == pytest.approx(solution.value, rel=1e-12)
    assert ours <= reference + 1e-9 * reference
    np.testing.assert_allclose(solution.weights[:, 0], model.coef_, rtol=1e-5, atol=1e-8)


def log_loss_objective(X, y, weights, intercepts, penalty):
    scores = X @ weights + intercepts
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    data = np.mean(np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(y)), y])
    return data + float(penalty(weights.T))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_log_loss_agrees_with_scikit_learn(load, l1_ratio):
    X, y = load(return_X_y=True)
    X, lam = standardized(X), 0.02
    model = LogisticRegression(
        C=1 / (lam * len(y)), l1_ratio=l1_ratio, solver="saga", tol=1e-7, max_iter=3000
    ).fit(X, y)
    one_hot = np.eye(y.max() + 1)[y]
    is_binary = y.max() == 1
    targets = one_hot[:, 1:] if is_binary else one_hot
    penalty = ElasticNet(lam, l1_ratio)
    solution = solve(X, targets, penalty, "binary_log_loss" if is_binary else "log_loss")
    ours = log_loss_objective(X, y, solution.weights, solution.intercepts, penalty)
    reference = log_loss_objective(X, y, model.coef_.T, model.intercept_, penalty)
    assert ours == pytest.approx(solution.value, rel=1e-12)
    assert ours <= reference + 1e-10
    assert reference - ours < 1e-6
    if l1_ratio:
        assert np.array_equal(solution.weights == 0, np.abs(model.coef_.T) < 1e-9)


@pytest.mark.parametrize(
    "penalty",
    [
        GroupLasso(0.02, groups="in"),
        NuclearNorm(0.05),
        L1(0.01) + GroupLasso(0.01, groups="in"),
        NonNegative(),
        MCP(0.2),
        L0(0.02),
        Weighted(np.arange(6.0).reshape(2, 3), L1(0.1)),
    ],
    ids=lambda penalty: type(penalty).__name__,
)
def test_no_proximal_step_moves_a_solution(penalty):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3)) * [1.0, 10.0, 0.1] + 5.0
    y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(60, 2))
    solution = solve(X, y, penalty)
    residuals = X @ solution.weights + solution.intercepts - y
    np.testing.assert_allclose(residuals.mean(axis=0), 0.0, atol=1e-8)
    step = 1e-4
    moved = penalty.prox((solution.weights - step * X.T @ residuals / 60).T, step).T
    np.testing.assert_allclose(moved, solution.weights, atol=1e-8)


def test_groups_in_drop_whole_inputs():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 6))
    y = X[:, [0, 1]] @ np.array([[2.0, -1.0], [1.0, 1.0]]) + 0.1 * rng.normal(size=(200, 2))
    weights = solve(X, y, GroupLasso(0.2, groups="in")).weights
    assert (weights != 0).any(axis=1).tolist() == [True, True, False, False, False, False]


def test_a_penalty_of_the_intercept_is_part_of_the_objective():
    X, y = np.array([[1.0], [-1.0]]), np.array([4.0, 2.0])
    solution = solve(X, y, None, intercept_penalty=L1(1.0))
    assert solution.intercepts == pytest.approx([2.0])  # the mean 3, less 1
    assert solution.weights[:, 0] == pytest.approx([1.0])


def test_a_warm_start_ends_at_once():
    X, y = DIABETES
    penalty = GroupLasso(1.0)
    first = solve(X, y, penalty)
    again = solve(X, y, penalty, start=(first.weights, first.intercepts))
    assert first.iterations > 1
    assert again.iterations == 1


@pytest.mark.parametrize(
    "penalty_at", [L1, lambda lam: ElasticNet(lam, 0.3), lambda lam: GroupLasso(lam, groups="in")]
)
def test_strongest_is_where_the_first_weight_enters(penalty_at):
    X, y = standardized(DIABETES[0]), DIABETES[1]
    lam = strongest(X, y, penalty_at)
    assert not solve(X, y, penalty_at(lam)).weights.any()
    assert solve(X, y, penalty_at(0.999 * lam)).weights.any()


@pytest.mark.parametrize("unit", [1e-27, 1e50])
def test_strongest_is_in_the_units_of_the_inputs(unit):
    X, y = standardized(DIABETES[0]), DIABETES[1]
    assert strongest(X * unit, y, L1) == pytest.approx(strongest(X, y, L1) * unit, rel=1e-9)
    classes = (y > y.mean()).astype(float)
    penalty_at, loss = partial(GroupLasso, groups="in"), "binary_log_loss"
    top = strongest(X, classes, penalty_at, loss) * unit
    assert strongest(X * unit, classes, penalty_at, loss) == pytest.approx(top, rel=1e-9)


def test_classes_that_inputs_separate_are_told():
    X, y = np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])
    with pytest.warns(ConvergenceWarning, match="no best weights"):
        solve(X, y, NonNegative(), "binary_log_loss", max_iter=50)


def test_a_constant_column_and_a_constant_target_are_no_trouble():
    X = np.array([[1.1, 0.0], [1.1, 1.0], [1.1, 2.0]])
    assert solve(X, np.array([0.0, 1.0, 2.0]), L1(0.01)).weights[0, 0] == 0.0
    assert not solve(X, np.ones(3), GroupLasso(0.01)).weights.any()


def test_bad_arguments_are_told():
    for number, reason in ((1e200, "whose squares are too large"), (np.nan, "that are NaN or inf")):
        for make in (np.array, sparse.csr_matrix):
            with pytest.raises(ValueError, match=f"X has values {reason}"):
                solve(make([[1.0], [number]]), np.ones(2))
    with pytest.raises(ValueError, match=r"loss must be one of squared_error, .* got 'hinge'"):
        solve(np.ones((2, 1)), np.ones(2), loss="hinge")
    with pytest.raises(ValueError, match="has no prox in closed form"):
        solve(np.ones((2, 1)), np.ones(2), NuclearNorm(1.0) + L1(1.0))
