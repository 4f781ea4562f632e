"""The laws of the prox."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import oracles
from cases import FREE, GROUPED, PENALTIES, PER_ENTRY, SUMS, WITHOUT_PROX, Case
from flavours import FLAVOURS, Flavour, each_flavour, plain, positive_steps, steps, weights
from penalties.laws import draw, each, each_kind
from shrinkage import (
    L1,
    L2,
    Box,
    ElasticNet,
    GroupLasso,
    L1Ball,
    L2Ball,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Simplex,
    Toward,
    Weighted,
)


def is_indicator(case: Case) -> bool:
    return case.penalty.traits.is_indicator


def is_separable(case: Case) -> bool:
    return case.penalty.traits.is_separable


def has_oracle(case: Case) -> bool:
    return any(case is one for one in PENALTIES)


def flavours_of(case: Case) -> Iterable[Flavour]:
    """What a law is tried on: with an oracle in one flavour, as all give the oracle's numbers."""
    return [FLAVOURS[1]] if has_oracle(case) else each_flavour()


@each_kind(cases=PENALTIES)
@given(data=st.data())
def test_it_is_the_argmin(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases):
        expected = oracles.prox(case.penalty, w, step)
        for flavour in each_flavour():
            flavour.check_close(case.penalty.prox(flavour.array(w), flavour.step(step)), expected)


@each_kind()
@given(data=st.data())
def test_no_other_point_is_better(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases, positive_steps):
        best = case.penalty.prox(w, step)
        least = oracles.objective(case.penalty, best, w, step)
        assert np.isfinite(least)
        other = data.draw(weights(case.shape))
        if is_indicator(case):
            other = case.penalty.prox(other, step)
        for nearness in (1.0, 0.1, 1e-3):
            beside = best + nearness * (other - best)
            assert least <= oracles.objective(case.penalty, beside, w, step) + 1e-9


@pytest.mark.slow
@each_kind(is_separable)
@given(z=st.floats(-4, 4, width=32), step=st.floats(0.01, 6))
def test_looking_everywhere_finds_no_better_entry(cases: list[Case], z: float, step: float) -> None:
    for case in each(cases):
        least = oracles.best_entry(case.penalty, z, step)
        for flavour in each_flavour():
            best = plain(case.penalty.prox(flavour.array([z]), step))
            # Where two are equally good, rounding may choose.
            reached = oracles.objective(case.penalty, best, np.array([z]), step)
            assert reached <= least + 100 * flavour.tolerance * (1 + 1 / step)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [GROUPED[0].penalty, SUMS[-1].penalty], ids=str)
def test_brute_force_finds_the_same_groups(penalty: Any) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        w, step = random.normal(size=(2, 4)), random.uniform(0.1, 1, size=(2, 4))
        found = minimize(
            lambda u, w=w, step=step: oracles.objective(penalty, u.reshape(2, 4), w, step),
            w.ravel(),
            method="Powell",
            options={"xtol": 1e-10, "ftol": 1e-15, "maxiter": 500},
        )
        best = penalty.prox(w, step)
        np.testing.assert_allclose(best, found.x.reshape(2, 4), atol=1e-5)  # as far as Powell gets
        assert oracles.objective(penalty, best, w, step) <= found.fun + 1e-12


@pytest.mark.slow
@each_kind(lambda case: not has_oracle(case))
@given(data=st.data())
def test_every_library_and_precision_agree(cases: list[Case], data: st.DataObject) -> None:
    """Where there is no oracle, to which `test_it_is_the_argmin` holds them all."""
    for case, w, step in draw(data, cases, positive_steps):
        expected = case.penalty.prox(w, step)
        least = oracles.objective(case.penalty, expected, w, step)
        for flavour in each_flavour():
            best = plain(case.penalty.prox(flavour.array(w), flavour.step(step)))
            if case.penalty.traits.is_convex:  # there is one minimum
                np.testing.assert_allclose(best, expected, atol=10 * flavour.tolerance)
            elif flavour.dtype == "float32":  # either of two that are nearly equal
                moved = float(np.sum((best - w) ** 2 / step) / 2)
                reached = moved + oracles.value(case.penalty, best)
                assert reached <= least + 1e-3 * (1 + abs(least))


