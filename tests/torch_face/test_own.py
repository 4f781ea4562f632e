"""Penalties and constraints of one's own, in every way and under every kind of optimizer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from own import GradientAlone, ProxAlone, TowardOne, UnitNorm, ZeroMean
from shrinkage import Penalty
from shrinkage.torch import SGD, Adam, Regularizer

LR = 0.01
OUTSIDE = {
    "SGD": lambda p: torch.optim.SGD(p, lr=LR),
    "momentum": lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=LR),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=LR, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=LR),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=LR),
}
INSIDE: dict[str, Callable[..., Any]] = {"SGD": SGD, "Adam": Adam}


def steps(model: nn.Module, optimizer: Any, after: Callable[[], Any] = lambda: None) -> None:
    for seed in range(3):
        optimizer.zero_grad()
        x = torch.randn(2, 4, generator=torch.Generator().manual_seed(seed))
        model(x).square().sum().backward()
        optimizer.step()
        with torch.no_grad():
            after()


def line() -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.mul_(5.0)  # far from where any constraint here holds
    return model


def normalized_by_hand(name: str) -> torch.Tensor:
    model = line()

    def project() -> None:
        model.weight.div_(model.weight.norm(dim=1, keepdim=True))

    steps(model, OUTSIDE[name](model.parameters()), project)
    return model.weight.detach()


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_constraint_is_the_projection_after_each_step(name: str) -> None:
    model = line()
    optimizer = OUTSIDE[name](model.parameters())
    regularizer = Regularizer(model, UnitNorm())
    regularizer.attach(optimizer, how="proximal")
    steps(model, optimizer)
    torch.testing.assert_close(model.weight.detach(), normalized_by_hand(name))
    assert regularizer.value() == 0.0


@pytest.mark.parametrize("name", INSIDE)
def test_a_constraint_inside(name: str) -> None:
    model = line()
    penalty = Regularizer(model, UnitNorm())
    steps(model, INSIDE[name](model.parameters(), lr=LR, penalty=penalty, how="proximal"))
    torch.testing.assert_close(model.weight.detach(), normalized_by_hand(name))


def test_a_constraint_under_sparse_adam() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(20, 4, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=LR)
    Regularizer(model, UnitNorm()).attach(optimizer, how="proximal")
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    torch.testing.assert_close(model.weight.detach().norm(dim=1), torch.ones(20))


def test_a_prox_for_one_number_alone_is_refused_in_a_metric() -> None:
    model = line()
    adam = torch.optim.Adam(model.parameters())
    with pytest.raises(ValueError, match=r"weight: ZeroMean.* of its own, as under Adam: use SGD$"):
        Regularizer(model, ZeroMean()).attach(adam, how="proximal")
    sgd = torch.optim.SGD(model.parameters(), lr=LR)
    Regularizer(model, ZeroMean()).attach(sgd, how="proximal")
    steps(model, sgd)
    torch.testing.assert_close(model.weight.detach().sum(dim=1), torch.zeros(3))


def one_step(penalty: Penalty, how: str, w: float, gradient: float = 0.0) -> float:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), w).double())})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    regularizer = Regularizer(model, penalty)
    loss = gradient * model["w"].sum()
    if how == "loss":
        loss = loss + regularizer.penalty()
    else:
        regularizer.attach(optimizer, how=how)
    loss.backward()
    optimizer.step()
    return float(model["w"].detach())


@pytest.mark.parametrize(
    ("how", "expected"),
    [("loss", 2.5), ("coupled", 2.5), ("decoupled", 2.5), ("proximal", 2.6)],
)
def test_a_penalty_in_each_way(how: str, expected: float) -> None:
    """From 3 with lr ¼ and lam ½: 3 − ¼·2, or (3 + ¼)/(1 + ¼) for the prox."""
    assert one_step(TowardOne(0.5), how, 3.0) == pytest.approx(expected)


def test_a_decoupled_penalty_that_pulls_elsewhere_goes_over_zero() -> None:
    """From −0.1 with lr ¼ and lam 1: −0.1 + ¼·2·1.1 = 0.45."""
    assert one_step(TowardOne(1.0), "decoupled", -0.1) == pytest.approx(0.45)


def test_each_goes_the_way_it_can() -> None:
    assert one_step(GradientAlone(0.5), "coupled", 1.0) == pytest.approx(0.5)  # 1 − ¼·4·½
    assert one_step(ProxAlone(0.5), "proximal", 0.4) == 0.0  # 0.16 < 2·½·¼
    with pytest.raises(ValueError, match=r"w: .* has no prox, as it defines no _prox"):
        one_step(GradientAlone(0.5), "proximal", 1.0)
    for how in ("loss", "coupled", "decoupled"):
        with pytest.raises(ValueError, match=r"w: .* has no gradient, as it defines no _gradient"):
            one_step(ProxAlone(0.5), how, 1.0)
    for how, penalty in (("proximal", GradientAlone(0.5)), ("coupled", ProxAlone(0.5))):
        with pytest.raises(ValueError, match="as it defines no"):
            Adam([nn.Parameter(torch.ones(2, 2))], penalty=penalty, how=how)


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_inside_is_as_outside(name: str, how: str) -> None:
    one, other = line(), line()
    optimizer = OUTSIDE[name](one.parameters())
    Regularizer(one, TowardOne(0.5)).attach(optimizer, how=how)
    steps(one, optimizer)
    penalty = Regularizer(other, TowardOne(0.5))
    steps(other, INSIDE[name](other.parameters(), lr=LR, penalty=penalty, how=how))
    torch.testing.assert_close(one.weight, other.weight)
