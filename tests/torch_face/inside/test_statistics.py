"""What `optimizer.statistics()` says, against the sums written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import inside_twins as twins
from shrinkage import L1, L2, MCP, ElasticNet, GroupLasso, LInf, Penalty
from shrinkage.torch import SGD, Adam, Regularizer

KINDS: list[Any] = [
    pytest.param(SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD"),
    pytest.param(Adam, {"lr": 0.1}, id="Adam"),
]
SHAPES = {"matrix": (6, 5), "vector": (7,), "kernels": (4, 3, 2, 2)}


@pytest.mark.parametrize("gaps", [False, True], ids=["one pass", "torch's way"])
@pytest.mark.parametrize(
    "penalty",
    [L1(0.3), L2(0.3), ElasticNet(0.3), GroupLasso(0.4), MCP(0.3), LInf(0.4)],
    ids=str,
)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_sums_over_all_penalized_weights(
    kind: Any, options: dict[str, Any], penalty: Penalty, gaps: bool
) -> None:
    model = twins.parameters(SHAPES, torch.float64)
    model = twins.strided(model) if gaps else model
    optimizer = kind(model.values(), **options, penalty=penalty)
    for step in range(3):
        twins.gradients(model, step)
        optimizer.step()
        found = optimizer.statistics()
        flat = torch.cat([w.detach().flatten() for w in model.values()])
        assert found.value == pytest.approx(sum(penalty(w.detach()) for w in model.values()).item())
        assert found.absolute == pytest.approx(flat.abs().sum().item())
        assert found.squares == pytest.approx(flat.square().sum().item())
        assert found.zeros == (flat == 0).sum()
        assert found.entries == flat.numel() == 85
    assert found.value > 0


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_dead_groups(kind: Any, options: dict[str, Any]) -> None:
    w = nn.Parameter(torch.tensor([[3.0, 4.0], [1e-3, 1e-3], [0.0, 0.0]]))
    optimizer = kind([w], **options, penalty=GroupLasso(0.5))
    w.grad = torch.zeros(3, 2)
    optimizer.step()
    found = optimizer.statistics()
    assert (found.groups, found.dead_groups, found.zeros) == (3, 2, 4)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_of_a_regularizer_its_own_weights_and_factor(kind: Any, options: dict[str, Any]) -> None:
    model = nn.Linear(5, 4)
    regularizer = Regularizer(model, L1(0.1))
    optimizer = kind(model.parameters(), **options, penalty=regularizer)
    assert optimizer.statistics().entries == 20  # before the first step as well
    regularizer.factor = 0.5
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    optimizer.step()
    found = optimizer.statistics()
    assert found.entries == 20
    assert found.value == pytest.approx(regularizer.value(), rel=1e-5)
    assert found.value == pytest.approx(0.05 * model.weight.abs().sum().item(), rel=1e-5)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_without_a_penalty_there_is_nothing_to_sum(kind: Any, options: dict[str, Any]) -> None:
    w = nn.Parameter(torch.ones(3))
    w.grad = torch.ones(3)
    optimizer = kind([w], **options)
    optimizer.step()
    assert optimizer.statistics().entries == 0
