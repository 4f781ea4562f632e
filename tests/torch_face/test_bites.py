"""It bites: each penalty under each way changes weights by its closed form, in one step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import torch

import oracles
from cases import PENALTIES, Case
from optimizer_cases import STEADY, factory
from shrinkage import L1, Penalty, Traits
from shrinkage.torch import Regularizer

TOLERANCE = 1e-10
LR = 0.1
MATRICES = [case for case in PENALTIES if len(case.shape) >= 2]


@final
@dataclass(frozen=True)
class Cubes(Penalty):
    """Somebody's own penalty, lam·Σ|w|³: neither a square nor a soft threshold."""

    lam: float
    name = "cubes"
    formula = "lam·Σ|w|³"
    is_zero = False
    traits = Traits(pulls_to_zero=True)

    def _value(self, xp: Any, w: Any) -> Any:
        return self.lam * xp.sum(xp.abs(w) ** 3)

    def _gradient(self, xp: Any, w: Any) -> Any:
        return 3 * self.lam * w * xp.abs(w)


Kind = Callable[[list[torch.Tensor]], torch.optim.Optimizer]


def plain(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=LR)


def adam(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=LR)


def one_step(
    make: Kind, case: Case, how: str | None, scale: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights and gradient before, and the weights after one step."""
    random = np.random.default_rng(0)
    w, g = random.normal(size=case.shape), random.normal(size=case.shape)
    w.flat[3] = 0.0
    model = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.tensor(w))})
    model["w"].grad = torch.tensor(g)
    optimizer = make([model["w"]])
    regularizer = Regularizer(model, case.penalty)
    if how == "loss":
        regularizer.penalty().backward()
    elif how is not None:
        regularizer.attach(optimizer, how=how, scale=scale)
    optimizer.step()
    return w, g, model["w"].detach().numpy()


def assert_bites(case: Case, make: Kind, after: np.ndarray, expected: np.ndarray) -> None:
    without = one_step(make, case, None)[2]
    assert np.abs(after - without).max() > 10 * TOLERANCE
    assert np.abs(after - expected).max() < TOLERANCE


@pytest.mark.parametrize("case", MATRICES, ids=str)
def test_in_the_gradient(case: Case) -> None:
    for how in ("loss", "coupled"):
        w, g, after = one_step(plain, case, how)
        whole = g + oracles.gradient(case.penalty, w)
        assert_bites(case, plain, after, w - LR * whole)
        # Adam's first step is lr·G/(|G| + eps): only eps and changed signs of G show the strength.
        _, _, after = one_step(adam, case, how)
        assert_bites(case, adam, after, w - LR * whole / (np.abs(whole) + 1e-8))


@pytest.mark.parametrize("case", MATRICES, ids=str)
def test_decoupled_from_the_gradient(case: Case) -> None:
    for scale, amount in ((None, LR), ("lr", LR), ("schedule", 1), ("none", 1)):
        w, g, after = one_step(plain, case, "decoupled", scale)
        assert_bites(case, plain, after, decoupled(case.penalty, w, -LR * g, amount))
    w, g, after = one_step(adam, case, "decoupled")
    move = -LR * g / (np.abs(g) + 1e-8)
    assert_bites(case, adam, after, decoupled(case.penalty, w, move, LR))


def decoupled(penalty: Penalty, w: np.ndarray, move: np.ndarray, amount: float) -> np.ndarray:
    """Squares shrink w before the move, stopping at 0; then the thresholds come after it."""
    absolute, square, groups = oracles.parts(penalty, w.shape)
    moved = w * max(0.0, 1 - 2 * amount * square) + move
    moved = np.sign(moved) * np.maximum(np.abs(moved) - amount * absolute, 0)
    for kappa, members in groups:
        shrink = max(0.0, 1 - amount * kappa / max(oracles.norm(moved, members), 1e-300))
        for index in members:
            moved[index] *= shrink
    return moved


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRICES, ids=str)
def test_proximal_in_sgd(case: Case) -> None:
    w, g, after = one_step(plain, case, "proximal")
    assert_bites(case, plain, after, oracles.prox(case.penalty, w - LR * g, LR))


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRICES, ids=str)
@pytest.mark.usefixtures("torch_operations")
def test_proximal_in_adams_metric_within_the_guard(case: Case) -> None:
    w, g, after = one_step(adam, case, "proximal")
    step = LR / (np.abs(g) + 1e-8)
    moved = w - step * g
    target = oracles.prox(case.penalty, moved, step)
    assert_bites(case, adam, after, guarded(case.penalty, moved, target, 2 * LR))


def guarded(penalty: Penalty, start: np.ndarray, target: np.ndarray, limit: float) -> np.ndarray:
    """From start to target, no entry farther than the limit; groups move in proportion."""
    move = target - start
    shares = np.minimum(1.0, limit / np.maximum(np.abs(move), 1e-300))
    for _, members in oracles.parts(penalty, start.shape)[2]:
        smallest = min(shares[index] for index in members)
        for index in members:
            shares[index] = smallest
    return start + shares * move


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRICES, ids=str)
@pytest.mark.usefixtures("torch_operations")
def test_proximal_under_momentum_counts_how_full_the_buffer_is(case: Case) -> None:
    """A constant g fills the buffer with b·g, b = 1, 1.9, 2.71: the prox's step is lr·b."""
    random = np.random.default_rng(1)
    w, g = random.normal(size=case.shape), random.normal(size=case.shape)
    model = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.tensor(w))})
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    Regularizer(model, case.penalty).attach(optimizer, how="proximal")
    for b in (1.0, 1.9, 2.71):
        model["w"].grad = torch.tensor(g)
        optimizer.step()
        without = w - LR * b * g
        w = oracles.prox(case.penalty, without, LR * b)
        assert np.abs(w - without).max() > 10 * TOLERANCE
        assert np.abs(model["w"].detach().numpy() - w).max() < TOLERANCE


