"""Weights as products: the penalized minimum, without a kink and under any optimizer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from diabetes import minimum, normal_equations
from grid import covering
from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.torch import Regularizer, collapse, reparametrize

OPTIMIZERS = {
    "SGD momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "Adam": partial(torch.optim.Adam, lr=0.05),
    "LBFGS": partial(torch.optim.LBFGS, lr=1.0, line_search_fn="strong_wolfe", tolerance_grad=1e-13,
                     tolerance_change=1e-16),
}  # fmt: skip


def trained(
    make: Any, penalty: Penalty, how: str, shape: tuple[int, int], steps: int
) -> np.ndarray:
    torch.manual_seed(0)
    model = nn.Linear(shape[1], shape[0], bias=False, dtype=torch.float64)
    factors = reparametrize(model, penalty)
    optimizer = make(model.parameters())
    if how == "coupled":
        factors.attach(optimizer, how="coupled")
    A, b = (torch.tensor(part) for part in normal_equations())

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        w = model.weight.ravel()
        loss = w @ A @ w / 2 - b @ w
        if how == "loss":
            loss = loss + factors.penalty()
        loss.backward()
        return loss

    first_lr = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        if "momentum" in optimizer.defaults or "betas" in optimizer.defaults:
            optimizer.param_groups[0]["lr"] = first_lr * min(1.0, 2 * (1 - step / steps))
        optimizer.step(closure)
    collapse(model)
    assert isinstance(model.weight, nn.Parameter)
    return model.weight.detach().numpy()


@pytest.mark.quick_where(optimizer=["LBFGS"])
@pytest.mark.parametrize(
    ("optimizer", "how", "case"),
    covering(
        OPTIMIZERS,
        ["loss", "coupled"],
        [(L1(0.1), (1, 10)), (GroupLasso(0.17, "in"), (2, 5))],
    ),
    ids=str,
)
def test_it_equals_the_penalized_minimum(
    optimizer: str, how: str, case: tuple[Penalty, tuple[int, int]]
) -> None:
    penalty, shape = case
    steps = 60 if optimizer == "LBFGS" else 500
    found = trained(OPTIMIZERS[optimizer], penalty, how, shape, steps)
    known = GroupLasso(0.17, 1) if isinstance(penalty, GroupLasso) else penalty
    target = minimum(known, shape if shape[0] > 1 else (10,)).reshape(shape)
    assert np.abs(found - target).max() < 1e-6
    assert np.count_nonzero(target == 0) >= 2


MODELS = {
    "linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "convolution": (lambda: nn.Conv2d(2, 3, 2), (5, 2, 4, 4)),
    "grouped": (lambda: nn.Conv1d(4, 6, 2, groups=2), (5, 4, 6)),
    "deep": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), (5, 4)),
}


@pytest.mark.parametrize("penalty", [L1(0.1), GroupLasso(0.1), GroupLasso(0.1, "in")], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_stay_the_same_there_and_back(name: str, penalty: Penalty) -> None:
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model, X = make().double(), torch.randn(shape, dtype=torch.float64)
    before, names = model(X), list(model.state_dict())
    value = Regularizer(model, penalty).value()
    factors = reparametrize(model, penalty)
    torch.testing.assert_close(model(X), before, rtol=1e-12, atol=1e-12)
    assert value < factors.value() < 10 * value  # never less, whatever the factors
    collapse(model)
    torch.testing.assert_close(model(X), before, rtol=1e-12, atol=1e-12)
    assert sorted(model.state_dict()) == sorted(names)
    collapse(model)  # nothing is left to do
    assert factors.value() == 0.0
    assert "weight" in repr(factors)
    assert {row.penalty for row in factors.table()} == {"none: collapsed"}


def test_only_what_is_selected_is_factored() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    factors = reparametrize(model, {"0.weight": L1(0.1), "2.bias": None})
    assert [name for name, _ in factors.named_parameters()] == [
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    ]
    assert isinstance(model[2].weight, nn.Parameter)


def test_decoupled_is_refused() -> None:
    model = nn.Linear(3, 2)
    factors = reparametrize(model, L1(0.1))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    with pytest.raises(ValueError, match='how="decoupled" takes the squares of the factors out'):
        factors.attach(optimizer, how="decoupled")


@pytest.mark.parametrize(
    ("penalty", "sentence"),
    [
        (L2(0.1), "only L1 and GroupLasso with groups of one size are products of factors, got L2"),
        (GroupLasso(0.1, [[0, 1], [2]]), "only L1 and GroupLasso with groups of one size"),
        (L1(0.1) + GroupLasso(0.1), "only L1 and GroupLasso with groups of one size"),
    ],
    ids=str,
)
def test_other_penalties_are_refused_and_nothing_is_changed(
    penalty: Penalty, sentence: str
) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    with pytest.raises(ValueError, match=sentence):
        reparametrize(model, {"0.*": L1(0.1), "1.weight": penalty})
    assert isinstance(model[0].weight, nn.Parameter)


@pytest.mark.parametrize("penalty", [L1(1e-3), GroupLasso(1e-3)], ids=str)
@pytest.mark.parametrize("zeros", ["all", "a row"])
def test_zeros_can_leave_zero(penalty: Penalty, zeros: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight[... if zeros == "all" else 1] = 0.0
    before = model.weight.detach().clone()
    factors = reparametrize(model, penalty)
    assert torch.allclose(model.weight, before, atol=1e-7)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    X = torch.randn(50, 3)
    for _ in range(100):
        optimizer.zero_grad()
        (((model(X) - X[:, :2]) ** 2).mean() + factors.penalty()).backward()
        optimizer.step()
    collapse(model)
    assert (model.weight.diagonal() > 0.7).all()


def test_tied_weights_are_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match=r"0.weight is tied to 1.weight: its factors would not be"):
        reparametrize(model, L1(0.1))
