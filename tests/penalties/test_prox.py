"""The laws of the prox."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

import oracles
from cases import ELEMENTWISE, FREE, GROUPED, PENALTIES, SUMS, WITHOUT_PROX, Case
from flavours import FLAVOURS, Flavour, each_flavour, plain, positive_steps, steps, weights
from shrinkage import L1, L2, ElasticNet, GroupLasso

every_case = pytest.mark.parametrize("case", PENALTIES, ids=str)
every_flavour = pytest.mark.parametrize("flavour", FLAVOURS, ids=str)


def drawn(data: st.DataObject, case: Case, sizes: Any = steps) -> tuple[np.ndarray, Any]:
    """Weights and a step."""
    return data.draw(weights(case.shape)), data.draw(sizes(case.shape))


@every_case
@given(data=st.data())
def test_it_is_the_argmin(case: Case, data: st.DataObject) -> None:
    w, step = drawn(data, case)
    expected = oracles.prox(case.penalty, w, step)
    for flavour in each_flavour():
        flavour.close(case.penalty.prox(flavour.array(w), flavour.step(step)), expected)


@every_case
@given(data=st.data())
def test_no_other_point_is_better(case: Case, data: st.DataObject) -> None:
    w, step = drawn(data, case, positive_steps)
    other = data.draw(weights(case.shape))
    best = case.penalty.prox(w, step)
    least = oracles.objective(case.penalty, best, w, step)
    for nearness in (1.0, 0.1, 1e-3):
        beside = best + nearness * (other - best)
        assert least <= oracles.objective(case.penalty, beside, w, step) + 1e-10


@pytest.mark.parametrize("case", [*ELEMENTWISE, SUMS[1]], ids=str)
@given(entry=st.floats(-4, 4), step=st.floats(0.01, 2))
def test_brute_force_finds_the_same_entry(case: Case, entry: float, step: float) -> None:
    w = np.array([entry])
    found = minimize_scalar(
        lambda u: oracles.objective(case.penalty, np.array([u]), w, step),
        bracket=(-5, 5),
        options={"xtol": 1e-12},
    )
    # A minimum can be told by its values only to the root of their precision.
    np.testing.assert_allclose(case.penalty.prox(w, step), [found.x], atol=1e-6)


@pytest.mark.parametrize("penalty", [GROUPED[0].penalty, SUMS[-1].penalty], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_brute_force_finds_the_same_groups(penalty: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    w, step = random.normal(size=(2, 4)), random.uniform(0.1, 1, size=(2, 4))
    found = minimize(
        lambda u: oracles.objective(penalty, u.reshape(2, 4), w, step),
        w.ravel(),
        method="Powell",
        options={"xtol": 1e-10, "ftol": 1e-15, "maxiter": 500},
    )
    best = penalty.prox(w, step)
    np.testing.assert_allclose(best, found.x.reshape(2, 4), atol=1e-5)  # as far as Powell gets
    assert oracles.objective(penalty, best, w, step) <= found.fun + 1e-12


@every_case
@given(data=st.data())
def test_it_brings_points_closer(case: Case, data: st.DataObject) -> None:
    w, step = drawn(data, case, positive_steps)
    v = data.draw(weights(case.shape))

    def distance(p: Any, q: Any) -> float:
        return float(np.sqrt(np.sum((plain(p) - plain(q)) ** 2 / step)))  # in the metric

    for flavour in each_flavour():
        p, q = (case.penalty.prox(flavour.array(a), flavour.step(step)) for a in (w, v))
        # The root of a step of 1e-3 divides the error.
        assert distance(p, q) <= distance(w, v) + 100 * flavour.tolerance


@pytest.mark.parametrize("case", [case for case in PENALTIES if case.norm], ids=str)
@given(data=st.data())
def test_moreau(case: Case, data: st.DataObject) -> None:
    """What a norm's prox takes away is the projection onto its dual ball."""
    w, step = drawn(data, case, positive_steps)
    for flavour in each_flavour():
        point, size = flavour.array(w), flavour.step(step)
        best = case.penalty.prox(point, size)
        dual = plain(point - best) / step  # a subgradient at `best`
        reached = np.sum(plain(best) * dual)
        error = 1e4 * flavour.tolerance  # entries up to 4, over steps down to 1e-3
        np.testing.assert_allclose(reached, plain(case.penalty.value(best)), atol=error)
        flavour.close(case.penalty.prox(point - best, size), np.zeros(case.shape))


@given(w=weights((6,)), step=positive_steps((6,)))
def test_moreau_for_squares(w: np.ndarray, step: Any) -> None:
    """The conjugate of lam·Σw² is Σg²/(4·lam), itself a square."""
    conjugate = L2(1 / (4 * 0.5)).prox(w / step, 1 / step)
    np.testing.assert_allclose(L2(0.5).prox(w, step) + step * conjugate, w, atol=1e-10)


