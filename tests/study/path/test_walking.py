"""Linear models at rest against scikit-learn, and the strength at which nothing is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, LogisticRegression

from shrinkage.study.path.descent import Descent
from shrinkage.study.path.inputs import arrange_inputs
from shrinkage.study.path.networks import gather_rows, initialize
from shrinkage.study.path.shrinking import Shrinker, parse_path_penalty
from shrinkage.study.path.walking import Walk, find_kept, weigh_by_norm

ROWS, COLUMNS = 80, 8


def make_data(task: str) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    X = generator.normal(size=(ROWS, COLUMNS)) @ generator.normal(size=(COLUMNS, COLUMNS))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = X[:, 0] - 2 * X[:, 3] + generator.normal(size=ROWS)
    return X, (y > 0.3).astype(np.int64) if task == "classes" else y


def make_walk(task: str, text: str = "group_lasso:groups=in") -> Walk:
    inputs = arrange_inputs({f"x{place}": slice(place, place + 1) for place in range(COLUMNS)})
    return Walk(
        batch=gather_rows(*make_data(task), [np.arange(ROWS)], task, torch.float64),
        shrinker=Shrinker(parse_path_penalty(text), inputs),
        initial=initialize("linear", inputs.order, 1, [0], torch.float64),
        factors=torch.ones(1, COLUMNS, dtype=torch.float64),
    )


@pytest.mark.parametrize("lam", [0.5, 0.1, 0.01])
def test_a_linear_model_of_numbers_is_the_lasso(lam: float) -> None:
    X, y = make_data("numbers")
    walk = make_walk("numbers")
    descent = Descent(walk.initial)
    walk.settle(descent, lam, 5000)
    weight, bias = (p[0].numpy().ravel() for p in descent.x)
    other = Lasso(alpha=lam, tol=1e-14, max_iter=1_000_000).fit(X, y)

    def objective(w: np.ndarray, b: float) -> float:
        return float(((y - X @ w - b) ** 2).mean() / 2 + lam * np.abs(w).sum())

    assert objective(weight, bias[0]) <= objective(other.coef_, other.intercept_) + 1e-9
    assert ((weight == 0) == (other.coef_ == 0)).all()


def test_a_linear_model_of_two_classes_is_the_logistic_lasso() -> None:
    lam = 0.02
    X, y = make_data("classes")
    walk = make_walk("classes")
    descent = Descent(walk.initial)
    walk.settle(descent, lam, 5000)
    weight, bias = (p[0].numpy().ravel() for p in descent.x)
    other = LogisticRegression(
        l1_ratio=1, C=1 / (ROWS * lam), solver="saga", tol=1e-10, max_iter=100_000
    ).fit(X, y)

    def objective(w: np.ndarray, b: float) -> float:
        margin = X @ w + b
        return float((np.logaddexp(0, margin) - y * margin).mean() + lam * np.abs(w).sum())

    assert objective(weight, bias[0]) <= objective(other.coef_[0], other.intercept_[0]) + 1e-8


@pytest.mark.parametrize("task", ["numbers", "classes"])
@pytest.mark.parametrize("text", ["group_lasso:groups=in", "l1"])
def test_nothing_is_left_from_the_vanishing_strength_on(task: str, text: str) -> None:
    walk = make_walk(task, text)
    top = walk.find_vanishing_strength()
    for factor, is_empty in ((1.001, True), (0.99, False)):
        descent = Descent(walk.initial)
        walk.settle(descent, factor * top, 2000)
        assert bool(find_kept(descent.x, walk)[0].any()) != is_empty


def test_factors_are_inverse_norms() -> None:
    norms = torch.tensor([[2.0, 1.0, 0.0, 2.0]])
    factors = weigh_by_norm(norms, torch.tensor([1, 1, 1, 4]))
    assert factors[0, :2].tolist() == [1.0, 2.0]
    assert factors[0, 2] >= 1e5
    assert factors[0, 3] == 2.0  # its norm is that of four columns
