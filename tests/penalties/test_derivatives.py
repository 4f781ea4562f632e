"""What libraries that differentiate find of a value, at points where it bends as well."""

import numpy as np
import pytest
import torch

from cases import CASES as ALL
from cases import Case
from penalties.laws import each, each_kind
from shrinkage import NuclearNorm

CASES = [case for case in ALL if case.has_gradient]
FIRST_OF_A_KIND = list({type(case.penalty): case for case in reversed(CASES)}.values())


def points(case: Case) -> dict[str, np.ndarray]:
    """Away from bends; with a row of zeros; zero; all equal, where singular values are too."""
    w = np.random.default_rng(0).normal(size=case.shape)
    w = np.copysign(np.maximum(np.abs(w), 0.15), w)
    row = w.copy()
    row[0] = 0.0
    return {"some": w, "a row": row, "zero": 0.0 * w, "ones": np.ones(case.shape)}


@pytest.mark.slow
@each_kind(cases=CASES)
def test_second_derivatives_are_finite(cases: list[Case]) -> None:
    for case in each(cases):
        for w in [*points(case).values(), np.eye(4).ravel()[: np.prod(case.shape)]]:
            w = torch.tensor(np.resize(w, case.shape))
            hessian = torch.autograd.functional.hessian(case.penalty.value, w)
            assert torch.isfinite(hessian).all()
            again = torch.func.jacrev(torch.func.jacrev(case.penalty.value))(w)
            torch.testing.assert_close(again, hessian)


@pytest.mark.parametrize("w", [np.eye(3), np.diag([3.0, 2.0, 2.0]), np.ones((2, 4)) + np.eye(2, 4)])
def test_the_second_derivative_of_singular_values(w: np.ndarray) -> None:
    """Held to differences of the gradient, W·(WᵀW)^(−½) where no singular value is 0."""
    penalty, directions = NuclearNorm(0.5), np.eye(w.size).reshape(-1, *w.shape)
    slopes = [(penalty.gradient(w + 1e-5 * e) - penalty.gradient(w - 1e-5 * e)) / 2e-5
              for e in directions]  # fmt: skip
    found = torch.autograd.functional.hessian(penalty.value, torch.tensor(w))
    np.testing.assert_allclose(found.reshape(w.size, *w.shape), slopes, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("case", FIRST_OF_A_KIND, ids=str)
def test_jax_finds_the_gradient_and_second_derivatives(case: Case) -> None:
    jax = pytest.importorskip("jax")
    value = case.penalty.value
    derivatives = jax.jit(lambda w: (jax.grad(value)(w), jax.hessian(value)(w)))
    for name, w in points(case).items():
        first, second = derivatives(jax.numpy.asarray(w, dtype="float32"))
        expected = case.penalty.gradient(w)
        np.testing.assert_allclose(np.asarray(first), expected, atol=1e-5, err_msg=name)
        assert np.isfinite(second).all()
