"""A constraint holds after every step: in sums, around a reference, in every row, everywhere."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grid import covering
from optimizer_cases import STEADY
from shrinkage import L1, L2, Box, MaxNorm, NofM, NonNegative, Penalty, Toward
from shrinkage.torch import SGD, Adam, Regularizer

HELD: dict[str, Penalty] = {
    "box": Box(-0.1, 0.1),
    "L1 and box": L1(0.01) + Box(-0.1, 0.1),
    "L2 and box": L2(0.01) + Box(-0.1, 0.1),
    "L2 and max norm": L2(0.01) + MaxNorm(0.1),
    "a free L2 and not negative": L2(0.0) + NonNegative(),
    "2 of 4": NofM(2, 4),
    "around the start": Toward("start", Box(-0.01, 0.02)),
    "around the start, with L2": Toward("start", L2(0.01) + Box(-0.01, 0.02)),
    "beside L2, around the start": L2(0.01) + Toward("start", MaxNorm(0.01)),
}


def excess(name: str, w: Tensor, start: Tensor) -> float:
    """How far the weights are outside."""
    if "start" in name and "norm" not in name and "beside" not in name:
        return float(((w - start - 0.02).max()).maximum((start - 0.01 - w).max()))
    if "beside" in name:
        return float((w - start).norm(dim=1).max() - 0.01)
    if "box" in name:
        return float(w.abs().max() - 0.1)
    if "norm" in name:
        return float(w.norm(dim=1).max() - 0.1)
    if "4" in name:
        return float(((w.reshape(-1, 4) != 0).sum(dim=1) - 2).max())
    return float(-w.min())


def outside() -> tuple[nn.Linear, Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    nn.init.normal_(model.weight)
    return model, model.weight.detach().clone()


def train_and_check(model: nn.Linear, optimizer: Any, name: str, start: Tensor) -> None:
    for _ in range(3):
        optimizer.zero_grad()
        (100.0 * model(torch.randn(4, 8))).square().mean().backward()
        optimizer.step()
        assert excess(name, model.weight.detach(), start) <= 2e-6


@pytest.mark.parametrize(("optimizer", "name"), covering(STEADY, HELD))
@pytest.mark.usefixtures("torch_operations")
def test_attached(optimizer: str, name: str) -> None:
    model, start = outside()
    kind, options = STEADY[optimizer]
    made = kind(model.parameters(), **options)
    regularizer = Regularizer(model, HELD[name])
    regularizer.attach(made, how="proximal")
    train_and_check(model, made, name, start)
    assert regularizer.value() < float("inf")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), covering([SGD, Adam], HELD))
def test_inside(kind: Any, name: str) -> None:
    model, start = outside()
    penalty = Regularizer(model, HELD[name])
    made = kind(model.parameters(), lr=0.1, penalty=penalty, how="proximal")
    train_and_check(model, made, name, start)


def in_the_ball(w: Tensor) -> Tensor:
    return w / w.norm(dim=1, keepdim=True).clamp(min=1.0)


@pytest.mark.parametrize("factor", [1.0, 0.0])
@pytest.mark.parametrize(
    ("penalty", "project"),
    [
        (MaxNorm(1.0, "in"), in_the_ball),
        (L2(1e-3) + MaxNorm(1.0, "in"), in_the_ball),
        (L1(1e-3) + Box(-0.5, 0.5), lambda w: w.clamp(-0.5, 0.5)),
    ],
)
def test_sparse_adam_holds_rows_that_no_batch_had(
    penalty: Penalty, project: Any, factor: float
) -> None:
    """No step moved them, so no strength did: they go to the nearest point that is allowed."""
    torch.manual_seed(0)
    model = nn.Embedding(50, 8, sparse=True)
    before = model.weight.detach().clone()
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, penalty)
    regularizer.factor = factor
    regularizer.attach(optimizer, how="proximal")
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
    after, unseen = model.weight.detach(), torch.arange(50) > 2
    torch.testing.assert_close(after[unseen], project(before[unseen]))
    torch.testing.assert_close(project(after), after)
    assert regularizer.value() < float("inf")


def test_weights_that_are_set_by_hand_between_steps_are_held_again() -> None:
    model = nn.Embedding(5, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.1)
    Regularizer(model, MaxNorm(1.0, "in")).attach(optimizer, how="proximal")
    for fill in (3.0, 4.0):
        model.weight.data.fill_(fill)  # which no version counter sees
        optimizer.zero_grad()
        model(torch.tensor([0])).sum().backward()
        optimizer.step()
        assert float(model.weight.detach().norm(dim=1).max()) <= 1.0 + 1e-6


def test_16_bit_weights_stay_within_reach_of_where_they_were() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 3).to(torch.bfloat16)
    start = copy.deepcopy(model.weight.detach())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="does not converge exactly"):
        Regularizer(model, Toward("start", Box(-0.01, 0.01))).attach(optimizer, how="proximal")
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 8, dtype=torch.bfloat16)).sum().backward()
        optimizer.step()
        assert float((model.weight.detach().double() - start.double()).abs().max()) <= 0.01
