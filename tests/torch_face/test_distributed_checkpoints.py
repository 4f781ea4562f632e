"""Regularizers travel through torch.distributed.checkpoint, whose first step only makes state."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.optim import Optimizer

import shrinkage.torch
from shrinkage import L1, L2, NonNegative, Toward
from shrinkage.torch import RDA, Regularizer, schedules

PENALTIES = {"0*": Toward("start", L2(0.3)), "2*": L1(0.02)}
FLAT = StateDictOptions(flatten_optimizer_state_dict=True)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    x = torch.linspace(-1, 1, 12).view(4, 3).double()
    for _ in range(steps):
        (model(x) - 1).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def regularizer_of(model: nn.Module) -> Regularizer:
    return Regularizer(model, PENALTIES, schedule=schedules.linear(0.2, 1.0, 10))


def attached(make: Any, model: nn.Module, **options: Any) -> Optimizer:
    optimizer: Optimizer = make(model.parameters())
    regularizer_of(model).attach(optimizer, **options)
    return optimizer


def inside(make: Any, model: nn.Module, **options: Any) -> Optimizer:
    optimizer: Optimizer = make(model.parameters(), penalty=regularizer_of(model), **options)
    return optimizer


SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9, dampening=0.3)
ADAM = partial(torch.optim.Adam, lr=0.05)
MAKES = {
    "proximal SGD": partial(attached, SGD, how="proximal"),
    "SGD without state": partial(attached, partial(torch.optim.SGD, lr=0.05), how="coupled"),
    "coupled Adam": partial(attached, ADAM, how="coupled"),
    "decoupled Adam": partial(attached, ADAM, how="decoupled", scale="none"),
    "inside SGD": partial(
        inside, partial(shrinkage.torch.SGD, lr=0.05, momentum=0.9), how="proximal"
    ),
    "inside Adam": partial(
        inside, partial(shrinkage.torch.Adam, lr=0.05), how="decoupled", scale="none"
    ),
    "RDA": partial(inside, partial(RDA, lr=0.05)),
}


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.quick_where(options=[None])
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("options", [None, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("name", MAKES)
@pytest.mark.usefixtures("torch_operations")
def test_a_run_goes_on(name: str, options: Any, tmp_path: Path) -> None:
    model = network()
    optimizer = MAKES[name](model)
    train(model, optimizer, 3)
    states = get_state_dict(model, optimizer, options=options)
    dcp.save(dict(zip("mo", states, strict=True)), checkpoint_id=tmp_path, no_dist=True)
    train(model, optimizer, 3)

    again = network(seed=1)
    optimizer, before = MAKES[name](again), weights(again)
    loaded = dict(zip("mo", get_state_dict(again, optimizer, options=options), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights(again), before, strict=True))
    dcp.load(loaded, checkpoint_id=tmp_path, no_dist=True)
    set_state_dict(
        again,
        optimizer,
        model_state_dict=loaded["m"],
        optim_state_dict=loaded["o"],
        options=options,
    )
    train(again, optimizer, 3)
    assert all(torch.equal(a, b) for a, b in zip(weights(again), weights(model), strict=True))


@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize(
    ("penalty", "options"),
    [
        (L2(0.1), {"how": "decoupled", "scale": "none"}),
        (L1(0.1), {"how": "coupled"}),
        (NonNegative(), {"how": "proximal"}),
    ],
)
def test_the_step_that_makes_the_state_neither_counts_nor_moves(
    penalty: Any, options: dict[str, Any], is_inside: bool
) -> None:
    model = network()
    before = weights(model)
    regularizer = Regularizer(model, penalty, schedule=schedules.warmup(4))
    if is_inside:
        make = partial(shrinkage.torch.Adam, lr=0.05, penalty=regularizer)
        optimizer: Optimizer = make(model.parameters(), **options)
    else:
        optimizer = ADAM(model.parameters())
        regularizer.attach(optimizer, **options)
    state = get_optimizer_state_dict(model, optimizer)["state"]
    assert regularizer.factor == 0.0
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    assert not any(one["exp_avg"].any() for one in state.values())  # type: ignore[union-attr,index,call-overload]


@pytest.mark.parametrize("is_inside", [False, True])
def test_the_step_that_makes_the_state_leaves_momentum_empty(is_inside: bool) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    regularizer = Regularizer(model, L1(1.0))
    options = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    if is_inside:
        optimizer: Optimizer = shrinkage.torch.SGD(
            model.parameters(), penalty=regularizer, **options
        )
    else:
        optimizer = torch.optim.SGD(model.parameters(), **options)
        regularizer.attach(optimizer, "proximal")
    get_optimizer_state_dict(model, optimizer)
    for share in (0.5, 0.95):  # b ← 0.9·b + 0.5, from 0
        before = model["w"].item()
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
        assert before - model["w"].item() == pytest.approx(0.1 * share)


def test_a_first_step_of_a_warmup_counts() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    regularizer = Regularizer(model, L1(0.1), schedule=schedules.warmup(4))
    regularizer.attach(optimizer, "coupled")
    train(model, optimizer, 1)  # lr 0, but gradients
    assert regularizer.factor == 0.25


def test_a_flat_state_that_was_loaded_before_attach_is_told() -> None:
    model = network()
    optimizer = attached(ADAM, model, how="coupled")
    train(model, optimizer, 9)
    state = get_optimizer_state_dict(model, optimizer, options=FLAT)
    model = network()
    optimizer = ADAM(model.parameters())
    set_optimizer_state_dict(model, optimizer, state, options=FLAT)
    with pytest.warns(UserWarning, match="comes from a run of 9 steps and holds nothing"):
        regularizer_of(model).attach(optimizer, "coupled")
