"""Different weight regularizations in a sandbox: the same weights, no data, one penalty, each way.

With a data gradient of zero only the regularization moves a weight, so each way shows its law
within a step or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


class _ConstantShift(Optimizer):
    """w ← w − lr·weight_decay, whatever w's sign: what torch_optimizer's SGDW 0.3.0 does."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] * group["weight_decay"])


Setup = tuple[Optimizer, Regularizer | None]  # the regularizer whose penalty() is in the loss


def _attach(penalty: Any, how: str, model: nn.Module, lr: float, strength: float) -> Setup:
    optimizer = SGD(model.parameters(), lr=lr)
    Regularizer(model, penalty(strength), on="all").attach(optimizer, how=how)
    return optimizer, None


def _put_in_loss(penalty: Any, model: nn.Module, lr: float, strength: float) -> Setup:
    return SGD(model.parameters(), lr=lr), Regularizer(model, penalty(strength), on="all")


def _decay(kind: Any, model: nn.Module, lr: float, strength: float, **options: Any) -> Setup:
    return kind(model.parameters(), lr=lr, weight_decay=strength, **options), None


WAYS: dict[str, Callable[[nn.Module, float, float], Setup]] = {
    "SGD weight_decay: L2 coupled, with ½": partial(_decay, SGD),
    "SGDW: L2 decoupled, not scaled by lr": partial(_decay, SGDW),
    "L2 in the loss": partial(_put_in_loss, L2),
    "L2 decoupled, scaled by lr": partial(_attach, L2, "decoupled"),
    "L2 proximal": partial(_attach, L2, "proximal"),
    "SGDW weight_norm=1: L1 decoupled, not scaled by lr": partial(_decay, SGDW, weight_norm=1),
    "L1 in the loss": partial(_put_in_loss, L1),
    "L1 coupled": partial(_attach, L1, "coupled"),
    "L1 decoupled, scaled by lr": partial(_attach, L1, "decoupled"),
    "L1 proximal": partial(_attach, L1, "proximal"),
    "Adam weight_decay: the strength cancels": partial(_decay, Adam),
    "AdamW weight_decay": partial(_decay, AdamW),
    "torch_optimizer's SGDW 0.3.0: a constant shift": partial(_decay, _ConstantShift),
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
    models = {way: _Weights(weights) for way in WAYS}
    return [
        _trace(way, model, WAYS[way](model, lr, strength), steps) for way, model in models.items()
    ]


def _trace(way: str, model: _Weights, setup: Setup, steps: int) -> Trace:
    optimizer, in_loss = setup
    penalty: float | None = None
    gradient: tuple[float, ...] = ()
    paths = [tuple(model.weight.detach()[0].tolist())]
    for number in range(steps):
        optimizer.zero_grad()
        loss: Tensor = 0.0 * model.weight.sum()
        if in_loss is not None:
            loss = loss + in_loss.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        if number == 0:
            assert model.weight.grad is not None
            gradient = tuple(model.weight.grad[0].tolist())
            penalty = None if in_loss is None else loss.item()
        optimizer.step()
        if in_loss is not None:
            in_loss.step()
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
    rows: list[tuple[str, ...]] = [head]
    for trace in traces:
        in_loss = ("", "")
        if trace.penalty is not None:
            in_loss = f"{trace.penalty:.4g}", _format_all(trace.gradient)
        rows.append((trace.way, *map(_format_all, (trace.paths[1], trace.paths[-1])), *in_loss))
    return align(rows)


def _format_all(values: Sequence[float]) -> str:
    return "  ".join(f"{value:.4g}" for value in values)
