"""Every kind of array: types, shapes, empty ones, huge and tiny numbers, NaN."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import BAD_SHAPES, FREE, PENALTIES, Case
from flavours import FLAVOURS, Flavour, plain, steps, weights
from shrinkage import L1, L2, ElasticNet, GroupLasso
from shrinkage.penalties.layout import Layout

HALF = [
    Flavour("numpy", "float16"),
    Flavour("torch", "float16"),
    Flavour("torch", "bfloat16"),
]
REAL = [*FLAVOURS, *HALF]
COMPLEX = [Flavour(lib, kind) for lib in ("numpy", "torch") for kind in ("complex64", "complex128")]
WHOLE = [Flavour(lib, kind) for lib in ("numpy", "torch") for kind in ("int32", "uint8", "bool")]

every_case = pytest.mark.parametrize("case", PENALTIES, ids=str)
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


@every_case
@pytest.mark.parametrize("flavour", [*REAL, *COMPLEX], ids=str)
def test_same_type_shape_and_device_and_w_untouched(case: Case, flavour: Flavour) -> None:
    w = flavour.array(some_weights(case.shape))
    before = plain(w).copy()
    for result in results(case.penalty, w):
        assert type(result) is type(w)
        assert (result.shape, result.dtype, result.device) == (w.shape, w.dtype, w.device)
        assert memory(result) != memory(w)  # to change it changes nothing else
    case.penalty.value(w)
    np.testing.assert_array_equal(plain(w), before)


def memory(a: Any) -> int:
    return a.data_ptr() if isinstance(a, torch.Tensor) else a.ctypes.data


@pytest.mark.parametrize("penalty", FREE, ids=str)
@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_what_changes_nothing_still_makes_a_new_array(penalty: Any, flavour: Flavour) -> None:
    w = flavour.array(some_weights((4, 4)))
    assert memory(w) not in [memory(result) for result in results(penalty, w)]


@every_case
def test_nothing_requires_grad_of_itself(case: Case) -> None:
    w = torch.ones(case.shape, requires_grad=True)
    step = torch.ones(case.shape)
    case.penalty.prox(w, step)
    case.penalty.gradient(w)
    assert (w.requires_grad, w.grad, step.requires_grad) == (True, None, False)


@every_case
@pytest.mark.parametrize("flavour", HALF, ids=str)
def test_16_bits_are_32_rounded_once(case: Case, flavour: Flavour) -> None:
    w = flavour.array(some_weights(case.shape))
    wide = Flavour(flavour.library, "float32").array(plain(w))
    assert float(case.penalty.value(w)) == float(case.penalty.value(wide))
    for half, single in zip(results(case.penalty, w), results(case.penalty, wide), strict=True):
        np.testing.assert_array_equal(plain(half), plain(flavour.array(plain(single))))


@every_case
@pytest.mark.parametrize("flavour", WHOLE, ids=str)
def test_integers_count_as_floats(case: Case, flavour: Flavour) -> None:
    w = flavour.array(np.arange(np.prod(case.shape)).reshape(case.shape) % 3)
    double = Flavour(flavour.library, "float64").array(plain(w))
    flavour.close(case.penalty.value(w), case.penalty.value(double))
    for of_whole, of_double in zip(
        results(case.penalty, w), results(case.penalty, double), strict=True
    ):
        flavour.close(of_whole, of_double)


@every_case
@given(data=st.data())
def test_complex_numbers_count_by_their_modulus(case: Case, data: st.DataObject) -> None:
    modulus = np.abs(data.draw(weights(case.shape)))
    phase = np.exp(1j * data.draw(weights(case.shape)))
    step = data.draw(steps(case.shape))
    for flavour, real in zip(COMPLEX, FLAVOURS, strict=True):
        w = flavour.array(modulus * phase)
        flavour.close(case.penalty.value(w), case.penalty.value(modulus))
        flavour.close(case.penalty.gradient(w), phase * case.penalty.gradient(modulus))
        expected = phase * case.penalty.prox(modulus, step)
        flavour.close(case.penalty.prox(w, real.step(step)), expected)


@pytest.mark.parametrize("penalty", FIT_ANY, ids=str)
@pytest.mark.parametrize("flavour", REAL, ids=str)
@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0), (2, 0, 4), (0, 0)], ids=str)
def test_empty_arrays(penalty: Any, flavour: Flavour, shape: tuple[int, ...]) -> None:
    w = flavour.array(np.zeros(shape))
    assert float(penalty.value(w)) == 0
    for result in results(penalty, w):
        assert (result.shape, result.dtype) == (w.shape, w.dtype)


@pytest.mark.parametrize("penalty", FIT_ANY, ids=str)
@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_a_single_number(penalty: Any, flavour: Flavour) -> None:
    alone, line = flavour.array(2.0), flavour.array([2.0])
    flavour.close(penalty.value(alone), penalty.value(line))
    for of_alone, of_line in zip(results(penalty, alone), results(penalty, line), strict=True):
        assert (of_alone.shape, of_alone.dtype) == ((), alone.dtype)
        flavour.close(of_alone, of_line[0])


@every_case
def test_strided_views(case: Case) -> None:
    w = some_weights(case.shape)
    for views in (np.asfortranarray(w), torch.from_numpy(np.asfortranarray(w))):
        for of_view, of_own in zip(
            results(case.penalty, views), results(case.penalty, w), strict=True
        ):
            np.testing.assert_allclose(plain(of_view), of_own, atol=1e-12)


@pytest.mark.parametrize("size", [1e30, 1e-30, 3e38])
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("groups", ["out", "in", [[0, 1, 2], [3]]], ids=str)
def test_the_norm_of_huge_and_tiny_groups(size: float, library: str, groups: Any) -> None:
    unit = np.array([[0.6, -0.25], [0.0, 0.5]], dtype=np.float32)
    w = Flavour(library, "float32").array(unit * np.float32(size))
    penalty, step = GroupLasso(0.125, groups, weight="none"), Flavour(library, "float32")
    np.testing.assert_allclose(plain(penalty.value(w)) / size, penalty.value(unit), rtol=1e-5)
    np.testing.assert_allclose(plain(penalty.gradient(w)), penalty.gradient(unit), atol=1e-6)
    for t in (size, min(size, 1e37) * step.array(np.ones((2, 2)))):
        shrunk = plain(penalty.prox(w, t)) / size
        expected = penalty.prox(unit, float(np.max(plain(t))) / size)
        np.testing.assert_allclose(shrunk, expected, atol=1e-5)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_huge_and_tiny_weights_stay_finite(flavour: Flavour) -> None:
    w = flavour.array([[1e30, -1e30], [1e-30, -1e-30]])
    for penalty in (L1(0.5), L2(0.5), ElasticNet(0.5), GroupLasso(0.5), L1(0.5) + GroupLasso(0.5)):
        for result in results(penalty, w):
            assert np.isfinite(plain(result)).all(), penalty
    assert float(L1(0.5).value(w)) == pytest.approx(1e30)


@every_case
@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_nan_is_never_hidden(case: Case, flavour: Flavour) -> None:
    values = np.full(case.shape, 0.01)
    values[-1] = np.nan
    lost = np.isnan(values)
    w = flavour.array(values)
    gradient, *moved = results(case.penalty, w)
    for result in moved:
        assert np.isnan(plain(result)[lost]).all()
    if case.penalty.gradient(np.ones(case.shape)).all():  # every entry has a penalty
        assert np.isnan(float(case.penalty.value(w)))
        assert np.isnan(plain(gradient)[lost]).all()


@pytest.mark.parametrize(("penalty", "shape", "message"), BAD_SHAPES, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_groups_that_do_not_fit(
    penalty: Any, shape: tuple[int, ...], message: str, library: str
) -> None:
    w = Flavour(library, "float32").array(np.ones(shape))
    for of in (penalty.value, penalty.gradient, penalty.group_zeros):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the next line matches it
            of(w)
        assert message in str(error.value)


@pytest.mark.parametrize("what", [[1.0, 2.0], 3.0, "w", None])
def test_what_is_no_array(what: Any) -> None:
    for of in (
        L1(1).value,
        L1(1).gradient,
        lambda w: L1(1).prox(w, 0.1),
        GroupLasso(1).group_zeros,
    ):
        with pytest.raises(TypeError, match=r"w must be an array \(NumPy, torch, ...\), got "):
            of(what)
