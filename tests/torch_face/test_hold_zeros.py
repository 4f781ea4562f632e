"""What is held at zero stays there, whatever steps it, and no penalty acts meanwhile."""

import copy
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import shrinkage.torch
from fused_twins import torch_operations
from shrinkage import L1, GroupLasso, NonNegative
from shrinkage.torch import RDA, Joint, Regularizer
from shrinkage.torch.binding import held

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "SGD": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": partial(torch.optim.Adam, lr=0.1, weight_decay=0.1),
    "AdamW, fused": partial(torch.optim.AdamW, lr=0.1, fused=True),
    "RMSprop": partial(torch.optim.RMSprop, lr=0.1, momentum=0.9),
    "Rprop": partial(torch.optim.Rprop, lr=0.1),
    "our SGD": partial(shrinkage.torch.SGD, lr=0.1, momentum=0.9),
    "our Adam": partial(shrinkage.torch.Adam, lr=0.1),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight[1] = 0.0
        model[2].weight[0, 2] = 0.0
    return model


def train(model: nn.Module, optimizer: Optimizer, steps: int = 5) -> None:
    x = torch.linspace(-1, 1, 12, dtype=next(model.parameters()).dtype).view(4, 3)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()


def zeros(model: nn.Module) -> list[Tensor]:
    return [parameter.detach() == 0 for parameter in model.parameters()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("held_after", [0, 3])
def test_zeros_stay_under_an_optimizer_without_a_penalty(
    make: Callable[..., Optimizer], held_after: int
) -> None:
    model = network()
    before, optimizer = zeros(model), make(model.parameters())
    regularizer = Regularizer(model, L1(0.1))
    train(model, optimizer, held_after)
    with torch.no_grad():
        for parameter, mask in zip(model.parameters(), before, strict=True):
            parameter[mask] = 0.0
    regularizer.hold_zeros()
    regularizer.hold_zeros()
    train(model, optimizer)
    assert equal(zeros(model), before)
    regularizer.release()
    regularizer.release()
    train(model, optimizer)
    assert not any(bool(mask.any()) for mask in zeros(model))
    assert not held._hooks


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.usefixtures("torch_operations")
def test_no_penalty_acts_while_zeros_are_held(name: str, how: str, is_inside: bool) -> None:
    check_that_no_penalty_acts(name, how, is_inside)


@pytest.mark.quick_where(name=["SGD"], how=["proximal"])
@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_nor_does_it_in_compiled_loops(name: str, how: str) -> None:
    check_that_no_penalty_acts(name, how, is_inside=True, on="all")


def check_that_no_penalty_acts(name: str, how: str, is_inside: bool, on: str = "weights") -> None:
    model, plain = network().double(), network().double()
    options = {"lr": 0.1}
    ours = getattr(shrinkage.torch, name)
    regularizer = Regularizer(model, L1(0.1), on=on)
    if is_inside:
        optimizer = ours(model.parameters(), penalty=regularizer, how=how, **options)
    else:
        optimizer = getattr(torch.optim, name)(model.parameters(), **options)
        regularizer.attach(optimizer, how=how)
    regularizer.hold_zeros()
    other = ours(plain.parameters(), **options)
    alone = Regularizer(plain, L1(0.1), on=on)
    alone.hold_zeros()
    train(model, optimizer)
    with torch_operations():
        train(plain, other)
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    if on == "all":
        assert not optimizer.engine_report().by_torch
    assert regularizer.factor == 1.0
    assert "zeros are held" in repr(regularizer)
    assert "converges" not in repr(regularizer)
    regularizer.release()
    assert "zeros are held" not in repr(regularizer)
    before = [w.detach().clone() for w in model.parameters()]
    train(model, optimizer, 1)
    with torch_operations():
        train(plain, other, 1)
    assert not equal([w.detach() for w in model.parameters()], before)
    assert not torch.allclose(model[0].weight, plain[0].weight, rtol=1e-4, atol=0)
    alone.release()


@pytest.mark.usefixtures("torch_operations")
def test_a_constraint_goes_on_holding() -> None:
    model = network()
    regularizer = Regularizer(model, {"0.weight": L1(0.1), "2.weight": NonNegative()})
    with torch.no_grad():
        model[2].weight.abs_()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    regularizer.attach(optimizer, how="proximal")
    regularizer.hold_zeros()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert bool((model[2].weight >= 0).all())
    assert bool((model[0].weight[0] < 0).all())
    regularizer.release()


def test_the_penalty_in_the_loss_is_zero() -> None:
    regularizer = Regularizer(network(), L1(0.1))
    regularizer.hold_zeros()
    assert float(regularizer.penalty().detach()) == regularizer.value() == 0.0
    regularizer.release()
    assert float(regularizer.penalty().detach()) > 0


def test_dead_units_of_a_joint_keep_biases_gains_and_momentum_at_zero() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    unit = Joint("0.weight", "0.bias", "1.weight", "1.bias", "2.weight:in")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    train(model, optimizer, 2)
    with torch.no_grad():
        for entries in (model[0].weight[1], model[2].weight[:, 1]):
            entries.zero_()
        for vector in (model[0].bias, model[1].weight, model[1].bias):
            vector[1] = 0.0
    regularizer = Regularizer(model, {unit: GroupLasso(0.1)})
    regularizer.hold_zeros()
    train(model, optimizer)
    for vector in (model[0].bias, model[1].weight, model[1].bias):
        assert float(vector.detach()[1]) == 0.0
        assert float(optimizer.state[vector]["exp_avg"][1]) == 0.0
        assert float(optimizer.state[vector]["exp_avg"][0]) != 0.0
    assert not model[2].weight[:, 1].any()
    assert regularizer.sparsity().parameters[str(unit)].dead_groups == 1
    regularizer.release()


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("by", ["regularizer", "optimizer", "optimizer, then model"])
@pytest.mark.usefixtures("torch_operations")
def test_a_checkpoint_goes_on_holding(by: str) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.1))
    if by != "regularizer":
        regularizer.attach(optimizer, how="proximal")
    regularizer.hold_zeros()
    train(model, optimizer, 3)
    state = {"m": model.state_dict(), "o": optimizer.state_dict(), "r": regularizer.state_dict()}
    saved = through_a_file(state)
    train(model, optimizer, 3)

    again = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    other = torch.optim.Adam(again.parameters(), lr=0.1)
    resumed = Regularizer(again, L1(0.1))
    if by != "regularizer":
        resumed.attach(other, how="proximal")
    if by == "optimizer, then model":
        other.load_state_dict(saved["o"])
        again.load_state_dict(saved["m"])
    else:
        again.load_state_dict(saved["m"])
        other.load_state_dict(saved["o"])
    if by == "regularizer":
        resumed.load_state_dict(saved["r"])
    train(again, other, 3)
    assert equal(list(again.parameters()), list(model.parameters()))
    assert equal(zeros(again), zeros(network()))
    regularizer.release()
    resumed.release()


