"""A few steps of a small network, with or without a penalty: for comparing ways with each other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage import Penalty
from shrinkage.torch import Regularizer

Make = Callable[..., Optimizer]
X = torch.randn(16, 3, generator=torch.Generator().manual_seed(5)).double()
Y = torch.randn(16, 2, generator=torch.Generator().manual_seed(6)).double()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def data_loss(model: nn.Module, rows: slice = slice(None)) -> Tensor:
    return nn.functional.mse_loss(model(X[rows]), Y[rows])


def train(
    make: Make,
    penalty: Penalty | None = None,
    how: str | None = None,
    *,
    steps: int = 5,
    closure: bool = False,
    between: Callable[[nn.Module], None] = lambda model: None,
    **options: Any,
) -> list[Tensor]:
    """The weights after a few steps; `between` is called before each optimizer step."""
    model = network()
    optimizer = make(model.parameters())
    regularizer = None if penalty is None else Regularizer(model, penalty)
    if regularizer is not None and how != "loss":
        regularizer.attach(optimizer, how=how, **options)

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = data_loss(model)
        if how == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()
        return loss

    for _ in range(steps):
        if closure:
            optimizer.step(evaluate)
        else:
            evaluate()
            between(model)
            optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


def apart(first: list[Tensor], second: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(first, second, strict=True))
