"""Numbers near the ends of what floats hold: no square, sum or root may lose them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from penalties.laws import each
from shrinkage import (
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    L1Ball,
    L2Ball,
    LogSum,
    Lp,
    MaxNorm,
    NofM,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
    Simplex,
    Sum,
    Weighted,
)
from shrinkage.torch import SGD, Adam, Regularizer

SINGLE, DOUBLE = np.float32, np.float64
HALF = 0.5**0.5


def cubic(z: float, step: float) -> float:
    """The prox of Σ|w|³: the root of x + 3·step·x² = z."""
    return (np.sqrt(1 + 12 * step * z) - 1) / (6 * step)


EXTREMES: list[tuple[Penalty, Any, Any, type, Any]] = [
    (LogSum(0.5), [1e20], 1.0, SINGLE, [1e20]),
    (LogSum(0.5), [1e160, np.inf], 1.0, DOUBLE, [1e160, np.inf]),
    (LogSum(1.0, 1e9), [1e-9], 1e-3, DOUBLE, [9.99e-10]),
    (LogSum(1.0, 1e4), [1e-3], 0.01, SINGLE, [9.99e-4]),
    (MaxNorm(1), [[1e30, 1e30]], [[1.0, 1.0]], SINGLE, [[HALF, HALF]]),
    (MaxNorm(1e-30), [[3e-28, 4e-28]], [[1.0, 1.0]], SINGLE, [[6e-31, 8e-31]]),
    (L2Ball(1), [1e25, 1e25], [1.0, 0.5], SINGLE, [5**-0.5, 2 * 5**-0.5]),
    (NofM(), [1e-24, 1e-25, 1e-26, 1e-27], 1.0, SINGLE, [1e-24, 1e-25, 0, 0]),
    (NofM(), [1e30, 1e29, 1e20, 1e20], [1.0] * 4, SINGLE, [1e30, 1e29, 0, 0]),
    (Simplex(), [1e8, 1e8], 1.0, SINGLE, [0.5, 0.5]),
    (L1Ball(1), [1e8, 1.0], 1.0, SINGLE, [1.0, 0.0]),
    (L1Ball(1), [], 1.0, SINGLE, []),
    (Lp(1.0, 3), [1e30], 1e-20, SINGLE, [cubic(1e30, 1e-20)]),
    (Lp(1.0, 3), [1e38], 1e-30, SINGLE, [cubic(1e38, 1e-30)]),
    (Orthogonality(1.0), [[1e12, 0], [0, 1e12]], 1.0, SINGLE, [[1e4, 0], [0, 1e4]]),
    (Box(-0.0, 1), [-1.0], 1.0, DOUBLE, [0.0]),
]


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_prox(make: Any) -> None:
    for penalty, w, step, kind, expected in each(EXTREMES):
        size = step if isinstance(step, float) else make(np.array(step, kind))
        found = np.asarray(penalty.prox(make(np.array(w, kind)), size))
        np.testing.assert_allclose(found, np.array(expected, kind), rtol=2e-6)
        assert not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("step", ["number", "metric"])
def test_a_projection_is_where_its_constraint_holds(step: str) -> None:
    random = np.random.default_rng(0)
    for scale, shift in ((1e4, 0.0), (1.0, 200.0), (0.1, 1000.0)):
        w = (shift + scale * random.standard_normal(1000)).astype(np.float32)
        steps = np.exp(random.standard_normal(1000)).astype(np.float32)
        for penalty in (Simplex(), L1Ball(1.0), L2Ball(1.0)):
            there = penalty.prox(w, 1.0 if step == "number" else steps)
            assert float(penalty(there)) == 0.0


ROUNDED = [MaxNorm(0.3), L1Ball(0.7), L2Ball(0.3), Box(-0.3, 0.7), Box(0.3, 0.7), Box(-0.7, -0.3)]
ROUNDED += [L1(0.01) + MaxNorm(0.3), L2(0.01) + Box(0.3, 0.7)]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("penalty", ROUNDED, ids=str)
def test_a_projection_of_16_bit_weights_is_where_its_constraint_holds(
    penalty: Penalty, kind: torch.dtype
) -> None:
    constraint = penalty.terms[-1] if isinstance(penalty, Sum) else penalty
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        w = torch.randn(3, 5, generator=random).to(kind)
        exact = penalty.prox(w.double(), 1.0)
        there = penalty.prox(w, 1.0)
        assert constraint(there.double()).item() == 0.0
        spacing = torch.finfo(kind).eps * exact.abs() + torch.finfo(kind).smallest_normal
        assert ((there.double() - exact).abs() <= spacing).all()


def test_numbers_that_the_type_does_not_hold_are_refused() -> None:
    w = np.ones((2, 2), np.float32)
    for penalty, said in (
        (L1(1e300), "lam=1e\\+300 is beyond what float32 holds, up to 3.4e\\+38"),
        (L2(1.0) + MaxNorm(1e-300), "radius=1e-300 is beyond what float32 holds"),
        (Weighted(np.ones((2, 2)), LogSum(1.0, 1e-300)), "eps=1e-300 is beyond"),
        (Box(-1e300, 1.0), "low=-1e\\+300 is beyond"),
    ):
        for act in (penalty, penalty.value, lambda w, p=penalty: p.prox(w, 1.0)):
            with pytest.raises(ValueError, match=said):
                act(w)
        assert np.isfinite(penalty.prox(w.astype(np.float64), 1.0)).all()
        with pytest.raises(ValueError, match=said):
            Regularizer(torch.nn.ParameterDict({"w": torch.ones(2, 2)}), penalty, on="all")
    assert L1(1e-300).prox(w, 1.0).tolist() == w.tolist()
    assert Box(-np.inf, 0.5).prox(w, 1.0).tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_power_near_1(kind: type) -> None:
    """Compared with bisection on x + lam·p·x^(p−1) = |z|."""
    points = np.array([1e-3, 0.3, 0.6, 1.0, 2.0, 30.0], kind)
    powers = [1e-9, 1e-7, 1e-6, 1e-4, 1e-2, 0.1]
    for above, lam in each(product(powers, (0.1, 0.5, 1.0, 5.0))):
        p = 1.0 + above
        low, high = np.zeros(6), points.astype(np.float64)
        for _ in range(200):
            middle = (low + high) / 2
            large = middle + lam * p * middle**above > points
            low, high = np.where(large, low, middle), np.where(large, middle, high)
        found = Lp(lam, p).prox(points, 1.0)
        assert np.abs(found - low).max() < (1e-5 if kind is np.float32 else 1e-10) * 30.0
        small = points <= 1.0
        assert np.abs(found - low)[small].max() < (1e-6 if kind is np.float32 else 1e-14)


def test_values_at_infinity() -> None:
    assert float(NonNegative()(np.array([np.inf, 1]))) == 0.0
    assert np.isnan(Box(-1, 1)(np.array([np.nan])))
    assert float(Box(-1, 1)(np.array([np.inf]))) == np.inf
    assert float(MaxNorm(1)(np.array([[np.inf, 1]]))) == np.inf
    assert float(NuclearNorm(1)(np.zeros((0, 3)))) == 0.0
    assert "inf" in repr(MCP(1e200))
    assert "inf" in repr(SCAD(1e200))


def test_a_matrix_that_is_not_finite_has_no_singular_values() -> None:
    """A library's own routine raises on it, or never ends."""
    entries = [np.nan, np.inf, -np.inf]
    for make, entry in each(product([np.array, torch.tensor], entries)):
        w = np.ones((3, 4), np.float32)
        w[1, 2] = entry
        for penalty in (NuclearNorm(0.1), Orthogonality(0.1)):
            assert np.isnan(np.asarray(penalty.prox(make(w), step=0.5))).all()
        assert np.isnan(float(NuclearNorm(0.1)(make(w))))
        assert np.isnan(np.asarray(NuclearNorm(0.1).gradient(make(w)))).all()


def test_a_constraint_has_no_weights() -> None:
    with pytest.raises(ValueError, match="of single entries, and no constraint, to be weighted"):
        Weighted(np.ones(2), NonNegative())


def test_an_optimizer_with_the_penalty_inside_refuses_them_too() -> None:
    for make, penalty in ((SGD, L1(1e39)), (Adam, L1(1e39)), (Adam, MaxNorm(1e-300))):
        with pytest.raises(ValueError, match=r"^0.0: .* is beyond what float32 holds"):
            make([torch.nn.Parameter(torch.ones(2, 2))], lr=0.1, penalty=penalty, how="proximal")


def test_a_strength_that_is_lost_in_rounding_changes_nothing() -> None:
    """As the exact result, rounded: 1 − 1e-46 is 1 in float32."""
    w = np.ones((2, 2), np.float32)
    assert (L1(1e-46).prox(w, 1.0) == w).all()
    assert float(L1(1e-46).value(w)) == 0.0
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = Adam([parameter], lr=0.1, penalty=L1(1e-46), how="proximal")
    parameter.grad = torch.zeros(2, 2)
    optimizer.step()
    assert (parameter == 1.0).all()
