"""Norms of groups, solved in rounds, against proximal gradient descent and the formula."""

import numpy as np
import pytest
from scipy import sparse

from shrinkage import L2, GroupLasso
from shrinkage.linear import solve, solve_path, strongest
from shrinkage.linear.groups import GroupNorms
from shrinkage.linear.problem import Problem
from shrinkage.linear.solving import make_problem
from shrinkage.linear.squares import solve_in_rounds

SHAPES = {"tall": (60, 20, 1), "wide": (20, 60, 1), "outputs": (50, 12, 3)}
KINDS = ("plain", "duplicates", "zeros", "scales")


def make_inputs(rng, rows, inputs, kind):
    X = rng.normal(size=(rows, inputs)) + 0.7 * rng.normal(size=(rows, 1))
    if kind == "duplicates":
        X[:, inputs // 2 :] = X[:, : inputs - inputs // 2]
    elif kind == "zeros":
        X[:, ::3] = 0.0
    elif kind == "scales":
        X *= 10.0 ** rng.uniform(-1, 1, inputs)
    return X


def make_task(shape, kind, loss):
    """Inputs, targets, weights of the samples, and groups of 1 to 5 weights."""
    rng = np.random.default_rng(3)
    rows, inputs, outputs = SHAPES[shape]
    X = make_inputs(rng, rows, inputs, kind)
    relevant = rng.normal(size=(inputs, outputs)) * (rng.random((inputs, outputs)) < 0.3)
    y = X @ relevant + rng.normal(size=(rows, outputs))
    if loss == "binary_log_loss":
        y = (y > np.median(y, axis=0)).astype(float)
    elif loss == "log_loss":
        y = np.eye(outputs)[y.argmax(axis=1)]
    ends = np.cumsum(rng.integers(1, 6, inputs * outputs))
    shuffled = rng.permutation(inputs * outputs)
    groups = [part.tolist() for part in np.split(shuffled, ends) if len(part)]
    return X, y, rng.uniform(0.1, 2.0, rows), groups


def solve_slowly(monkeypatch, *arguments, **keywords):
    with monkeypatch.context() as patch:
        patch.setattr(Problem, "has_rule", False)
        return solve(*arguments, **keywords, tol=1e-8, max_iter=100_000)


QUICK = [  # each shape, each kind and each loss once
    ("tall", "plain", "squared_error"),
    ("wide", "duplicates", "binary_log_loss"),
    ("outputs", "zeros", "log_loss"),
    ("outputs", "scales", "squared_error"),
]
TASKS = [
    (shape, kind, loss)
    for shape in SHAPES
    for kind in KINDS
    for loss in ("squared_error", "binary_log_loss", "log_loss")
    if loss != "log_loss" or shape == "outputs"
]


@pytest.mark.quick_where(task=QUICK)
@pytest.mark.parametrize("task", TASKS, ids="-".join)
def test_rounds_agree_with_proximal_gradients(task, monkeypatch):
    X, y, sample_weight, groups = make_task(*task)

    def penalty_at(lam):
        return GroupLasso(lam, groups=groups)

    top = strongest(X, y, penalty_at, task[2], sample_weight)
    arguments = X, y, penalty_at(0.1 * top), task[2]
    fast = solve(*arguments, sample_weight=sample_weight)
    slow = solve_slowly(monkeypatch, *arguments, sample_weight=sample_weight)
    assert fast.converged
    assert fast.iterations < 30 < slow.iterations
    assert fast.value == pytest.approx(slow.value, rel=1e-9)
    if task[1] != "duplicates" and task[0] != "wide":  # the minimum is at one place
        np.testing.assert_allclose(fast.weights, slow.weights, rtol=1e-4, atol=1e-6)
    assert not solve(
        X, y, penalty_at(1.5 * top), task[2], sample_weight=sample_weight
    ).weights.any()


def test_a_group_of_all_inputs_has_the_minimum_of_its_formula():
    """With XᵀX/n = I, w = s·(1 − κ/‖s‖) for s = Xᵀy/n."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    X = np.linalg.qr(X - X.mean(axis=0))[0] * 30**0.5
    y = X @ np.array([3.0, -2.0, 1.0, 0.0]) + rng.normal(size=30)
    pull = X.T @ (y - y.mean()) / 30
    expected = pull * (1.0 - 1.5 / np.linalg.norm(pull))
    found = solve(X, y, GroupLasso(1.5, weight="none")).weights[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "binary_log_loss"])
def test_weights_in_no_group_are_free(loss, monkeypatch):
    X, y, _, _ = make_task("tall", "scales", loss)
    penalty = GroupLasso(0.2, groups=[[0, 1, 2], [3], [5, 6, 7, 8], list(range(9, 17))])
    fast, slow = solve(X, y, penalty, loss), solve_slowly(monkeypatch, X, y, penalty, loss)
    assert fast.converged
    assert fast.value == pytest.approx(slow.value, rel=1e-10)
    assert (fast.weights[[4, 17, 18, 19]] != 0).all()
    np.testing.assert_allclose(fast.weights, slow.weights, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "binary_log_loss", "log_loss"])
def test_rows_of_several_outputs_are_groups(loss, monkeypatch):
    X, y, sample_weight, _ = make_task("outputs", "plain", loss)
    lam = 0.5 if loss == "squared_error" else 0.05
    penalty = GroupLasso(lam, groups="in") + L2(0.01)
    fast = solve(X, y, penalty, loss, sample_weight=sample_weight)
    slow = solve_slowly(monkeypatch, X, y, penalty, loss, sample_weight=sample_weight)
    assert fast.iterations < 30
    assert fast.value == pytest.approx(slow.value, rel=1e-10)
    np.testing.assert_allclose(fast.weights, slow.weights, rtol=1e-4, atol=1e-6)
    kept = (fast.weights != 0).any(axis=1)
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(kept, (fast.weights != 0).all(axis=1))


def test_the_strength_0_is_no_penalty():
    X, y, _, groups = make_task("tall", "plain", "squared_error")
    np.testing.assert_allclose(
        solve(X, y, GroupLasso(0.0, groups=groups)).weights, solve(X, y).weights, atol=1e-8
    )


def test_sparse_inputs_have_the_same_minimum():
    X, y, _, groups = make_task("wide", "zeros", "squared_error")
    penalty = GroupLasso(0.3, groups=groups)
    dense, thin = solve(X, y, penalty), solve(sparse.csr_matrix(X), y, penalty)
    assert dense.weights.any()
    np.testing.assert_allclose(thin.weights, dense.weights, atol=1e-7)


def test_along_a_path_every_group_meets_its_condition():
    rng = np.random.default_rng(5)
    X = make_inputs(rng, 40, 300, "plain")
    y = X[:, :10] @ rng.normal(size=10) + rng.normal(size=40)
    lists = [list(range(j, j + 5)) for j in range(0, 300, 5)]

    def penalty_at(lam):
        return GroupLasso(lam, groups=lists, weight="none")

    strengths = strongest(X, y, penalty_at) * np.array([1.0, 0.3, 0.1, 0.03, 1e-3])
    counts = []
    for lam, solution in zip(strengths, solve_path(X, y, penalty_at, strengths), strict=True):
        assert solution.converged
        weights = solution.weights.reshape(60, 5)
        residuals = y - (X @ solution.weights)[:, 0] - solution.intercepts
        pull = (X.T @ residuals / 40).reshape(60, 5)
        sizes = np.linalg.norm(weights, axis=1, keepdims=True)
        kept = sizes[:, 0] > 0
        np.testing.assert_allclose(
            pull[kept], (lam * weights / np.where(sizes, sizes, 1.0))[kept], atol=1e-6
        )
        assert (np.linalg.norm(pull, axis=1) <= lam + 1e-6).all()
        counts.append(5 * kept.sum())
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > len(y)  # more weights than rows


def test_a_round_too_large_for_memory_is_left_to_descent(monkeypatch):
    X, y, _, groups = make_task("wide", "plain", "squared_error")
    penalty = GroupLasso(0.2, groups=groups)
    expected = solve(X, y, penalty)
    monkeypatch.setattr("shrinkage.linear.squares.MOST", 3)
    found = solve(X, y, penalty)
    assert found.iterations > expected.iterations
    assert found.value == pytest.approx(expected.value, rel=1e-9)


def test_products_that_are_kept_are_those_of_the_columns(monkeypatch):
    monkeypatch.setattr("shrinkage.linear.design.MOST_KEPT", 6)
    X, y, sample_weight, _ = make_task("wide", "plain", "squared_error")
    problem = make_problem(X, y, GroupLasso(0.1), "squared_error", sample_weight)
    shares = sample_weight / sample_weight.sum()
    centered = X - shares @ X
    products = centered.T @ (shares[:, None] * centered)
    for places in ([3, 1], [1, 5, 3], [7, 2, 0, 5], [4, 3], [9, 8, 7, 6, 5, 4, 3, 2]):
        found = problem.gram_of(np.array(places))
        np.testing.assert_allclose(found, products[np.ix_(places, places)], atol=1e-12)


def test_a_start_far_away_does_no_harm():
    X, y, _, groups = make_task("wide", "plain", "squared_error")
    penalty = GroupLasso(0.2, groups=groups)
    problem = make_problem(X, y, penalty, "squared_error")
    assert isinstance(problem.rule(slice(0, 1), 0.0), GroupNorms)
    far = np.full((61, 1), 1e3)
    parameters, rounds = solve_in_rounds(problem, far, 1e-9, 50)
    assert rounds < 20
    assert problem.value(parameters) == pytest.approx(solve(X, y, penalty).value, rel=1e-9)