@pytest.mark.slow
@each_kind(lambda case: case.penalty.traits.is_convex)
@given(data=st.data())
def test_it_brings_points_closer(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases, positive_steps):
        v = data.draw(weights(case.shape))

        def distance(p: Any, q: Any, step: Any = step) -> float:
            return float(np.sqrt(np.sum((plain(p) - plain(q)) ** 2 / step)))  # in the metric

        for flavour in flavours_of(case):
            p, q = (case.penalty.prox(flavour.array(a), flavour.step(step)) for a in (w, v))
            # The root of a step of 1e-3 divides the error.
            assert distance(p, q) <= distance(w, v) + 100 * flavour.tolerance


@pytest.mark.slow
@each_kind(lambda case: case.penalty.traits.is_norm)
@given(data=st.data())
def test_moreau(cases: list[Case], data: st.DataObject) -> None:
    """What a norm's prox takes away is the projection onto its dual ball."""
    for case, w, step in draw(data, cases, positive_steps):
        for flavour in flavours_of(case):
            point, size = flavour.array(w), flavour.step(step)
            best = case.penalty.prox(point, size)
            dual = plain(point - best) / step  # a subgradient at `best`
            reached = np.sum(plain(best) * dual)
            error = 1e4 * flavour.tolerance  # entries up to 4, over steps down to 1e-3
            np.testing.assert_allclose(reached, plain(case.penalty.value(best)), atol=error)
            left = plain(case.penalty.prox(point - best, size))
            np.testing.assert_allclose(left, 0.0, atol=10 * flavour.tolerance)


@given(w=weights((6,)), step=positive_steps((6,)))
def test_moreau_for_squares(w: np.ndarray, step: Any) -> None:
    """The conjugate of lam·Σw² is Σg²/(4·lam), itself a square."""
    conjugate = L2(1 / (4 * 0.5)).prox(w / step, 1 / step)
    np.testing.assert_allclose(L2(0.5).prox(w, step) + step * conjugate, w, atol=1e-10)


@pytest.mark.slow
@each_kind(lambda case: case.penalty.traits.fixes_zero)
@given(data=st.data())
def test_zero_stays_zero(cases: list[Case], data: st.DataObject) -> None:
    for case, _, step in draw(data, cases):
        for flavour in each_flavour():
            zero = flavour.array(np.zeros(case.shape))
            result = plain(case.penalty.prox(zero, flavour.step(step)))
            assert not np.any(result)
            if isinstance(case.penalty, NuclearNorm | Orthogonality):
                continue  # singular vectors have signs
            assert not np.any(np.signbit(result))


@pytest.mark.slow
@each_kind(lambda case: case.is_free)
@given(data=st.data())
def test_a_small_step_moves_little_and_none_nothing(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases):
        for flavour in each_flavour():
            array = flavour.array(w)
            np.testing.assert_array_equal(plain(case.penalty.prox(array, 0.0)), w)
            if case.takes_metric:
                none = flavour.array(np.zeros(case.shape))
                np.testing.assert_array_equal(plain(case.penalty.prox(array, none)), w)
            if case.penalty.traits.is_continuous:
                moved = plain(case.penalty.prox(array, flavour.step(step * 1e-7))) - w
                assert np.max(np.abs(moved)) <= 5e-5  # the slope is under 100, the step 2e-7


@given(w=weights((4, 4)), step=steps((4, 4)))
def test_strength_zero_is_the_identity(w: np.ndarray, step: Any) -> None:
    for penalty in each(FREE):
        for flavour in each_flavour():
            array = flavour.array(w)
            np.testing.assert_array_equal(plain(penalty.prox(array, flavour.step(step))), w)
            assert float(penalty.value(array)) == 0
            assert not np.any(plain(penalty.gradient(array)))


