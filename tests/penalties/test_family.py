"""The laws for every penalty beyond absolute values, squares and the group lasso."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import family_oracles as oracles
from cases import FAMILY, PER_ENTRY, Case
from flavours import (
    FLAVOURS,
    away_from_kinks,
    each_flavour,
    plain,
    positive_steps,
    steps,
    weights,
)
from penalties.test_gradient import second_derivative
from shrinkage import (
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    GroupLasso,
    L1Ball,
    L2Ball,
    LInf,
    LogSum,
    MaxNorm,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
    Simplex,
    Toward,
    Weighted,
    parse,
    to_text,
)
from shrinkage.penalties.base import terms

every_case = pytest.mark.parametrize("case", FAMILY, ids=str)
SEPARABLE = [c for c in FAMILY if all(term.is_separable for term in terms(c.penalty))]
WITH_GRADIENT = [case for case in FAMILY if case.penalty.why_no_gradient() is None]
INDICATORS = [case for case in FAMILY if case.penalty.is_indicator]
FREE = [c for c in FAMILY if not any(term.is_indicator for term in terms(c.penalty))]


def sized(case: Case, data: st.DataObject, sizes: Any = steps) -> Any:
    """A step that the penalty takes: one number where each entry cannot have its own."""
    if case.penalty.why_no_metric() is not None:
        return data.draw(sizes(()).filter(lambda step: isinstance(step, float)))
    return data.draw(sizes(case.shape))


@every_case
@given(data=st.data())
def test_no_other_point_is_better(case: Case, data: st.DataObject) -> None:
    w, step = data.draw(weights(case.shape)), sized(case, data, positive_steps)
    other = data.draw(weights(case.shape))
    best = case.penalty.prox(w, step)
    least = oracles.objective(case.penalty, best, w, step)
    assert np.isfinite(least)
    feasible = case.penalty.prox(other, step) if case in INDICATORS else other
    for nearness in (1.0, 0.1, 1e-3):
        beside = best + nearness * (feasible - best)
        assert least <= oracles.objective(case.penalty, beside, w, step) + 1e-9


@pytest.mark.parametrize("case", SEPARABLE, ids=str)
@given(z=st.floats(-4, 4, width=32), step=st.floats(0.01, 6))
def test_looking_everywhere_finds_no_better_entry(case: Case, z: float, step: float) -> None:
    least = oracles.best_entry(case.penalty, z, step)
    for flavour in each_flavour():
        best = plain(case.penalty.prox(flavour.array([z]), step))
        # Where two are equally good, rounding may choose.
        found = oracles.objective(case.penalty, best, np.array([z]), step)
        assert found <= least + 100 * flavour.tolerance * (1 + 1 / step)


@every_case
@given(data=st.data())
def test_every_library_and_precision_agree(case: Case, data: st.DataObject) -> None:
    w, step = data.draw(weights(case.shape)), sized(case, data, positive_steps)
    expected = case.penalty.prox(w, step)
    least = oracles.objective(case.penalty, expected, w, step)
    for flavour in each_flavour():
        array = flavour.array(w)
        best = case.penalty.prox(array, flavour.step(step))
        assert type(best) is type(array)
        assert best.dtype == array.dtype
        assert tuple(best.shape) == case.shape
        np.testing.assert_array_equal(plain(array), w)
        moved = float(np.sum((plain(best) - w) ** 2 / step) / 2)
        if case.penalty.is_convex:  # one minimum
            np.testing.assert_allclose(plain(best), expected, atol=10 * flavour.tolerance)
        elif flavour.dtype == "float32":  # of two nearly equal, either
            ours = moved + oracles.value(case.penalty, plain(best))
            assert ours <= least + 1e-3 * (1 + abs(least))


@every_case
@given(data=st.data())
def test_value_follows_the_formula(case: Case, data: st.DataObject) -> None:
    w = data.draw(weights(case.shape))
    if case in INDICATORS:
        w = case.penalty.prox(w, 1.0) if data.draw(st.booleans()) else w
    for flavour in each_flavour():
        array = flavour.array(w)
        found, expected = plain(case.penalty(array)), oracles.value(case.penalty, w)
        if flavour.dtype == "float32" and case not in FREE:
            continue  # the border itself is rounded
        bound = 10 * flavour.tolerance
        np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("case", WITH_GRADIENT, ids=str)
@given(data=st.data())
def test_gradient_follows_the_formula(case: Case, data: st.DataObject) -> None:
    w = data.draw(weights(case.shape))
    expected = oracles.gradient(case.penalty, w)
    matrix = isinstance(case.penalty, NuclearNorm | Orthogonality)
    for flavour in each_flavour():
        if matrix and flavour.dtype == "float32":
            continue  # which singular values are 0 is rounded
        found = plain(case.penalty.gradient(flavour.array(w)))
        atol = 1e-5 if isinstance(case.penalty, NuclearNorm) else 100 * flavour.tolerance
        np.testing.assert_allclose(found, expected, rtol=100 * flavour.tolerance, atol=atol)


@pytest.mark.parametrize("case", [c for c in WITH_GRADIENT if c.smooth], ids=str)
@given(data=st.data())
def test_gradient_is_the_slope_of_the_value(case: Case, data: st.DataObject) -> None:
    w, direction = data.draw(away_from_kinks(case.shape)), data.draw(weights(case.shape))
    ahead, behind = (case.penalty.value(w + h * direction) for h in (1e-5, -1e-5))
    slope = np.sum(case.penalty.gradient(w) * direction)
    np.testing.assert_allclose((ahead - behind) / 2e-5, slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", WITH_GRADIENT, ids=str)
@given(data=st.data())
def test_gradient_is_what_autograd_finds(case: Case, data: st.DataObject) -> None:
    w = data.draw(weights(case.shape))
    for flavour in FLAVOURS[2:]:
        tensor = flavour.array(w).requires_grad_()
        (found,) = torch.autograd.grad(case.penalty.value(tensor), tensor)
        np.testing.assert_allclose(
            plain(found),
            plain(case.penalty.gradient(tensor)),
            rtol=100 * flavour.tolerance,
            atol=100 * flavour.tolerance,
        )


@pytest.mark.parametrize("case", [c for c in WITH_GRADIENT if c.smooth and c.fixes_zero], ids=str)
@pytest.mark.parametrize("zeros", ["all", "a row", "a column"])
def test_derivatives_at_zero_are_finite(case: Case, zeros: str) -> None:
    w = torch.ones(case.shape, dtype=torch.float64)
    here: Any = {"all": ..., "a row": 0, "a column": (..., 0)}[zeros]
    w[here] = 0.0
    assert torch.isfinite(second_derivative(case.penalty, w, torch.ones_like(w))).all()
    assert torch.isfinite(case.penalty.gradient(w)).all()


@pytest.mark.parametrize("case", [c for c in FAMILY if c.penalty.is_convex], ids=str)
@given(data=st.data())
def test_it_brings_points_closer(case: Case, data: st.DataObject) -> None:
    step = sized(case, data, positive_steps)
    w, v = (data.draw(weights(case.shape)) for _ in range(2))

    def distance(p: np.ndarray, q: np.ndarray) -> float:
        return float(np.sqrt(np.sum((p - q) ** 2 / step)))  # in the metric

    p, q = case.penalty.prox(w, step), case.penalty.prox(v, step)
    assert distance(p, q) <= distance(w, v) + 1e-7


@pytest.mark.parametrize("case", [case for case in FAMILY if case.norm], ids=str)
@given(data=st.data())
def test_moreau(case: Case, data: st.DataObject) -> None:
    """What a norm's prox takes away is the projection onto its dual ball."""
    w, step = data.draw(weights(case.shape)), sized(case, data, positive_steps)
    best = case.penalty.prox(w, step)
    reached = float(np.sum(best * (w - best) / step))
    assert reached == pytest.approx(float(case.penalty.value(best)), abs=1e-7)
    np.testing.assert_allclose(case.penalty.prox(w - best, step), 0, atol=1e-7)


