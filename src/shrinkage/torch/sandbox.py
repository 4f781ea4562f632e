"""Different weight regularizations in a sandbox: the same weights, no data, one penalty, each way.

With a data gradient of zero only the regularization moves a weight, so each way shows its law
within a step or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from shrinkage.penalties import L1, L2
from shrinkage.text_table import align
from shrinkage.torch.fused.sgdw import SGDW
from shrinkage.torch.regularizer import Regularizer

MOST = 1_000_000  # numbers in the path of one way


@dataclass(frozen=True)
class Trace:
    """The path of the weights under one way of regularization."""

    way: str
    paths: tuple[tuple[float, ...], ...]  # (steps + 1, weights)
    penalty: float | None  # Ω at the start, where it is part of the loss
    gradient: tuple[float, ...]  # at the start, as the optimizer finds it


class _Weights(nn.Module):
    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([list(weights)], dtype=torch.float64))


@dataclass(frozen=True)
class _Set:
    """An optimizer, and the regularizer whose penalty() belongs in the loss."""

    optimizer: Optimizer
    in_loss: Regularizer | None = None


class _ConstantShift(Optimizer):
    """w ← w − lr·weight_decay, whatever w's sign: what torch_optimizer's SGDW 0.3.0 does."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] * group["weight_decay"])


def _attached(penalty: Any, how: str, **options: Any) -> Callable[[nn.Module, float, float], _Set]:
    def build(model: nn.Module, lr: float, strength: float) -> _Set:
        optimizer = SGD(model.parameters(), lr=lr)
        Regularizer(model, penalty(strength), on="all").attach(optimizer, how=how, **options)
        return _Set(optimizer)

    return build


def _in_loss(penalty: Any) -> Callable[[nn.Module, float, float], _Set]:
    def build(model: nn.Module, lr: float, strength: float) -> _Set:
        regularizer = Regularizer(model, penalty(strength), on="all")
        return _Set(SGD(model.parameters(), lr=lr), regularizer)

    return build


def _decayed(kind: Any, **options: Any) -> Callable[[nn.Module, float, float], _Set]:
    def build(model: nn.Module, lr: float, strength: float) -> _Set:
        return _Set(kind(model.parameters(), lr=lr, weight_decay=strength, **options))

    return build


WAYS: dict[str, Callable[[nn.Module, float, float], _Set]] = {
    "SGD weight_decay: L2 coupled, with ½": _decayed(SGD),
    "SGDW: L2 decoupled, not scaled by lr": _decayed(SGDW),
    "L2 in the loss": _in_loss(L2),
    "L2 decoupled, scaled by lr": _attached(L2, "decoupled"),
    "L2 proximal": _attached(L2, "proximal"),
    "SGDW weight_norm=1: L1 decoupled, not scaled by lr": _decayed(SGDW, weight_norm=1),
    "L1 in the loss": _in_loss(L1),
    "L1 coupled": _attached(L1, "coupled"),
    "L1 decoupled, scaled by lr": _attached(L1, "decoupled"),
    "L1 proximal": _attached(L1, "proximal"),
    "Adam weight_decay: the strength cancels": _decayed(Adam),
    "AdamW weight_decay": _decayed(AdamW),
    "torch_optimizer's SGDW 0.3.0: a constant shift": _decayed(_ConstantShift),
}


def sandbox(
    weights: Sequence[float] = (1.0, -1.5, -1.5),
    *,
    strength: float = 0.1,
    lr: float = 0.1,
    steps: int = 100,
) -> list[Trace]:
    """Run every way from the same weights with a data gradient of zero.

    Parameters
    ----------
    weights : sequence of float
        Where they start; at least one, finite.
    strength : float, default 0.1
        lam of the penalties and weight_decay of the optimizers, at least 0.
    lr : float, default 0.1
        The learning rate, at least 0.
    steps : int, default 100
        How many steps, from 1 to a million for all weights together.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    if not weights or not all(math.isfinite(weight) for weight in weights):
        raise ValueError(f"weights must be one or more finite numbers, got {list(weights)}")
    if not 0.0 <= strength < math.inf:
        raise ValueError(f"strength must be >= 0 and finite, got {strength}")
    if not 0.0 <= lr < math.inf:
        raise ValueError(f"lr must be >= 0 and finite, got {lr}")
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    if steps * len(weights) > MOST:
        raise ValueError(
            f"steps times weights must be at most {MOST:,}, got {steps} · {len(weights)}"
        )
    return [
        _trace(way, build, tuple(weights), strength=strength, lr=lr, steps=steps)
        for way, build in WAYS.items()
    ]


def _trace(
    way: str,
    build: Callable[[nn.Module, float, float], _Set],
    weights: tuple[float, ...],
    *,
    strength: float,
    lr: float,
    steps: int,
) -> Trace:
    model = _Weights(weights)
    setup = build(model, lr, strength)
    penalty: float | None = None
    gradient: tuple[float, ...] = ()
    paths = [weights]
    for number in range(steps):
        setup.optimizer.zero_grad()
        loss: Tensor = 0.0 * model.weight.sum()
        if setup.in_loss is not None:
            loss = loss + setup.in_loss.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        if number == 0:
            assert model.weight.grad is not None
            gradient = tuple(model.weight.grad[0].tolist())
            penalty = loss.item() if setup.in_loss is not None else None
        setup.optimizer.step()
        if setup.in_loss is not None:
            setup.in_loss.step()
        paths.append(tuple(model.weight.detach()[0].tolist()))
    return Trace(way, tuple(paths), penalty, gradient)


def weights_from_text(text: str) -> tuple[float, ...]:
    """Weights as the command line has them, "1,-1.5"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"weights must be numbers with commas between, got {text!r}") from None


def as_text(traces: Sequence[Trace]) -> str:
    """The traces as a table: after one step, after the last, and what was in the loss."""
    last = len(traces[0].paths) - 1
    head = ("way", "after 1 step", f"after {last} steps", "penalty", "its gradient")
    return align([head, *(_row(trace) for trace in traces)])


def _row(trace: Trace) -> tuple[str, ...]:
    penalty, gradient = "", ""
    if trace.penalty is not None:
        penalty, gradient = f"{trace.penalty:.4g}", _numbers(trace.gradient)
    return trace.way, _numbers(trace.paths[1]), _numbers(trace.paths[-1]), penalty, gradient


def _numbers(values: Sequence[float]) -> str:
    return "  ".join(f"{value:.4g}" for value in values)