@pytest.mark.slow
@each_kind(lambda case: case.is_free and case.takes_metric)
@given(data=st.data(), step=st.floats(0, 2, width=32))
def test_an_array_of_equal_steps_is_that_step(
    cases: list[Case], data: st.DataObject, step: float
) -> None:
    for case, w, _ in draw(data, cases):
        for flavour in flavours_of(case):
            array = flavour.array(w)
            expected = case.penalty.prox(array, step)
            for alike in (np.full(case.shape, step), np.float64(step)):  # the second has no axes
                result = case.penalty.prox(array, flavour.array(alike))
                if case.penalty.traits.is_convex or flavour.dtype == "float64":  # one minimum
                    flavour.check_close(result, expected)


@each_kind(lambda case: case.makes_zeros)
@given(data=st.data())
def test_zeros_are_exact_and_never_minus_zero(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases, positive_steps):
        held = case.penalty.prox(np.full(case.shape, 0.01), 0.5) != 0.01  # some entries are free
        for flavour in each_flavour():
            small, large = (
                plain(case.penalty.prox(flavour.array(point), flavour.step(step)))
                for point in (w * 1e-4, w)
            )
            for result in (small, large):
                assert not np.any((np.signbit(result) & (result == 0))[held])
            if np.min(step) > 0.01:
                assert not np.any(small[held])


@each_kind(is_indicator)
@given(data=st.data())
def test_projections(cases: list[Case], data: st.DataObject) -> None:
    """Feasible at any step, idempotent, the same at any number, and 0 or infinite in value."""
    for case, w, step in draw(data, cases):
        for flavour in each_flavour():
            array = flavour.array(w)
            there = case.penalty.prox(array, flavour.step(step))
            assert float(case.penalty(there)) == 0.0
            again = case.penalty.prox(there, flavour.step(step))
            np.testing.assert_allclose(plain(again), plain(there), atol=100 * flavour.tolerance)
            near = case.penalty.prox(array, 1.0)
            np.testing.assert_array_equal(plain(case.penalty.prox(array, 0.0)), plain(near))
            alike = flavour.array(np.full(case.shape, 0.5))
            flavour.check_close(case.penalty.prox(array, alike), near)
            inside = case.penalty.prox(near, flavour.step(step))
            np.testing.assert_allclose(plain(inside), plain(near), atol=100 * flavour.tolerance)


def test_a_metric_bends_a_projection() -> None:
    """Rescaling would be wrong: what moves easily moves first."""
    w, step = np.array([3.0, 4.0]), np.array([1.0, 1e-3])
    there = L2Ball(4.5).prox(w, step)
    assert np.hypot(*there) == pytest.approx(4.5)
    assert there[1] == pytest.approx(4.0, abs=0.01)
    assert L1Ball(5.0).prox(w, step) == pytest.approx([1.0, 4.0], abs=0.01)


def test_the_threshold_itself_becomes_zero() -> None:
    for flavour in each(FLAVOURS):
        w = flavour.array([[0.5, -0.5, 0.0]])
        for penalty in (L1(0.5), ElasticNet(1.0), GroupLasso(np.sqrt(0.5), weight="none")):
            for step in (1.0, flavour.array(np.ones((1, 3)))):
                assert not np.any(plain(penalty.prox(w, step))[np.abs(plain(w)) <= 0.5]), penalty


def test_a_wide_spread_of_steps() -> None:
    for spread in (1e4, 1e8):
        random = np.random.default_rng(0)
        w = random.normal(size=(20, 50))
        step = spread ** random.uniform(-1, 0, size=w.shape)
        penalty = GroupLasso(0.1)
        FLAVOURS[1].check_close(penalty.prox(w, step), oracles.prox(penalty, w, step))


