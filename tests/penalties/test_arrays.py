"""Every kind of array: types, shapes, empty ones, huge and tiny numbers, NaN."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import BAD_SHAPES, FREE, PENALTIES, Case
from flavours import FLAVOURS, Flavour, plain, steps
from penalties.laws import draw, each, each_kind
from shrinkage import (
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupLasso,
    LogSum,
    NonNegative,
    Simplex,
    Toward,
)
from shrinkage.penalties.base import terms
from shrinkage.penalties.layout import Layout

HALF = [
    Flavour("numpy", "float16"),
    Flavour("torch", "float16"),
    Flavour("torch", "bfloat16"),
]
REAL = [*FLAVOURS, *HALF]
COMPLEX = [Flavour(lib, kind) for lib in ("numpy", "torch") for kind in ("complex64", "complex128")]
WHOLE = [Flavour(lib, kind) for lib in ("numpy", "torch") for kind in ("int32", "uint8", "bool")]

each_penalty = each_kind(cases=PENALTIES)
FIT_ANY = [
    L1(0.5),
    L2(0.5),
    ElasticNet(0.5),
    GroupLasso(0.5),
    GroupLasso(0.5, "2x2"),
    GroupLasso(0, 0),
]
FIT_ANY += [GroupLasso(0.5, Layout(None, ())), L1(0.25) + L2(0.5) + GroupLasso(0.5, "in")]


def results(penalty: Any, w: Any) -> list[Any]:
    """All that has w's shape."""
    halves = np.full(w.shape, 0.5)
    steps = torch.tensor(halves) if isinstance(w, torch.Tensor) else halves
    return [penalty.gradient(w), penalty.prox(w, 0.5), penalty.prox(w, steps)]


