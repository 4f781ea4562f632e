"""Rounds over few inputs, and paths made of them, against what holds at a minimum."""

from itertools import product

import numpy as np
import pytest

from shrinkage import L1, ElasticNet, GroupLasso
from shrinkage.linear import solve, solve_path, strongest
from shrinkage.linear.working_set import solve_round

ABSOLUTE, SQUARE = 0.7, 0.2


def objective(gram, pull, w):
    smooth = 0.5 * w @ gram @ w - pull @ w + SQUARE * w @ w
    return smooth + ABSOLUTE * np.abs(w).sum()


@pytest.mark.parametrize("seed", range(5))
def test_a_round_has_the_least_objective_of_all_guesses(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(6, 5)) + rng.normal(size=(6, 1))
    gram, pull = rows.T @ rows, rows.T @ rng.normal(size=6) * 3
    signs = np.sign(rng.normal(size=5))
    best = np.inf
    for free in product([False, True], repeat=5):
        w, chosen = np.zeros(5), np.array(free)
        if chosen.any():
            matrix = gram[np.ix_(chosen, chosen)] + 2 * SQUARE * np.eye(chosen.sum())
            w[chosen] = np.linalg.solve(matrix, (pull - ABSOLUTE * signs)[chosen])
        if (w * signs >= 0).all():
            best = min(best, objective(gram, pull, w))
    for start in (np.zeros(5), signs):
        found = solve_round(gram, pull, start, signs, ABSOLUTE, SQUARE)
        assert (found * signs >= 0).all()
        assert objective(gram, pull, found) == pytest.approx(best, abs=1e-9)


def make_wide():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 300)) + 0.7 * rng.normal(size=(40, 1))
    return X, X[:, :5] @ np.array([3.0, -2.0, 1.0, 1.0, -1.0]) + rng.normal(size=40)


@pytest.mark.parametrize("penalty_at", [L1, lambda lam: ElasticNet(lam, 0.5)])
@pytest.mark.parametrize("loss", ["squared_error", "binary_log_loss"])
def test_along_a_path_no_derivative_breaks_the_condition(penalty_at, loss):
    X, y = make_wide()
    y = y if loss == "squared_error" else (y > 0).astype(float)
    top = strongest(X, y, penalty_at, loss)
    strengths = top * np.array([1.0, 0.3, 0.1, 0.03])
    counts = []
    for lam, solution in zip(strengths, solve_path(X, y, penalty_at, strengths, loss), strict=True):
        assert solution.converged
        weights, scores = solution.weights[:, 0], (X @ solution.weights)[:, 0]
        scores += solution.intercepts
        predicted = scores if loss == "squared_error" else 1 / (1 + np.exp(-scores))
        absolute, square, _ = penalty_at(lam).split()
        slope = X.T @ (predicted - y) / len(y) + 2 * square * weights
        kept = weights != 0
        np.testing.assert_allclose(slope[kept], -absolute * np.sign(weights[kept]), atol=1e-6)
        assert (np.abs(slope) <= absolute + 1e-6).all()
        counts.append(kept.sum())
        alone = solve(X, y, penalty_at(lam), loss)
        np.testing.assert_allclose(weights, alone.weights[:, 0], atol=1e-5)
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 5


def test_equal_columns_share_their_weight_or_not_at_no_cost():
    X, y = make_wide()
    twice = solve(np.hstack([X, X]), y, L1(0.3))
    assert twice.converged
    assert twice.value == pytest.approx(solve(X, y, L1(0.3)).value, rel=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "binary_log_loss"])
def test_groups_of_one_weight_are_absolute_values(loss):
    X, y = make_wide()
    y = y if loss == "squared_error" else (y > 0).astype(float)
    grouped, single = (solve(X, y, p, loss) for p in (GroupLasso(0.05, groups="in"), L1(0.05)))
    np.testing.assert_array_equal(grouped.weights, single.weights)
    assert grouped.value == pytest.approx(single.value)


def test_softmax_with_many_weights_agrees_with_proximal_gradients(monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 8))
    y = np.eye(4)[np.argmax(X[:, :4] + rng.gumbel(size=(120, 4)), axis=1)]
    newton = solve(X, y, ElasticNet(0.003, 0.7), "log_loss")
    monkeypatch.setattr("shrinkage.linear.newton.WORTH", 0)
    descent = solve(X, y, ElasticNet(0.003, 0.7), "log_loss")
    assert newton.iterations < 20 < descent.iterations
    assert newton.value == pytest.approx(descent.value, rel=1e-10)
    np.testing.assert_allclose(newton.weights, descent.weights, atol=1e-5)