@every_case
@given(data=st.data())
def test_zero_stays_zero(case: Case, data: st.DataObject) -> None:
    step = data.draw(steps(case.shape))
    for flavour in each_flavour():
        zero = flavour.array(np.zeros(case.shape))
        result = plain(case.penalty.prox(zero, flavour.step(step)))
        assert not np.any(result)
        assert not np.any(np.signbit(result))


@every_case
@given(data=st.data())
def test_a_small_step_moves_little_and_none_nothing(case: Case, data: st.DataObject) -> None:
    w, step = drawn(data, case)
    none = np.zeros(case.shape)
    for flavour in each_flavour():
        array = flavour.array(w)
        moved = plain(case.penalty.prox(array, flavour.step(step * 1e-7))) - w
        assert np.max(np.abs(moved)) <= 1e-5  # the largest gradient is under 10, the step 2e-7
        np.testing.assert_array_equal(plain(case.penalty.prox(array, 0.0)), w)
        np.testing.assert_array_equal(plain(case.penalty.prox(array, flavour.array(none))), w)


@pytest.mark.parametrize("penalty", FREE, ids=str)
@given(w=weights((4, 4)), step=steps((4, 4)))
def test_strength_zero_is_the_identity(penalty: Any, w: np.ndarray, step: Any) -> None:
    for flavour in each_flavour():
        array = flavour.array(w)
        np.testing.assert_array_equal(plain(penalty.prox(array, flavour.step(step))), w)
        assert float(penalty.value(array)) == 0
        assert not np.any(plain(penalty.gradient(array)))


@every_case
@given(data=st.data(), step=st.floats(0, 2, width=32))
def test_an_array_of_equal_steps_is_that_step(case: Case, data: st.DataObject, step: float) -> None:
    w = data.draw(weights(case.shape))
    for flavour in each_flavour():
        array = flavour.array(w)
        expected = case.penalty.prox(array, step)
        for alike in (np.full(case.shape, step), np.float64(step)):  # the second has no axes
            flavour.close(case.penalty.prox(array, flavour.array(alike)), expected)


@pytest.mark.parametrize("case", [case for case in PENALTIES if case.sparse], ids=str)
@given(data=st.data())
def test_never_minus_zero(case: Case, data: st.DataObject) -> None:
    w, step = drawn(data, case, positive_steps)
    penalized = case.penalty.gradient(np.ones(case.shape)) != 0
    for flavour in each_flavour():
        result = plain(case.penalty.prox(flavour.array(w), flavour.step(step)))
        assert not np.any((np.signbit(result) & (result == 0))[penalized])


@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_the_threshold_itself_becomes_zero(flavour: Flavour) -> None:
    w = flavour.array([[0.5, -0.5, 0.0]])
    for penalty in (L1(0.5), ElasticNet(1.0), GroupLasso(np.sqrt(0.5), weight="none")):
        for step in (1.0, flavour.array(np.ones((1, 3)))):
            assert not np.any(plain(penalty.prox(w, step))[np.abs(plain(w)) <= 0.5]), penalty


@pytest.mark.parametrize("penalty", WITHOUT_PROX, ids=str)
def test_a_sum_without_prox_says_so(penalty: Any) -> None:
    w = np.ones((4, 4))
    assert np.isfinite(penalty.value(w))
    assert np.isfinite(penalty.gradient(w)).all()
    with pytest.raises(
        ValueError, match=r"has no prox in closed form: beside squares, one penalty"
    ):
        penalty.prox(w, 0.1)


def test_a_term_of_strength_zero_takes_no_prox_away() -> None:
    assert (GroupLasso(1.0) + GroupLasso(0.0, "in")).why_no_prox() is None


@pytest.mark.parametrize("spread", [1e4, 1e8])
def test_a_wide_spread_of_steps(spread: float) -> None:
    random = np.random.default_rng(0)
    w = random.normal(size=(20, 50))
    step = spread ** random.uniform(-1, 0, size=w.shape)
    penalty = GroupLasso(0.1)
    FLAVOURS[1].close(penalty.prox(w, step), oracles.prox(penalty, w, step))


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


@pytest.mark.parametrize(("step", "error", "message"), BAD_STEPS)
@every_flavour
def test_bad_steps(flavour: Flavour, step: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        L1(1.0).prox(flavour.array([1.0, 2.0, 3.0]), step)


@pytest.mark.parametrize(("step", "error", "message"), BAD_STEP_ARRAYS)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_bad_arrays_of_steps(library: str, step: Any, error: type[Exception], message: str) -> None:
    w = Flavour(library, "float64").array([1.0, 2.0, 3.0])
    kind = "complex128" if np.iscomplexobj(step) else "float64"
    with pytest.raises(error, match=message):
        L1(1.0).prox(w, Flavour(library, kind).array(step))


def test_steps_of_another_library() -> None:
    numpy, torch = (Flavour(library, "float64").array([1.0]) for library in ("numpy", "torch"))
    with pytest.raises(TypeError, match="of w's library, got Tensor for a w of type ndarray"):
        L1(1.0).prox(numpy, torch)
    with pytest.raises(TypeError, match="of w's library, got ndarray for a w of type Tensor"):
        L1(1.0).prox(torch, numpy)