def some_weights(shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers, and zeros."""
    w = np.random.default_rng(0).normal(size=shape)
    w[0] = 0.0
    return w


def memory(a: Any) -> int:
    return a.data_ptr() if isinstance(a, torch.Tensor) else a.ctypes.data


@each_penalty
def test_same_type_shape_and_device_and_w_untouched(cases: list[Case]) -> None:
    for case in each(cases):
        for flavour in [*REAL, *COMPLEX]:
            w = flavour.array(some_weights(case.shape))
            before = plain(w).copy()
            for result in results(case.penalty, w):
                assert type(result) is type(w)
                assert (result.shape, result.dtype, result.device) == (w.shape, w.dtype, w.device)
                assert memory(result) != memory(w)  # to change it changes nothing else
            case.penalty.value(w)
            np.testing.assert_array_equal(plain(w), before)


@each_kind()
def test_the_prox_has_the_type_of_its_weights_and_leaves_them_untouched(cases: list[Case]) -> None:
    for case in each(cases):
        for flavour in FLAVOURS:
            w = flavour.array(some_weights(case.shape))
            result = case.penalty.prox(w, 0.5)
            assert type(result) is type(w)
            assert (result.shape, result.dtype) == (w.shape, w.dtype)
            np.testing.assert_array_equal(plain(w), plain(flavour.array(some_weights(case.shape))))


def test_what_changes_nothing_still_makes_a_new_array() -> None:
    for penalty in each(FREE):
        for flavour in FLAVOURS:
            w = flavour.array(some_weights((4, 4)))
            assert memory(w) not in [memory(result) for result in results(penalty, w)]


@each_penalty
def test_nothing_requires_grad_of_itself(cases: list[Case]) -> None:
    for case in each(cases):
        w = torch.ones(case.shape, requires_grad=True)
        step = torch.ones(case.shape)
        case.penalty.prox(w, step)
        case.penalty.gradient(w)
        assert (w.requires_grad, w.grad, step.requires_grad) == (True, None, False)


@each_penalty
def test_16_bits_are_32_rounded_once(cases: list[Case]) -> None:
    for case in each(cases):
        for flavour in HALF:
            w = flavour.array(some_weights(case.shape))
            wide = Flavour(flavour.library, "float32").array(plain(w))
            assert float(case.penalty.value(w)) == float(case.penalty.value(wide))
            pairs = zip(results(case.penalty, w), results(case.penalty, wide), strict=True)
            for half, single in pairs:
                np.testing.assert_array_equal(plain(half), plain(flavour.array(plain(single))))


@each_penalty
def test_integers_count_as_floats(cases: list[Case]) -> None:
    for case in each(cases):
        for flavour in WHOLE:
            w = flavour.array(np.arange(np.prod(case.shape)).reshape(case.shape) % 3)
            double = Flavour(flavour.library, "float64").array(plain(w))
            flavour.check_close(case.penalty.value(w), case.penalty.value(double))
            pairs = zip(results(case.penalty, w), results(case.penalty, double), strict=True)
            for of_whole, of_double in pairs:
                flavour.check_close(of_whole, of_double)


@each_penalty
@given(data=st.data())
def test_complex_numbers_count_by_their_modulus(cases: list[Case], data: st.DataObject) -> None:
    for case, w, step in draw(data, cases, steps):
        modulus, phase = np.abs(w), np.exp(1j * w[::-1])
        for flavour, real in zip(COMPLEX, FLAVOURS, strict=True):
            turned = flavour.array(modulus * phase)
            flavour.check_close(case.penalty.value(turned), case.penalty.value(modulus))
            flavour.check_close(
                case.penalty.gradient(turned), phase * case.penalty.gradient(modulus)
            )
            expected = phase * case.penalty.prox(modulus, step)
            flavour.check_close(case.penalty.prox(turned, real.step(step)), expected)


@each_kind(lambda case: not isinstance(case.penalty, Toward))
def test_complex_weights_turn_with_their_prox(cases: list[Case]) -> None:
    for case in each(cases):
        if any(isinstance(term, Box | NonNegative | Simplex) for term in terms(case.penalty)):
            continue  # which are for real weights
        w = np.linspace(-2, 2, np.prod(case.shape)).reshape(case.shape)
        turn = np.exp(0.7j)
        np.testing.assert_allclose(case.penalty(turn * w), case.penalty(w), rtol=1e-9)
        turned = case.penalty.prox(turn * w, 0.5)
        np.testing.assert_allclose(turned, turn * case.penalty.prox(w, 0.5), atol=1e-9)


@pytest.mark.parametrize("penalty", FIT_ANY, ids=str)
def test_empty_arrays(penalty: Any) -> None:
    for flavour in each(REAL):
        for shape in [(0,), (0, 2), (2, 0), (2, 0, 4), (0, 0)]:
            w = flavour.array(np.zeros(shape))
            assert float(penalty.value(w)) == 0
            for result in results(penalty, w):
                assert (result.shape, result.dtype) == (w.shape, w.dtype)


@pytest.mark.parametrize("penalty", FIT_ANY, ids=str)
def test_a_single_number(penalty: Any) -> None:
    for flavour in each(FLAVOURS):
        alone, line = flavour.array(2.0), flavour.array([2.0])
        flavour.check_close(penalty.value(alone), penalty.value(line))
        for of_alone, of_line in zip(results(penalty, alone), results(penalty, line), strict=True):
            assert (of_alone.shape, of_alone.dtype) == ((), alone.dtype)
            flavour.check_close(of_alone, of_line[0])


@each_penalty
def test_strided_views(cases: list[Case]) -> None:
    for case in each(cases):
        w = some_weights(case.shape)
        for view in (np.asfortranarray(w), torch.from_numpy(np.asfortranarray(w))):
            pairs = zip(results(case.penalty, view), results(case.penalty, w), strict=True)
            for of_view, of_own in pairs:
                np.testing.assert_allclose(plain(of_view), of_own, atol=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_norm_of_huge_and_tiny_groups(library: str) -> None:
    unit = np.array([[0.6, -0.25], [0.0, 0.5]], dtype=np.float32)
    flavour = Flavour(library, "float32")
    for size in each([1e30, 1e-30, 3e38]):
        w = flavour.array(unit * np.float32(size))
        for groups in ("out", "in", [[0, 1, 2], [3]]):
            penalty = GroupLasso(0.125, groups, weight="none")
            value = plain(penalty.value(w)) / size
            np.testing.assert_allclose(value, penalty.value(unit), rtol=1e-5)
            np.testing.assert_allclose(
                plain(penalty.gradient(w)), penalty.gradient(unit), atol=1e-6
            )
            for t in (size, min(size, 1e37) * flavour.array(np.ones((2, 2)))):
                shrunk = plain(penalty.prox(w, t)) / size
                expected = penalty.prox(unit, float(np.max(plain(t))) / size)
                np.testing.assert_allclose(shrunk, expected, atol=1e-5)


def test_huge_and_tiny_weights_stay_finite() -> None:
    for flavour in each(FLAVOURS):
        w = flavour.array([[1e30, -1e30], [1e-30, -1e-30]])
        for penalty in (*FIT_ANY[:4], L1(0.5) + GroupLasso(0.5)):
            for result in results(penalty, w):
                assert np.isfinite(plain(result)).all(), penalty
        assert float(L1(0.5).value(w)) == pytest.approx(1e30)


@each_penalty
def test_nan_is_never_hidden(cases: list[Case]) -> None:
    for case in each(cases):
        values = np.full(case.shape, 0.01)
        values[-1] = np.nan
        lost = np.isnan(values)
        for flavour in FLAVOURS:
            w = flavour.array(values)
            gradient, *moved = results(case.penalty, w)
            for result in moved:
                assert np.isnan(plain(result)[lost]).all()
            if case.penalty.gradient(np.ones(case.shape)).all():  # every entry has a penalty
                assert np.isnan(float(case.penalty.value(w)))
                assert np.isnan(plain(gradient)[lost]).all()


@each_kind(lambda case: case.takes_metric)  # a matrix with a NaN has no singular values
def test_the_prox_of_nan_is_nan(cases: list[Case]) -> None:
    for case in each(cases):
        w = np.ones(case.shape)
        w.flat[1] = np.nan
        for step in (0.5, np.full(case.shape, 0.5)):
            assert np.isnan(np.asarray(case.penalty.prox(w, step)).flat[1])


def test_what_is_flat_far_from_zero_has_no_value_at_nan() -> None:
    for penalty in each([MCP(0.5), SCAD(0.5), CappedL1(0.5, theta=1.0), LogSum(0.5)]):
        assert np.isnan(float(penalty(np.array([1.0, np.nan, 5.0]))))
        assert np.isfinite(float(penalty(np.array([1.0, 5.0]))))


def test_groups_that_do_not_fit() -> None:
    for penalty, shape, message in each(BAD_SHAPES):
        for library in ("numpy", "torch"):
            w = Flavour(library, "float32").array(np.ones(shape))
            for of in (penalty.value, penalty.gradient, penalty.group_zeros):
                with pytest.raises(ValueError) as error:  # noqa: PT011 - the next line matches it
                    of(w)
                assert message in str(error.value)


def test_what_is_no_array() -> None:
    one, group = L1(1), GroupLasso(1)
    for what in each([[1.0, 2.0], 3.0, "w", None]):
        for of in (one.value, one.gradient, lambda w: one.prox(w, 0.1), group.group_zeros):
            with pytest.raises(TypeError, match=r"w must be an array \(NumPy, torch, ...\), got "):
                of(what)
