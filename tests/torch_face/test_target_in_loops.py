"""A wanted share of zeros in the loops that people write: its ramp counts steps that were made."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

import shrinkage.torch
from shrinkage import L0, L1, Penalty
from shrinkage.torch import Regularizer

X = torch.linspace(-1, 1, 48).view(8, 6).sin().double()
SHARE, STEPS = 0.8, 8
COUNT = L0(1.0)
MAKES: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "our Adam": lambda p: shrinkage.torch.Adam(p, lr=0.01),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 5)).double()


def attached(
    make: Callable[[Any], torch.optim.Optimizer], penalty: Any = COUNT, **options: Any
) -> tuple[Any, Any, Regularizer]:
    model = network()
    optimizer, regularizer = make(model.parameters()), Regularizer(model, penalty)
    options = {"target": SHARE, "target_steps": STEPS, "target_floor": 0.0} | options
    regularizer.attach(optimizer, how="proximal", **options)
    return model, optimizer, regularizer


def loss_of(model: nn.Module, rows: slice = slice(None)) -> Tensor:
    return (model(X[rows]) - X[rows, :5] ** 2).square().mean()


def wanted(step: int, units: int = 220) -> int:
    return round(SHARE * (1 - (1 - min(step / STEPS, 1.0)) ** 3) * units)


@pytest.mark.quick_where(name=["SGD", "Adam"], penalty=[L1(1e-3)])
@pytest.mark.filterwarnings("ignore:target:UserWarning")
@pytest.mark.parametrize("penalty", [L0(1.0), L1(1e-3)], ids=str)
@pytest.mark.parametrize("name", MAKES)
def test_accumulated_gradients_make_one_step(penalty: Penalty, name: str) -> None:
    results = []
    for parts in ([slice(None)], [slice(0, 4), slice(4, 8)]):
        model, optimizer, regularizer = attached(MAKES[name], penalty)
        for _ in range(STEPS + 2):
            optimizer.zero_grad()
            for part in parts:
                (loss_of(model, part) / len(parts)).backward()
            optimizer.step()
        assert regularizer.sparsity().zeros == wanted(STEPS)
        results.append([w.detach() == 0 for w in model.parameters()])
        regularizer.release()
    differing = sum(int((a != b).sum()) for a, b in zip(*results, strict=True))
    assert differing <= 4  # the two sums of gradients differ in their last bits


@pytest.mark.filterwarnings("ignore:target:UserWarning")
@pytest.mark.parametrize("penalty", [L0(1.0), L1(1e-3)], ids=str)
@pytest.mark.parametrize("name", MAKES)
@pytest.mark.usefixtures("torch_operations")
def test_a_step_that_amp_skips_does_not_count(penalty: Penalty, name: str) -> None:
    model, optimizer, regularizer = attached(MAKES[name], penalty)
    scaler = GradScaler("cpu", init_scale=8.0)
    made = 0
    for number in range(STEPS + 4):
        optimizer.zero_grad()
        scaler.scale(loss_of(model)).backward()
        is_spoiled = number in (2, 5, STEPS + 1)  # on the ramp twice, and where it would end
        if is_spoiled:
            model[2].bias.grad[0] = torch.inf
        before, factor = regularizer.sparsity().zeros, regularizer.factor
        scaler.step(optimizer)
        scaler.update()
        made += not is_spoiled
        if is_spoiled:
            assert (regularizer.sparsity().zeros, regularizer.factor) == (before, factor)
        elif penalty == L0(1.0):
            assert regularizer.sparsity().zeros == wanted(made)
        assert ("reached" in repr(regularizer)) is (made >= STEPS)
    assert regularizer.sparsity().zeros == wanted(STEPS)
    regularizer.release()


@pytest.mark.filterwarnings("ignore:target:UserWarning")
@pytest.mark.parametrize("penalty", [L0(1.0), L1(1e-3)], ids=str)
@pytest.mark.parametrize("name", ["Adam", "our Adam"])
@pytest.mark.usefixtures("torch_operations")
def test_a_step_that_moves_nothing_does_not_count(penalty: Penalty, name: str) -> None:
    """As where a loop skips a batch and steps all the same, also where the ramp would end."""
    model, optimizer, regularizer = attached(MAKES[name], penalty)
    for number in range(STEPS + 3):
        optimizer.zero_grad(set_to_none=True)
        if number not in (3, STEPS - 1, STEPS):
            loss_of(model).backward()
        optimizer.step()
    assert regularizer.sparsity().zeros == wanted(STEPS)
    regularizer.release()


@pytest.mark.usefixtures("torch_operations")
def test_the_last_step_waits_for_all_goals() -> None:
    """One optimizer that moves two halves of a model in turn."""
    model, optimizer, regularizer = attached(
        MAKES["Adam"], target={"0*": SHARE, "2*": 0.5}, target_steps=3
    )
    for number in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        half = model[0] if number % 2 else model[2]
        gradients = torch.autograd.grad(loss_of(model), list(half.parameters()))
        for w, gradient in zip(half.parameters(), gradients, strict=True):
            w.grad = gradient
        optimizer.step()
    rows = regularizer.sparsity().parameters
    assert (rows["0.weight"].zeros, rows["2.weight"].zeros) == (wanted(STEPS, 120), 50)
    regularizer.release()


def test_groups_of_an_optimizer_have_their_own_steps() -> None:
    """With a tenth of the learning rate a weight is worth ten times as much."""
    model = network()
    groups = [
        {"params": model[0].parameters(), "lr": 0.1},
        {"params": model[2].parameters(), "lr": 0.01},
    ]
    optimizer, regularizer = torch.optim.SGD(groups), Regularizer(model, L0(1.0))
    regularizer.attach(optimizer, "proximal", target=0.4, target_steps=1, target_floor=0.0)
    loss_of(model).backward()
    twin, lrs = network(), [0.1, 0.1, 0.01, 0.01]
    with torch.no_grad():
        for w, moved, lr in zip(twin.parameters(), model.parameters(), lrs, strict=True):
            w -= lr * moved.grad
    worth = [twin[0].weight.square() / 0.2, twin[2].weight.square() / 0.02]
    threshold = torch.cat([each.flatten() for each in worth]).sort()[0][88 - 1]
    optimizer.step()
    for each, w in zip(worth, [model[0].weight, model[2].weight], strict=True):
        assert torch.equal(w == 0, each <= threshold)
    assert int((model[0].weight == 0).sum()) > int((model[2].weight == 0).sum()) > 0
    regularizer.release()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("SGD", 120), ("Adam", 250)])
@pytest.mark.usefixtures("torch_operations")
def test_the_strength_that_was_found_serves_a_run_without_a_target(name: str, steps: int) -> None:
    """A linear model, whose objective has one minimum."""
    torch.manual_seed(1)
    x = torch.randn(200, 40)
    y = x @ (torch.randn(40) * torch.linspace(0, 1, 40) ** 3) + 0.5 * torch.randn(200)
    zeros, factor = [], 1.0
    for is_led in (True, False):
        model = nn.Linear(40, 1, bias=False)
        nn.init.zeros_(model.weight) if not is_led else nn.init.normal_(model.weight)
        optimizer, regularizer = MAKES[name](model.parameters()), Regularizer(model, L1(0.01))
        regularizer.factor = factor
        options = {"target": 0.6, "target_steps": steps} if is_led else {}
        regularizer.attach(optimizer, how="proximal", **options)
        for _ in range(steps + 60):
            optimizer.zero_grad()
            (model(x)[:, 0] - y).square().mean().backward()
            optimizer.step()
        zeros.append(regularizer.sparsity().zeros)
        factor = regularizer.factor
        regularizer.release()
    assert zeros[0] == 24
    assert zeros[1] == pytest.approx(24, abs=3)
