"""Penalties of one's own with a scalar form: the loops do to them what torch operations do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, Penalty, Traits
from shrinkage.penalties.scalars import ScalarForm
from shrinkage.torch import SGD, Adam, Regularizer


def below_zero_prox(z, s, a, b):  # type: ignore[no-untyped-def]
    zero = type(z)(0.0)
    return z if z >= zero else (z + s * a if z + s * a < zero else zero)


def below_zero_gradient(w, a, b):  # type: ignore[no-untyped-def]
    return -a if w < type(w)(0.0) else type(w)(0.0)


BELOW_ZERO = ScalarForm("below zero", prox=below_zero_prox, gradient=below_zero_gradient)


@dataclass(frozen=True, repr=False)
class BelowZero(Penalty):
    """lam·Σ max(−w, 0), whose decoupled step stops at 0."""

    lam: float
    traits = Traits(pulls_to_zero=True)

    def _entries(self, xp: Any, w: Any) -> Any:
        return self.lam * xp.clip(-w, 0.0, None)

    def _gradient(self, xp: Any, w: Any) -> Any:
        return xp.where(w < 0, -self.lam, 0.0) * xp.ones_like(w)

    def _prox(self, xp: Any, w: Any, step: Any) -> Any:
        return xp.where(w < 0, xp.clip(w + step * self.lam, None, 0.0), w)

    def _scalar_form(self) -> Any:
        return BELOW_ZERO, (self.lam, 0.0)


class CrossesZero(BelowZero):
    """The same, whose decoupled step does not stop at 0."""

    traits = Traits()


def step_inside(kind: Any, penalty: Penalty, how: str, start: float, **options: Any) -> Any:
    w = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = kind([w], penalty=penalty, how=how, **options)
    w.grad = torch.full_like(w, -1e-3)
    optimizer.step()
    return w.item(), optimizer.engine_report()


def step_attached(kind: Any, penalty: Penalty, how: str, start: float, **options: Any) -> float:
    model = nn.ParameterDict({"w": torch.tensor([start], dtype=torch.float64)})
    optimizer = kind(model.parameters(), **options)
    Regularizer(model, penalty, on="all").attach(optimizer, how=how)
    model["w"].grad = torch.full((1,), -1e-3, dtype=torch.float64)
    optimizer.step()
    return float(model["w"].item())


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [BelowZero(1.0), L1(1.0)])
def test_a_prox_that_is_no_bound_moves_by_twice_the_learning_rate_at_most(
    penalty: Penalty,
) -> None:
    """A gradient of 1e-3 makes Adam's own step 10, so the prox alone would go all the way to 0.

    The line that caps the penalty of one's own is compiled in SGD below, where the cap is infinite.
    """
    with nullcontext() if isinstance(penalty, L1) or FULL else plain_loops():
        after, report = step_inside(Adam, penalty, "proximal", -5.0, lr=0.01)
    assert len(report.in_one_pass) == 1
    assert after == pytest.approx(-5.0 + 0.01 + 2 * 0.01, abs=1e-6)


CASES: list[tuple[type[Penalty], str]] = [
    (BelowZero, "coupled"),
    (BelowZero, "decoupled"),
    (BelowZero, "proximal"),
    (CrossesZero, "decoupled"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("penalty", "how"), CASES)
@pytest.mark.parametrize("start", [-5.0, -0.01, 0.3])
def test_what_is_inside_equals_what_is_attached(
    penalty: Callable[[float], Penalty], how: str, start: float
) -> None:
    """What is coupled has the gradient that is compiled where it is decoupled."""
    with plain_loops() if how == "coupled" else nullcontext():
        inside, _ = step_inside(SGD, penalty(1.0), how, start, lr=0.1)
        attached = step_attached(torch.optim.SGD, penalty(1.0), how, start, lr=0.1)
    assert inside == pytest.approx(attached, abs=1e-12)


def test_what_crosses_zero_is_left_to_torch_operations() -> None:
    after, report = step_inside(SGD, CrossesZero(1.0), "decoupled", -0.01, lr=0.1)
    assert len(report.by_torch) == 1
    assert after == pytest.approx(-0.01 + 0.1 + 0.1 * 1e-3)


def prox_with_a_closure(z, s, a, b):  # type: ignore[no-untyped-def]
    moved = lambda by: z + by * a  # noqa: E731
    return z if z >= 0.0 else min(moved(s), 0.0)


def prox_with_a_comprehension(z, s, a, b):  # type: ignore[no-untyped-def]
    return z if z >= 0.0 else min(z + sum([s * a / 2.0 for _ in range(2)]), 0.0)


def prox_with_an_error(z, s, a, b):  # type: ignore[no-untyped-def]
    if s < 0.0:
        raise ValueError(f"the step must be at least 0, got {s}")
    return z if z >= 0.0 else min(z + s * a, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prox", [prox_with_a_closure, prox_with_a_comprehension, prox_with_an_error]
)
def test_it_may_be_written_in_any_python_that_numba_compiles(prox: Callable[..., Any]) -> None:
    class Own(BelowZero):
        def _scalar_form(self) -> Any:
            return ScalarForm(prox.__name__, prox=prox, gradient=below_zero_gradient), (0.1, 0.0)

    moved, report = step_inside(SGD, Own(0.1), "proximal", -0.5, lr=0.1)
    assert report.in_one_pass
    assert abs(moved - (-0.4899)) < 1e-12
