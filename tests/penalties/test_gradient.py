"""The laws of value and gradient."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from cases import PENALTIES, WITHOUT_PROX, Case
from flavours import FLAVOURS, Flavour, away_from_kinks, each_flavour, plain, weights
from shrinkage import L1, ElasticNet, GroupLasso, Penalty

TORCH = FLAVOURS[2:]
CASES = [*PENALTIES, *(Case(penalty) for penalty in WITHOUT_PROX)]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
@given(data=st.data())
def test_value_and_gradient_follow_the_formula(case: Case, data: st.DataObject) -> None:
    w = data.draw(weights(case.shape))
    value, gradient = oracles.value(case.penalty, w), oracles.gradient(case.penalty, w)
    for flavour in each_flavour():
        array = flavour.array(w)
        flavour.close(case.penalty.value(array), value)
        flavour.close(case.penalty(array), value)
        flavour.close(case.penalty.gradient(array), gradient)


@every_case
@given(data=st.data())
def test_gradient_is_the_slope_of_the_value(case: Case, data: st.DataObject) -> None:
    w, direction = data.draw(away_from_kinks(case.shape)), data.draw(weights(case.shape))
    ahead, behind = (case.penalty.value(w + h * direction) for h in (1e-5, -1e-5))
    slope = np.sum(case.penalty.gradient(w) * direction)
    # Central differences: h² times the third derivative, and rounding over h.
    np.testing.assert_allclose((ahead - behind) / 2e-5, slope, rtol=1e-6, atol=1e-6)


@every_case
@given(data=st.data())
def test_gradient_is_what_autograd_finds(case: Case, data: st.DataObject) -> None:
    w = data.draw(weights(case.shape))
    for flavour in TORCH:
        tensor = flavour.array(w).requires_grad_()
        (found,) = torch.autograd.grad(case.penalty.value(tensor), tensor)
        flavour.close(found, case.penalty.gradient(tensor))


@every_case
@given(data=st.data())
def test_the_second_derivative(case: Case, data: st.DataObject) -> None:
    w, direction = data.draw(away_from_kinks(case.shape)), data.draw(weights(case.shape))
    ahead, behind = (case.penalty.gradient(w + h * direction) for h in (1e-5, -1e-5))
    found = second_derivative(case.penalty, torch.tensor(w), torch.tensor(direction))
    np.testing.assert_allclose(found, (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-5)  # as above


def second_derivative(penalty: Penalty, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The Hessian of the value, times a direction."""
    w.requires_grad_()
    (first,) = torch.autograd.grad(penalty.value(w), w, create_graph=True)
    (second,) = torch.autograd.grad((first * direction + 0 * w).sum(), w)  # first may be constant
    return second


@every_case
@pytest.mark.parametrize("flavour", TORCH, ids=str)
@pytest.mark.parametrize("zeros", ["all", "a row", "a column"])
def test_derivatives_at_zero_are_zero(case: Case, flavour: Flavour, zeros: str) -> None:
    w = flavour.array(np.ones(case.shape))
    here: Any = {"all": ..., "a row": 0, "a column": (..., 0)}[zeros]
    w[here] = 0.0
    assert torch.isfinite(second_derivative(case.penalty, w, torch.ones_like(w))).all()
    (first,) = torch.autograd.grad(case.penalty.value(w), w)
    assert not first[here].any()
    assert not case.penalty.gradient(w)[here].any()
    assert torch.isfinite(first).all()


SOME = [L1(0.5), ElasticNet(0.5), GroupLasso(0.5), GroupLasso(0.5, [[0, 5]])]


@pytest.mark.parametrize("penalty", SOME, ids=str)
def test_it_can_be_mapped_over_a_batch(penalty: Penalty) -> None:
    batch = torch.tensor(np.random.default_rng(0).normal(size=(3, 2, 4)))
    found = torch.func.vmap(torch.func.grad(penalty.value))(batch)
    torch.testing.assert_close(found, torch.stack([penalty.gradient(w) for w in batch]))


@pytest.mark.parametrize("penalty", SOME, ids=str)
def test_a_fresh_graph_at_every_call(penalty: Penalty) -> None:
    w = torch.ones(2, 3, requires_grad=True)
    for _ in range(3):
        penalty(w).backward()
    np.testing.assert_allclose(plain(w.grad), 3 * plain(penalty.gradient(w)), rtol=1e-6)