@pytest.mark.parametrize("case", [case for case in FAMILY if case.fixes_zero], ids=str)
@given(data=st.data())
def test_zero_stays_zero(case: Case, data: st.DataObject) -> None:
    step = sized(case, data)
    for flavour in each_flavour():
        zero = flavour.array(np.zeros(case.shape))
        size = step if isinstance(step, float) else flavour.array(step)
        assert not np.any(plain(case.penalty.prox(zero, size)))


@pytest.mark.parametrize("case", FREE, ids=str)
@given(data=st.data())
def test_a_small_step_moves_little_and_none_nothing(case: Case, data: st.DataObject) -> None:
    w, step = data.draw(weights(case.shape)), sized(case, data)
    for flavour in each_flavour():
        array = flavour.array(w)
        np.testing.assert_array_equal(plain(case.penalty.prox(array, 0.0)), w)
        if case.penalty.why_no_metric() is None:
            none = flavour.array(np.zeros(case.shape))
            np.testing.assert_array_equal(plain(case.penalty.prox(array, none)), w)
        if case.continuous:
            tiny = step * 1e-7
            size = float(tiny) if np.ndim(tiny) == 0 else flavour.array(tiny)
            moved = plain(case.penalty.prox(array, size)) - w
            assert np.max(np.abs(moved)) <= 5e-5  # the slope is under 100, the step 2e-7


