"""The laws of value and gradient."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from cases import CASES, PENALTIES, WITHOUT_PROX, Case
from flavours import FLAVOURS, away_from_kinks, each_flavour, plain
from penalties.laws import draw, each, each_kind
from shrinkage import L1, ElasticNet, GroupLasso, NuclearNorm, Orthogonality, Penalty

TORCH = FLAVOURS[2:]
ALL = [*CASES, *(Case(penalty) for penalty in WITHOUT_PROX)]


def is_smooth(case: Case) -> bool:
    return case.has_gradient and case.penalty.traits.is_smooth


@each_kind(cases=ALL)
@given(data=st.data())
def test_value_follows_the_formula(cases: list[Case], data: st.DataObject) -> None:
    for case, w, _ in draw(data, cases):
        is_inside = case.penalty.traits.is_indicator and data.draw(st.booleans())
        w = case.penalty.prox(w, 1.0) if is_inside else w
        expected = oracles.value(case.penalty, w)
        for flavour in each_flavour():
            if flavour.dtype == "float32" and not case.is_free:
                continue  # the border itself is rounded
            found, bound = plain(case.penalty(flavour.array(w))), 10 * flavour.tolerance
            np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)
            np.testing.assert_array_equal(plain(case.penalty.value(flavour.array(w))), found)


@each_kind(lambda case: case.has_gradient, ALL)
@given(data=st.data())
def test_gradient_follows_the_formula(cases: list[Case], data: st.DataObject) -> None:
    for case, w, _ in draw(data, cases):
        expected = oracles.gradient(case.penalty, w)
        for flavour in each_flavour():
            if isinstance(case.penalty, NuclearNorm | Orthogonality):
                if flavour.dtype == "float32":
                    continue  # which singular values are 0 is rounded
                relative, absolute = 1e-8, 1e-5
            else:
                relative = absolute = 10 * flavour.tolerance
            found = plain(case.penalty.gradient(flavour.array(w)))
            np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)


@pytest.mark.slow
@each_kind(is_smooth, ALL)
@given(data=st.data())
def test_gradient_is_the_slope_of_the_value(cases: list[Case], data: st.DataObject) -> None:
    for case, direction, _ in draw(data, cases):
        w = data.draw(away_from_kinks(case.shape))
        ahead, behind = (case.penalty.value(w + h * direction) for h in (1e-5, -1e-5))
        slope = np.sum(case.penalty.gradient(w) * direction)
        # Central differences: h² times the third derivative, and rounding over h.
        np.testing.assert_allclose((ahead - behind) / 2e-5, slope, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@each_kind(lambda case: case.has_gradient, ALL)
@given(data=st.data())
def test_gradient_is_what_autograd_finds(cases: list[Case], data: st.DataObject) -> None:
    for case, w, _ in draw(data, cases):
        for flavour in TORCH:
            tensor = flavour.array(w).requires_grad_()
            (found,) = torch.autograd.grad(case.penalty.value(tensor), tensor)
            bound = 100 * flavour.tolerance
            expected = plain(case.penalty.gradient(tensor))
            np.testing.assert_allclose(plain(found), expected, rtol=bound, atol=bound)


@pytest.mark.slow
@each_kind(cases=PENALTIES)
@given(data=st.data())
def test_the_second_derivative(cases: list[Case], data: st.DataObject) -> None:
    for case, direction, _ in draw(data, cases):
        w = data.draw(away_from_kinks(case.shape))
        ahead, behind = (case.penalty.gradient(w + h * direction) for h in (1e-5, -1e-5))
        found = second_derivative(case.penalty, torch.tensor(w), torch.tensor(direction))
        np.testing.assert_allclose(found, (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-5)


def second_derivative(penalty: Penalty, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The Hessian of the value, times a direction."""
    w.requires_grad_()
    (first,) = torch.autograd.grad(penalty.value(w), w, create_graph=True)
    (second,) = torch.autograd.grad((first * direction + 0 * w).sum(), w)  # first may be constant
    return second


@each_kind(is_smooth, ALL)
def test_derivatives_at_zero_are_finite_and_the_first_is_zero(cases: list[Case]) -> None:
    places: list[Any] = [..., 0, (..., 0)]  # all entries, a row, a column
    for case in each(cases):
        for flavour, place in [(flavour, place) for flavour in TORCH for place in places]:
            w = flavour.array(np.ones(case.shape))
            w[place] = 0.0
            assert torch.isfinite(second_derivative(case.penalty, w, torch.ones_like(w))).all()
            (first,) = torch.autograd.grad(case.penalty.value(w), w)
            assert torch.isfinite(first).all()
            assert torch.isfinite(case.penalty.gradient(w)).all()
            if case.penalty.traits.fixes_zero:
                assert not first[place].any()
                assert not case.penalty.gradient(w)[place].any()


@each_kind(lambda case: not case.has_gradient)
def test_without_a_gradient_it_is_said(cases: list[Case]) -> None:
    for case in each(cases):
        with pytest.raises(ValueError, match='use how="proximal"'):
            case.penalty.gradient(np.ones(case.shape))


SOME = [L1(0.5), ElasticNet(0.5), GroupLasso(0.5), GroupLasso(0.5, [[0, 5]])]


def test_it_can_be_mapped_over_a_batch() -> None:
    batch = torch.tensor(np.random.default_rng(0).normal(size=(3, 2, 4)))
    for penalty in each(SOME):
        found = torch.func.vmap(torch.func.grad(penalty.value))(batch)
        torch.testing.assert_close(found, torch.stack([penalty.gradient(w) for w in batch]))


def test_a_fresh_graph_at_every_call() -> None:
    for penalty in each(SOME):
        w = torch.ones(2, 3, requires_grad=True)
        for _ in range(3):
            penalty(w).backward()
        np.testing.assert_allclose(plain(w.grad), 3 * plain(penalty.gradient(w)), rtol=1e-6)