def test_a_sum_without_prox_says_so() -> None:
    w = np.ones((4, 4))
    for penalty in each(WITHOUT_PROX):
        assert np.isfinite(penalty.value(w))
        assert np.isfinite(penalty.gradient(w)).all()
        with pytest.raises(
            ValueError, match=r"has no prox in closed form: beside squares, one penalty"
        ):
            penalty.prox(w, 0.1)
    assert (GroupLasso(1.0) + GroupLasso(0.0, "in")).why_not("prox") is None


def test_matrices_need_one_step() -> None:
    for penalty in (NuclearNorm(1.0), Orthogonality(1.0), L1(1) + L2(1) + NuclearNorm(1)):
        with pytest.raises(ValueError, match=r"has no prox|at most one penalty"):
            penalty.prox(np.ones((2, 2)), np.full((2, 2), 0.1))
    for penalty in (NuclearNorm(1.0), Orthogonality(1.0)):
        with pytest.raises(ValueError, match="for arrays of two or more axes, got"):
            penalty(np.ones(3))


def test_real_constraints_refuse_complex_weights() -> None:
    for penalty in each([NonNegative(), Box(0, 1), Simplex()]):
        with pytest.raises(TypeError, match="is for real weights, got complex128"):
            penalty.prox(np.ones(3) * 1j, 1.0)


def test_what_arrays_must_be() -> None:
    with pytest.raises(ValueError, match=r"reference must have w's shape, got \(4, 4\), where w"):
        Toward(PER_ENTRY, L1(1)).prox(np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"weights must have w's shape, got \(4, 4\), where w"):
        Weighted(PER_ENTRY, L1(1))(np.ones(3))
    with pytest.raises(ValueError, match="reference must be an array of w's shape here"):
        Toward("start", L1(1))(np.ones(3))


BAD_STEPS = [
    (-0.1, ValueError, "step must be >= 0 and finite, got -0.1"),
    (float("nan"), ValueError, "step must be >= 0 and finite, got nan"),
    (float("inf"), ValueError, "step must be >= 0 and finite, got inf"),
    ("0.1", TypeError, "step must be a number or an array, got str"),
    (None, TypeError, "step must be a number or an array, got NoneType"),
    (1j, TypeError, "step must be a number or an array, got complex"),
    ([0.1] * 3, TypeError, "step must be a number or an array, got list"),
]
BAD_STEP_ARRAYS = [
    ([0.1, -0.1, 0.1], ValueError, "step must be >= 0 and finite in every entry"),
    ([0.1, np.nan, 0.1], ValueError, "step must be >= 0 and finite in every entry"),
    ([0.1, np.inf, 0.1], ValueError, "step must be >= 0 and finite in every entry"),
    ([0.1], ValueError, r"of w's shape, got shape \(1,\), where w has \(3,\)"),
    ([0.1, 0.1, 0.1j], TypeError, "step must be real, got .*complex128"),
]


def test_bad_steps() -> None:
    for flavour in FLAVOURS:
        for step, error, message in each(BAD_STEPS):
            with pytest.raises(error, match=message):
                L1(1.0).prox(flavour.array([1.0, 2.0, 3.0]), step)
    for library in ("numpy", "torch"):
        w = Flavour(library, "float64").array([1.0, 2.0, 3.0])
        for step, error, message in each(BAD_STEP_ARRAYS):
            kind = "complex128" if np.iscomplexobj(step) else "float64"
            with pytest.raises(error, match=message):
                L1(1.0).prox(w, Flavour(library, kind).array(step))


def test_steps_of_another_library() -> None:
    numpy, torch = (Flavour(library, "float64").array([1.0]) for library in ("numpy", "torch"))
    with pytest.raises(TypeError, match="of w's library, got Tensor for a w of type ndarray"):
        L1(1.0).prox(numpy, torch)
    with pytest.raises(TypeError, match="of w's library, got ndarray for a w of type Tensor"):
        L1(1.0).prox(torch, numpy)
