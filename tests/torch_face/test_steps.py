"""The ways agree with each other and with torch, and touch the right weights alone."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from grid import covering
from optimizer_cases import STEADY, factory
from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer
from small_run import Make, apart, network, train

ADAM = partial(torch.optim.Adam, lr=0.01)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
FREE = [L1(0.0), L2(0), GroupLasso(0.0), L1(0) + L2(0), GroupLasso(0) + ElasticNet(0)]
PENALTIES = [L1(0.1), L2(0.1), ElasticNet(0.2), GroupLasso(0.1), L1(0.05) + GroupLasso(0.1, "in")]


@pytest.mark.parametrize(("optimizer", "penalty"), covering(STEADY, PENALTIES), ids=str)
def test_coupled_gives_the_numbers_of_the_loss(optimizer: str, penalty: Penalty) -> None:
    coupled = train(factory(optimizer), penalty, "coupled")
    assert apart(coupled, train(factory(optimizer), penalty, "loss")) < 1e-12
    assert apart(coupled, train(factory(optimizer))) > 1e-4


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"foreach": True}, {"fused": True}])
def test_decoupled_squares_are_adamw_bit_for_bit(closure: bool, options: dict[str, bool]) -> None:
    adamw = partial(torch.optim.AdamW, lr=0.01, weight_decay=0.0, **options)
    groups: Make = lambda parameters: decay_weights_alone(parameters, options)  # noqa: E731
    ours = train(adamw, L2.from_weight_decay(0.1), "decoupled", closure=closure)
    assert apart(ours, train(groups, closure=closure)) == 0.0
    assert apart(ours, train(adamw, closure=closure)) > 1e-3


def decay_weights_alone(parameters: Any, options: dict[str, bool]) -> Optimizer:
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.01, **options)


def test_coupled_squares_are_sgds_weight_decay() -> None:
    ours = train(SGD, L2.from_weight_decay(0.1), "coupled")

    def decayed(parameters: Any) -> Optimizer:
        parameters = list(parameters)
        groups = [
            {"params": parameters[::2], "weight_decay": 0.1},
            {"params": parameters[1::2]},
        ]
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9)

    assert apart(ours, train(decayed)) < 1e-14


@pytest.mark.slow
@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("optimizer", ["SGD Nesterov", "Adam", "NAdam", "Adagrad"])
def test_foreach_fused_and_the_loop_are_one(optimizer: str, how: str) -> None:
    kind, options = STEADY[optimizer]
    plain = train(partial(kind, **options, foreach=False), ElasticNet(0.2), how)
    variants = [{"foreach": True}, *[{"fused": True}] * (optimizer != "NAdam")]
    for variant in variants:
        assert (
            apart(plain, train(partial(kind, **options, **variant), ElasticNet(0.2), how)) < 1e-12
        )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", STEADY)
def test_a_strength_of_zero_is_the_identity(optimizer: str) -> None:
    without = train(factory(optimizer))
    for how, penalty in covering(("coupled", "decoupled", "proximal"), FREE):
        assert apart(train(factory(optimizer), penalty, how), without) == 0.0


@pytest.mark.quick_where(optimizer=["SGD", "Adam"])
@pytest.mark.parametrize("optimizer", STEADY)
def test_a_learning_rate_of_zero_is_the_identity(optimizer: str) -> None:
    kind, options = STEADY[optimizer]
    still = partial(kind, **{**options, "lr": 0.0})
    before = [parameter.detach() for parameter in network().parameters()]
    for how in ("coupled", "decoupled", "proximal"):
        assert apart(train(still, L1(0.1) + GroupLasso(0.1), how), before) == 0.0


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_a_parameter_without_a_gradient_is_left_alone(how: str) -> None:
    def drop(model: nn.Module) -> None:
        model[2].weight.grad = None

    penalized, plain = train(SGD, L1(0.1), how, between=drop), train(SGD, between=drop)
    assert torch.equal(penalized[2], plain[2])
    assert (penalized[0] - plain[0]).abs().max() > 1e-3


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_a_parameter_twice_in_a_group_is_penalized_once(how: str) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.ones(1, 1).double())})
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = torch.optim.SGD([model["w"], model["w"]], lr=0.1)
    Regularizer(model, L1(0.5)).attach(optimizer, how=how)
    model["w"].grad = torch.zeros(1, 1).double()
    optimizer.step()
    # Torch itself then takes the gradient twice, which only a coupled penalty is part of.
    assert model["w"].item() == pytest.approx(0.9 if how == "coupled" else 0.95, rel=1e-12)


@pytest.mark.parametrize("how", ["decoupled", "proximal"])
def test_l1_stops_at_zero_and_stays_there(how: str) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.tensor([[0.12, -0.12]]))})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Regularizer(model, L1(0.5)).attach(optimizer, how=how)
    trail = []
    for _ in range(6):
        model["w"].grad = torch.zeros(1, 2)
        optimizer.step()
        trail.append(model["w"].tolist()[0])
    assert trail[1] == pytest.approx([0.02, -0.02], abs=1e-6)
    assert trail[2:] == [[0.0, 0.0]] * 4


def test_two_regularizers_in_one_optimizer_each_reach_their_own() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Regularizer(model, {"0*": L1(10.0)}).attach(optimizer, how="proximal")
    Regularizer(model, {"2*": L2(0.5)}).attach(optimizer, how="decoupled")
    before = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert (model[0].weight == 0).all()
    assert torch.allclose(model[2].weight, 0.9 * before[2].weight)
    assert torch.equal(model[2].bias, before[2].bias)


def test_a_parameter_thawed_or_added_after_attach_is_penalized_or_reported() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(10.0))
    regularizer.attach(optimizer, how="proximal")
    for thawed in (False, True):
        model[0].requires_grad_(thawed)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert (model[0].weight == 0).all() == thawed
    model.append(nn.Linear(2, 2).double())
    with pytest.raises(RuntimeError, match=r"3\.weight is penalized but SGD does not hold it"):
        optimizer.step()
    optimizer.add_param_group({"params": model[3].parameters()})
    for parameter in model[3].parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert (model[3].weight == 0).all()


def test_a_regularizer_moved_to_a_new_optimizer_starts_with_an_empty_buffer() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    regularizer = Regularizer(model, L1(1.0))
    for _ in range(2):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        with regularizer.attach(optimizer, how="proximal"):
            for share in (1.0, 1.9):
                before = model["w"].item()
                model["w"].grad = torch.zeros(1, 1).double()
                optimizer.step()
                assert model["w"].item() == pytest.approx(before - 0.1 * share, rel=1e-12)


@pytest.mark.parametrize("penalty", [L1(1.0), GroupLasso(1.0, "in")], ids=str)
def test_sparse_adam_moves_the_rows_of_its_gradient_alone(penalty: Penalty) -> None:
    embedding = nn.Embedding(4, 2, sparse=True)
    nn.init.ones_(embedding.weight)
    optimizer = torch.optim.SparseAdam(embedding.parameters(), lr=0.1)
    regularizer = Regularizer(embedding, penalty)
    regularizer.attach(optimizer, how="proximal")
    embedding(torch.tensor([1, 1, 3])).sum().backward()
    optimizer.step()
    assert torch.equal(embedding.weight[[0, 2]], torch.ones(2, 2))
    # Adam's first step is lr = 0.1, then lr·lam/|g|: 0.1/2 for row 1, 0.1 for row 3.
    # A row's norm loses √2 times that, so each of its two equal entries loses the same.
    expected = torch.tensor([[0.85, 0.85], [0.8, 0.8]])
    assert torch.allclose(embedding.weight[[1, 3]], expected, atol=1e-6)


def test_coupled_says_that_a_sparse_gradient_cannot_take_it() -> None:
    embedding = nn.Embedding(4, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(embedding.parameters())
    Regularizer(embedding, L1(1.0)).attach(optimizer, how="coupled")
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="weight has a sparse gradient, to which how="):
        optimizer.step()
