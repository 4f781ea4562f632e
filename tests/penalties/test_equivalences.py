"""The same thing said in two ways gives the same numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import linear_model

from flavours import each_flavour, steps, weights
from shrinkage import (
    L1,
    L2,
    MCP,
    Box,
    ElasticNet,
    GroupLasso,
    Huber,
    L2Ball,
    LInf,
    MaxNorm,
    NonNegative,
    Penalty,
    Sum,
    Toward,
    Weighted,
    parse,
)

strengths = st.floats(0, 2)
SIZE_ONE: list[Any] = [(0, 1), "1x1", [[i] for i in range(6)]]


def assert_same(one: Penalty, other: Penalty, w: np.ndarray, step: Any) -> None:
    for flavour in each_flavour():
        array, size = flavour.array(w), flavour.step(step)
        flavour.check_close(one.value(array), other.value(array))
        flavour.check_close(one.gradient(array), other.gradient(array))
        flavour.check_close(one.prox(array, size), other.prox(array, size))


@given(lam=strengths, ratio=st.floats(0, 1), w=weights((3, 2)), step=steps((3, 2)))
def test_elastic_net_is_l1_and_l2(lam: float, ratio: float, w: np.ndarray, step: Any) -> None:
    parts = L1(ratio * lam) + L2((1 - ratio) * lam / 2)
    assert_same(ElasticNet(lam, ratio), parts, w, step)


@pytest.mark.parametrize("groups", SIZE_ONE, ids=str)
@pytest.mark.parametrize("weight", ["sqrt", "none"])
@given(lam=strengths, w=weights((3, 2)), step=steps((3, 2)))
def test_groups_of_one_are_l1(
    groups: Any, weight: str, lam: float, w: np.ndarray, step: Any
) -> None:
    assert_same(GroupLasso(lam, groups, weight), L1(lam), w, step)


@given(a=strengths, b=strengths, w=weights((3, 2)), step=steps((3, 2)))
def test_strengths_add_up(a: float, b: float, w: np.ndarray, step: Any) -> None:
    assert_same(L1(a) + L1(b), L1(a + b), w, step)
    assert_same(L2(a) + L2(b), L2(a + b), w, step)
    assert_same(L1(a) + L2(b), L2(b) + L1(a), w, step)
    assert_same(L1(a) + GroupLasso(b), GroupLasso(b) + L1(a), w, step)


@given(decay=st.floats(0, 10), w=weights((6,)))
def test_weight_decay(decay: float, w: np.ndarray) -> None:
    penalty = L2.from_weight_decay(decay)
    assert penalty == L2(decay / 2)
    np.testing.assert_allclose(penalty.gradient(w), decay * w, atol=1e-10)
    np.testing.assert_allclose(penalty.value(w), decay * np.sum(w**2) / 2, atol=1e-10)


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_bad_weight_decay(bad: float) -> None:
    with pytest.raises(ValueError, match="weight_decay must be >= 0 and finite, got"):
        L2.from_weight_decay(bad)


def test_sums_are_flat_and_start_anywhere() -> None:
    penalties = [L1(1), L2(2), GroupLasso(3)]
    expected = L1(1) + L2(2) + GroupLasso(3)
    assert sum(penalties) == expected
    assert L1(1) + (L2(2) + GroupLasso(3)) == expected
    assert Sum((L1(1) + L2(2), GroupLasso(3))) == expected
    assert Sum(penalties).terms == tuple(penalties)
    assert sum([L1(1)]) == L1(1)


def test_limits_and_special_cases() -> None:
    w = np.random.default_rng(0).normal(size=(4, 4))
    step = np.random.default_rng(1).uniform(0.1, 1, size=(4, 4))
    ones = np.ones((4, 4))
    for one, other in [
        (parse("sparse_group_lasso:0.4,l1_ratio=0.25"), L1(0.1) + GroupLasso(0.3)),
        (parse("lp:0.3,p=1"), L1(0.3)),
        (parse("lp:0.3,p=2"), L2(0.3)),
        (Weighted(0.3 * ones, L1(1.0)), L1(0.3)),
        (Toward(0 * ones, L1(0.3)), L1(0.3)),
        (LInf(0.3, (0, 1)), L1(0.3)),  # each entry its own group
        (MCP(0.3, gamma=1e12), L1(0.3)),
        (Huber(0.3, delta=1e-12), L1(0.3)),
        (Huber(1e12 * 0.6, delta=1e12), L2(0.3)),
    ]:
        np.testing.assert_allclose(one(w), other(w), rtol=1e-9)
        np.testing.assert_allclose(one.gradient(w), other.gradient(w), atol=1e-9)
        np.testing.assert_allclose(one.prox(w, step), other.prox(w, step), atol=1e-9)
    np.testing.assert_array_equal(Box(0, np.inf).prox(w, 1.0), NonNegative().prox(w, 1.0))
    np.testing.assert_allclose(  # the one group of a row
        L2Ball(1.0).prox(w[:1], step[:1]), MaxNorm(1.0).prox(w[:1], step[:1]), atol=1e-12
    )


MODELS = [
    (linear_model.Lasso, L1(0.3), {"alpha": 0.3}),
    (linear_model.ElasticNet, ElasticNet(0.3, 0.7), {"alpha": 0.3, "l1_ratio": 0.7}),
    (linear_model.ElasticNet, ElasticNet(0.2), {"alpha": 0.2}),
]


@pytest.mark.parametrize(("model", "penalty", "arguments"), MODELS)
def test_scikit_learn_minimizes_the_same(model: Any, penalty: Penalty, arguments: Any) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 6))
    y = X @ [3.0, 0, -2, 0, 0, 0.5] + random.normal(size=40)
    peer = model(**arguments, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y)

    def objective(w: np.ndarray) -> float:
        return float(np.sum((y - X @ w) ** 2) / 80 + penalty(w))

    w, step = np.zeros(6), 40 / np.linalg.norm(X, 2) ** 2
    for _ in range(500):
        w = penalty.prox(w - step * X.T @ (X @ w - y) / 40, step)
    assert objective(w) == pytest.approx(objective(peer.coef_), abs=1e-10)
    np.testing.assert_allclose(w, peer.coef_, atol=1e-6)  # the objective is flat at its minimum
    assert np.any(w == 0)
    np.testing.assert_array_equal(w == 0, peer.coef_ == 0)