def test_a_state_from_before_the_zeros_were_held_releases_them() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.1))
    state = regularizer.state_dict()
    regularizer.hold_zeros()
    regularizer.load_state_dict(state)
    train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not any(bool(mask.any()) for mask in zeros(model))


def test_a_copy_holds_its_own_zeros() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.1))
    regularizer.hold_zeros()
    copied = copy.deepcopy(regularizer)
    optimizer = torch.optim.Adam(copied.model.parameters(), lr=0.1)
    train(copied.model, optimizer)
    assert equal(zeros(copied.model), zeros(network()))
    regularizer.release()
    train(copied.model, optimizer)
    assert equal(zeros(copied.model), zeros(network()))
    copied.release()


def test_other_models_and_other_optimizers_are_left_alone() -> None:
    model, other = network(), network()
    regularizer = Regularizer(model, L1(0.1))
    regularizer.hold_zeros()
    train(other, torch.optim.SGD(other.parameters(), lr=0.1))
    assert not any(bool(mask.any()) for mask in zeros(other))
    assert equal(zeros(model), zeros(network()))
    regularizer.release()


def test_rda_holds_too() -> None:
    model = network()
    regularizer = Regularizer(model, L1(1e-4))
    optimizer = RDA(model.parameters(), lr=0.1, penalty=regularizer)
    regularizer.hold_zeros()
    train(model, optimizer)
    assert equal(zeros(model), zeros(network()))
    regularizer.release()


def test_a_replaced_layer_holds_the_zeros_that_it_comes_with() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.1))
    regularizer.hold_zeros()
    model[2] = nn.Linear(4, 1)
    with torch.no_grad():
        model[2].weight[0, 3] = 0.0
    train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert int((model[2].weight == 0).sum()) == 1
    regularizer.release()