@pytest.mark.parametrize("case", INDICATORS, ids=str)
@given(data=st.data())
def test_projections(case: Case, data: st.DataObject) -> None:
    """Feasible at any step, idempotent, the same at any number, and 0 or infinite in value."""
    w, step = data.draw(weights(case.shape)), data.draw(steps(case.shape))
    for flavour in each_flavour():
        array = flavour.array(w)
        there = case.penalty.prox(array, flavour.step(step))
        assert float(case.penalty(there)) == 0.0
        again = case.penalty.prox(there, flavour.step(step))
        np.testing.assert_allclose(plain(again), plain(there), atol=100 * flavour.tolerance)
        near = case.penalty.prox(array, 1.0)
        np.testing.assert_array_equal(plain(case.penalty.prox(array, 0.0)), plain(near))
        alike = flavour.array(np.full(case.shape, 0.5))
        flavour.close(case.penalty.prox(array, alike), near)
        inside = case.penalty.prox(near, flavour.step(step))
        np.testing.assert_allclose(plain(inside), plain(near), atol=100 * flavour.tolerance)


@pytest.mark.parametrize("case", [c for c in FREE if c.penalty.why_no_metric() is None], ids=str)
@given(data=st.data(), step=st.floats(0, 2, width=32))
def test_an_array_of_equal_steps_is_that_step(case: Case, data: st.DataObject, step: float) -> None:
    w = data.draw(weights(case.shape))
    expected = case.penalty.prox(w, step)
    np.testing.assert_allclose(
        case.penalty.prox(w, np.full(case.shape, step)), expected, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("case", [case for case in FAMILY if case.sparse], ids=str)
@given(data=st.data())
def test_zeros_are_exact_and_never_minus_zero(case: Case, data: st.DataObject) -> None:
    w, step = data.draw(weights(case.shape)), sized(case, data, positive_steps)
    small = case.penalty.prox(w * 1e-4, step)
    large = case.penalty.prox(w, step)
    held = np.ones(case.shape, dtype=bool)
    groups = getattr(case.penalty, "groups", None)
    if isinstance(groups, tuple):  # index lists leave entries free
        held.flat[:] = False
        held.flat[[index for members in groups for index in members]] = True
    for result in (small, large):
        assert not np.any((np.signbit(result) & (result == 0))[held & (w != 0)])
    if np.min(step) > 0.01:
        assert not np.any(small[held])


@every_case
def test_not_a_number_stays_that(case: Case) -> None:
    if case.penalty.why_no_metric() is not None:
        return  # a matrix with a NaN has no singular values, and the library says so
    w = np.ones(case.shape)
    w.flat[1] = np.nan
    for step in (0.5, np.full(case.shape, 0.5)):
        assert np.isnan(np.asarray(case.penalty.prox(w, step)).flat[1])


@pytest.mark.parametrize("penalty", [MCP(0.5), SCAD(0.5), CappedL1(0.5, theta=1.0), LogSum(0.5)])
def test_what_is_flat_far_from_zero_has_no_value_at_not_a_number(penalty: Penalty) -> None:
    assert np.isnan(float(penalty(np.array([1.0, np.nan, 5.0]))))
    assert np.isfinite(float(penalty(np.array([1.0, 5.0]))))


@every_case
def test_hashable_and_pickled(case: Case) -> None:
    w = np.linspace(-1, 1, np.prod(case.shape)).reshape(case.shape)
    again = pickle.loads(pickle.dumps(case.penalty))
    assert repr(again) == repr(case.penalty)
    np.testing.assert_array_equal(again.prox(w, 0.5), case.penalty.prox(w, 0.5))
    assert isinstance(hash(case.penalty), int)


@every_case
def test_text_comes_back_or_says_why_not(case: Case) -> None:
    groups = getattr(case.penalty, "groups", None)
    if isinstance(case.penalty, Toward | Weighted) or isinstance(groups, tuple):
        with pytest.raises(ValueError, match="has no text form"):
            to_text(case.penalty)
    else:
        assert parse(to_text(case.penalty)) == case.penalty


@pytest.mark.parametrize("case", [c for c in FAMILY if c not in WITH_GRADIENT], ids=str)
def test_without_a_gradient_it_is_said(case: Case) -> None:
    with pytest.raises(ValueError, match='use how="proximal"'):
        case.penalty.gradient(np.ones(case.shape))


@pytest.mark.parametrize(
    "penalty", [NuclearNorm(1.0), Orthogonality(1.0), L1(1) + L2(1) + NuclearNorm(1)]
)
def test_matrices_need_one_step(penalty: Penalty) -> None:
    with pytest.raises(ValueError, match=r"has no prox|at most one penalty"):
        penalty.prox(np.ones((2, 2)), np.full((2, 2), 0.1))
    for one in (NuclearNorm(1.0), Orthogonality(1.0)):
        with pytest.raises(ValueError, match="for arrays of two or more axes, got"):
            one(np.ones(3))


@pytest.mark.parametrize("penalty", [NonNegative(), Box(0, 1), Simplex()], ids=str)
def test_real_constraints_refuse_complex_weights(penalty: Penalty) -> None:
    with pytest.raises(TypeError, match="is for real weights, got complex128"):
        penalty.prox(np.ones(3) * 1j, 1.0)


@pytest.mark.parametrize("case", [c for c in FAMILY if not isinstance(c.penalty, Toward)], ids=str)
def test_complex_weights_are_taken_by_their_modulus(case: Case) -> None:
    if any(isinstance(term, Box | NonNegative | Simplex) for term in terms(case.penalty)):
        return
    w = np.linspace(-2, 2, np.prod(case.shape)).reshape(case.shape)
    turn = np.exp(0.7j)
    np.testing.assert_allclose(case.penalty(turn * w), case.penalty(w), rtol=1e-9)
    np.testing.assert_allclose(
        case.penalty.prox(turn * w, 0.5), turn * case.penalty.prox(w, 0.5), atol=1e-9
    )


def test_equivalences() -> None:
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
    ]:
        np.testing.assert_allclose(one(w), other(w), rtol=1e-9)
        np.testing.assert_allclose(one.gradient(w), other.gradient(w), atol=1e-9)
        np.testing.assert_allclose(one.prox(w, step), other.prox(w, step), atol=1e-9)
    np.testing.assert_array_equal(Box(0, np.inf).prox(w, 1.0), NonNegative().prox(w, 1.0))
    np.testing.assert_allclose(  # the one group of a row
        L2Ball(1.0).prox(w[:1], step[:1]), MaxNorm(1.0).prox(w[:1], step[:1]), atol=1e-12
    )


def test_what_arrays_must_be() -> None:
    with pytest.raises(ValueError, match=r"reference must have w's shape, got \(4, 4\), where w"):
        Toward(PER_ENTRY, L1(1)).prox(np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"weights must have w's shape, got \(4, 4\), where w"):
        Weighted(PER_ENTRY, L1(1))(np.ones(3))
    with pytest.raises(ValueError, match="reference must be an array of w's shape here"):
        Toward("start", L1(1))(np.ones(3))


def test_a_metric_bends_a_projection() -> None:
    """Rescaling would be wrong: what moves easily gives way first."""
    w, step = np.array([3.0, 4.0]), np.array([1.0, 1e-3])
    there = L2Ball(4.5).prox(w, step)
    assert np.hypot(*there) == pytest.approx(4.5)
    assert there[1] == pytest.approx(4.0, abs=0.01)
    assert L1Ball(5.0).prox(w, step) == pytest.approx([1.0, 4.0], abs=0.01)
