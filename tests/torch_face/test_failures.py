"""Failures that really happened in other people's regularizers; none of them happens here."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from grid import covering
from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.torch import SGDW, Regularizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def names(regularizer: Regularizer) -> set[str]:
    return {name for name, _ in regularizer.named_parameters()}


def one_weight(value: float, count: int = 1) -> nn.ParameterDict:
    return nn.ParameterDict({"w": nn.Parameter(torch.full((1, count), value).double())})


def test_01_the_penalty_is_not_zero_from_the_second_call_on() -> None:
    regularizer = Regularizer(network(), L1(1.0))
    assert regularizer.penalty().item() == regularizer.penalty().item() > 0


def test_02_the_penalty_has_a_gradient() -> None:
    model = network()
    Regularizer(model, L2(1.0)).penalty().backward()
    assert torch.equal(model[0].weight.grad, 2 * model[0].weight)


@pytest.mark.parametrize("how", ["loss", "coupled", "decoupled", "proximal"])
def test_03_every_layer_is_reached_not_the_first_alone(how: str) -> None:
    model = network()
    regularizer = Regularizer(model, L1(1.0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = [model[layer].weight.detach().abs().sum() for layer in (0, 2, 4)]
    if how == "loss":
        regularizer.penalty().backward()
    else:
        regularizer.attach(optimizer, how=how)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for layer, size in zip((0, 2, 4), before, strict=True):
        assert model[layer].weight.abs().sum() < size - 0.01


@pytest.mark.parametrize("norm", [1, 2])
def test_04_a_negative_weight_shrinks_as_a_positive_one_does(norm: int) -> None:
    w = nn.Parameter(torch.tensor([1.0, -1.0]))
    w.grad = torch.zeros(2)
    SGDW([w], lr=0.1, weight_decay=0.1, weight_norm=norm).step()
    assert w.tolist() == pytest.approx([0.9, -0.9])


def test_05_the_data_loss_is_not_rescaled() -> None:
    model = one_weight(1.0)
    loss = 3.0 * model["w"].sum()
    penalty = Regularizer(model, L1(0.25) + GroupLasso(0.5)).penalty(like=loss)
    assert (loss + penalty).item() == pytest.approx(3.0 + 0.25 + 0.5)
    (loss + penalty).backward()
    assert model["w"].grad.item() == pytest.approx(3.0 + 0.25 + 0.5)


def test_06_no_name_list_decides_what_a_normalization_or_a_bias_is() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList(
                [nn.BatchNorm2d(3), nn.LayerNorm((2, 3)), nn.GroupNorm(1, 3)]
            )
            self.gained = parametrizations.weight_norm(nn.Linear(3, 3))
            self.relative_attention_bias = nn.Embedding(8, 2)

    expected = {"gained.parametrizations.weight.original1", "relative_attention_bias.weight"}
    assert names(Regularizer(Model(), L2(0.1))) == expected


def test_07_a_parameter_twice_in_a_group_shrinks_once() -> None:
    model = one_weight(1.0)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = torch.optim.SGD([model["w"], model["w"]], lr=0.1)
    Regularizer(model, L2(0.5)).attach(optimizer, how="decoupled")
    model["w"].grad = torch.zeros(1, 1).double()
    optimizer.step()
    assert model["w"].item() == pytest.approx(0.9)


def test_08_adams_first_threshold_has_the_bias_correction() -> None:
    model = one_weight(1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    model["w"].grad = torch.ones(1, 1).double()
    optimizer.step()
    assert 1.0 - 1e-3 - model["w"].item() == pytest.approx(1e-4, rel=1e-6)  # not 3.2e-3


@pytest.mark.parametrize("how", ["decoupled", "proximal"])
def test_09_l1_does_not_cross_zero_and_oscillate(how: str) -> None:
    model = one_weight(0.07)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Regularizer(model, L1(0.5)).attach(optimizer, how=how)
    trail = []
    for _ in range(5):
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
        trail.append(model["w"].item())
    assert trail == [pytest.approx(0.02), 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("way", "penalty"),
    covering(
        product(["coupled", "decoupled", "proximal"], [torch.optim.SGD, torch.optim.Adam]),
        [GroupLasso(0.1), GroupLasso(0.1, "in"), L1(0.1)],
    ),
)
@pytest.mark.usefixtures("torch_operations")
def test_10_dead_groups_make_no_nan(way: tuple[str, Any], penalty: Penalty) -> None:
    how, make = way
    model = nn.Linear(3, 4)
    nn.init.zeros_(model.weight)
    optimizer = make(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, penalty)
    regularizer.attach(optimizer, how=how)
    for _ in range(3):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert (model.weight == 0).all()
    assert regularizer.value() == 0.0


def test_11_a_group_whose_sum_is_zero_is_not_dead() -> None:
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    found = Regularizer(model, GroupLasso(0.1)).sparsity().parameters["weight"]
    assert (found.dead_groups, found.zeros) == (1, 2)


def test_12_a_float32_sum_of_many_entries_is_accurate() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((4096, 4096), 0.1))})
    exact = 4096 * 4096 * float(torch.tensor(0.1))
    assert Regularizer(model, L1(1.0)).value() == pytest.approx(exact, rel=1e-6)
    assert Regularizer(model, L1(1.0)).penalty().item() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("how", "penalty"),
    covering(
        ["coupled", "decoupled", "proximal"],
        [L1(0.0), L2(0.0), GroupLasso(0.0), L1(0) + GroupLasso(0)],
    ),
)
@pytest.mark.usefixtures("torch_operations")
def test_13_a_strength_of_zero_is_the_identity(how: str, penalty: Penalty) -> None:
    model = nn.Linear(3, 4)
    with torch.no_grad():
        model.weight[0] = 0.0
    before = model.weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    Regularizer(model, penalty).attach(optimizer, how=how)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.usefixtures("torch_operations")
def test_14_accumulated_and_scaled_gradients_are_penalized_once_and_unscaled(how: str) -> None:
    def run(parts: int, scale: float) -> Tensor:
        model = one_weight(10.0, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        Regularizer(model, L1(0.5) + L2(0.1)).attach(optimizer, how=how)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=scale != 1.0)
        for _ in range(parts):
            scaler.scale(model["w"].sum() / parts).backward()
        scaler.step(optimizer)
        return model["w"].detach()

    assert torch.allclose(run(1, 1.0), run(4, 1.0))
    assert torch.allclose(run(1, 1.0), run(4, 1024.0))
    assert (10.0 - run(1, 1.0) - 0.1).min() > 0.04
