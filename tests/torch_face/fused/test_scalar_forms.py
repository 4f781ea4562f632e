"""The formulas for one number, which compiled loops take in, equal the array formulas."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from cases import CASES
from shrinkage import L0, L1, MCP, SCAD, CappedL1, Penalty
from shrinkage.kernels.jit import LOOP_OPTIONS
from shrinkage.kernels.register_forms import ScalarForm, scalar_form_of, signed

PENALTIES: list[Penalty] = [
    *{case.penalty: case for case in CASES if scalar_form_of(case.penalty) is not None},
    *(SCAD(0.5, 3.0), CappedL1(0.5, 0.75)),  # whose bends are at numbers that are drawn
]
SMOOTH = [penalty for penalty in PENALTIES if penalty.why_not("gradient") is None]
TYPES = {np.float32: 1e-5, np.float64: 1e-10}
NUMBERS = st.floats(-4, 4, width=32) | st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.5, 0.75, -1.0])
STEPS = st.floats(0, 4, width=32) | st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 1e6])


def form_of(penalty: Penalty) -> tuple[ScalarForm, tuple[float, float]]:
    """The formulas, which penalties share, and the constants of this one."""
    found = scalar_form_of(penalty)
    assert found is not None
    return found


@cache
def proxes(formula: ScalarForm) -> Any:
    """The prox of every entry; where the formula is not sure, with its choice."""
    prox, modulus = formula.prox, formula.modulus
    is_sure, choice = formula.is_sure, formula.choice

    @njit(**LOOP_OPTIONS, no_cfunc_wrapper=True)
    def direct(z, s, a, b, out):
        for i in range(z.size):
            out[i] = prox(z[i], s, a, b)

    @njit(**LOOP_OPTIONS, no_cfunc_wrapper=True)
    def by_modulus(z, s, a, b, out):
        for i in range(z.size):
            out[i] = signed(z[i], modulus(abs(z[i]), s, a, b))

    @njit(**LOOP_OPTIONS, no_cfunc_wrapper=True)
    def chosen(z, s, a, b, out):
        for i in range(z.size):
            u = modulus(abs(z[i]), s, a, b)
            out[i] = signed(z[i], u if is_sure(s, a, b) else choice(abs(z[i]), u, s, a, b))

    return chosen if choice else by_modulus if modulus else direct


@cache
def gradients(formula: ScalarForm) -> Any:
    gradient = formula.gradient

    @njit(**LOOP_OPTIONS, no_cfunc_wrapper=True)
    def run(w, a, b, out):
        for i in range(w.size):
            out[i] = gradient(w[i], a, b)

    return run


def constants(penalty: Penalty, kind: Any) -> tuple[Any, Any]:
    a, b = form_of(penalty)[1]
    return kind(a), kind(b)


@pytest.mark.quick_where(penalty=[L1(0.5), MCP(0.512)])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@given(values=st.lists(NUMBERS, min_size=1, max_size=20), step=STEPS)
@example(values=[0.0, -0.0, 0.5, 1.0, -2.0], step=1.0)
@example(values=[0.0, -0.0, 1e3, -1e3], step=1e6)
def test_prox(penalty: Penalty, kind: Any, values: list[float], step: float) -> None:
    z = np.array(values, kind)
    found = np.empty_like(z)
    proxes(form_of(penalty)[0])(z, kind(step), *constants(penalty, kind), found)
    expected = penalty.prox(z, float(kind(step)))
    near = np.isclose(found, expected, rtol=TYPES[kind], atol=TYPES[kind])
    if not near.all():  # at a jump both sides are minimal
        assert penalty.traits.is_convex is False
        for index in np.flatnonzero(~near):
            costs = [cost(penalty, u[index], z[index], step) for u in (found, expected)]
            assert costs[0] == pytest.approx(costs[1], rel=1e-4 if kind is np.float32 else 1e-9)
    made = (found == 0) & (expected == 0) & (z != 0)
    assert not np.signbit(found[made]).any()  # zeros that a prox makes are 0, not −0


def cost(penalty: Penalty, u: float, z: float, step: float) -> float:
    """½(u − z)²/step + Ω(u)."""
    value = float(penalty(np.array([u], np.float64)))
    return 0.5 * (float(u) - float(z)) ** 2 / step + value


@pytest.mark.quick_where(penalty=[L1(0.5), MCP(0.512)])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("penalty", SMOOTH, ids=str)
@given(values=st.lists(NUMBERS, min_size=1, max_size=20))
@example(values=[0.0, -0.0, 0.5, 0.75, -0.75, 1.5, -1.5])
def test_gradient(penalty: Penalty, kind: Any, values: list[float]) -> None:
    w = np.array(values, kind)
    found = np.empty_like(w)
    gradients(form_of(penalty)[0])(w, *constants(penalty, kind), found)
    tolerance = TYPES[kind]
    np.testing.assert_allclose(found, penalty.gradient(w), rtol=tolerance, atol=tolerance)


@pytest.mark.quick_where(penalty=[L1(0.5), MCP(0.512)])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_what_is_no_number_stays_none(penalty: Penalty, kind: Any) -> None:
    z = np.array([np.nan, np.inf, -np.inf], kind)
    found = np.empty_like(z)
    proxes(form_of(penalty)[0])(z, kind(0.5), *constants(penalty, kind), found)
    np.testing.assert_array_equal(found, penalty.prox(z, 0.5))
    assert np.isnan(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("penalty", "step", "z", "expected"),
    [
        (CappedL1(1.0, theta=0.75), 0.25, 0.875, 0.625),  # beyond θ + t/2 it stays
        (CappedL1(1.0, theta=0.5), 4.0, 2.0, 0.0),
        (MCP(0.25, gamma=1.75), 7.0, 0.875, 0.0),
        (SCAD(0.25, a=2.5), 2.0, 0.6875, 0.1875),
        (L0(0.5), 1.0, 1.0, 0.0),
        (CappedL1(1e3, theta=1e-37), 1e5, 100.0, 100.0),  # what it is beside overflows
        (SCAD(0.1, a=3.7), 3e-7, float(np.float32(0.384)), float(np.float32(0.384))),
    ],
    ids=str,
)
def test_of_two_minima_it_is_the_smaller_and_far_ones_stay_to_the_last_place(
    penalty: Penalty, kind: Any, step: float, z: float, expected: float
) -> None:
    given, found = np.array([z, -z], kind), np.empty(2, kind)
    proxes(form_of(penalty)[0])(given, kind(step), *constants(penalty, kind), found)
    np.testing.assert_array_equal(found, np.array([expected, -expected], kind))
    np.testing.assert_array_equal(penalty.prox(given, step), np.array([expected, -expected], kind))


@pytest.mark.slow
@pytest.mark.parametrize(
    "penalty", {form_of(case)[0]: case for case in PENALTIES}.values(), ids=str
)
def test_single_precision_is_not_left(penalty: Penalty) -> None:
    """A bare 2.0 in a formula would calculate in double precision, at twice the price."""
    form, one, numbers = form_of(penalty)[0], np.float32(1), constants(penalty, np.float32)
    prox, gradient = njit(form.modulus or form.prox), njit(form.gradient or (lambda w, a, b: w))
    prox(one, one, *numbers)
    gradient(one, *numbers)
    for compiled in (prox, gradient):
        assert str(compiled.nopython_signatures[0].return_type) == "float32", "write type(z)(2.0)"