# RMSprop's momentum is taken as full, Adadelta's √v as |g|: true late, not at the first steps.
@pytest.mark.parametrize("optimizer", sorted(STEADY.keys() - {"RMSprop momentum", "Adadelta"}))
@pytest.mark.usefixtures("torch_operations")
def test_the_proxs_step_is_the_optimizers_own_from_the_first_step(optimizer: str) -> None:
    """Under a constant gradient g an optimizer moves by s·g; the prox then takes s·lam more."""
    positions = []
    for lam in (0.0, 0.01):
        model = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.ones(1, 1).double() * 1e3)})
        made = factory(optimizer)(model.parameters())
        Regularizer(model, L1(lam)).attach(made, how="proximal")
        trail = []
        for _ in range(20):
            model["w"].grad = torch.full((1, 1), 0.5).double()
            made.step()
            trail.append(model["w"].item())
        positions.append(trail)
    plain_moves, moves = -np.diff(positions, prepend=1e3)
    taken = moves - plain_moves
    np.testing.assert_allclose(taken, plain_moves / 0.5 * 0.01, rtol=1e-6)  # 1e-6: of 1000


@pytest.mark.parametrize("how", ["loss", "coupled", "decoupled"])
def test_somebodys_own_penalty(how: str) -> None:
    w, g, after = one_step(plain, Case(Cubes(0.5)), how)
    decay = w - LR * 1.5 * w * np.abs(w)
    assert_bites(Case(Cubes(0.5)), plain, after, decay - LR * g)


def test_somebodys_own_penalty_stops_at_zero_when_decoupled() -> None:
    w, g, after = one_step(plain, Case(Cubes(0.5)), "decoupled", "none")
    decay = w - 1.5 * w * np.abs(w)
    crosses = decay * w < 0
    assert crosses.any()
    assert not crosses.all()
    assert_bites(Case(Cubes(0.5)), plain, after, np.where(crosses, 0.0, decay) - LR * g)


def test_somebodys_own_penalty_is_not_proximal_without_a_prox() -> None:
    with pytest.raises(ValueError, match=r"w: Cubes.*, as it defines no _prox"):
        one_step(plain, Case(Cubes(0.5)), "proximal")
