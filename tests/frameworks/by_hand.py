"""A training loop written by hand, with clipping and penalties from their formulas.

The objective is data loss + f·(lam·Σ|w| + PULL·Σ(v − v₀)²) over weights w and v, where v₀ is where
v began, and f rises from 0 to 1 over the first `WARMUP` steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage import L1, L2, Toward

LAM, PULL, WARMUP = 0.1, 0.3, 4
MAX_NORM = 0.5


def penalties(sparse: str, anchored: str, lam: float = LAM) -> dict[str, Any]:
    """The same objective for a Regularizer, by the patterns of w and of v."""
    return {sparse: L1(lam), anchored: Toward("start", L2(PULL))}


def train_by_hand(
    model: nn.Module,
    optimizer: Optimizer,
    micro_batches: Sequence[Any],
    loss_of: Callable[[nn.Module, Any], Tensor],
    *,
    how: str,
    sparse: Sequence[Tensor],
    anchored: Sequence[Tensor],
    lam: float = LAM,
    lr: Callable[[int], float] | None = None,
    accumulate: int = 2,
    max_norm: float = MAX_NORM,
) -> list[float]:
    """Step once for each `accumulate` micro-batches; the c of each step's clipping."""
    starts = [v.detach().clone() for v in anchored]
    shares = []
    for count, first in enumerate(range(0, len(micro_batches), accumulate)):
        for group in optimizer.param_groups if lr is not None else ():
            group["lr"] = lr(count)
        optimizer.zero_grad()
        for batch in micro_batches[first : first + accumulate]:
            (loss_of(model, batch) / accumulate).backward()
        shares.append(_clip_by_hand(list(model.parameters()), max_norm))
        strength = shares[-1] * min(1.0, count / WARMUP)
        if how == "coupled":
            for w in sparse:
                w.grad += strength * lam * w.detach().sign()
            for v, start in zip(anchored, starts, strict=True):
                v.grad += strength * PULL * 2 * (v.detach() - start)
        optimizer.step()
        if how == "proximal":
            for w in sparse:
                step, farthest = _own_step(optimizer, w, count + 1)
                _shrink_(w, (step * strength * lam).clamp(max=farthest))
            for v, start in zip(anchored, starts, strict=True):
                step, farthest = _own_step(optimizer, v, count + 1)
                _draw_(v, start, step * strength * PULL, farthest)
    return shares


def _clip_by_hand(parameters: Sequence[Tensor], max_norm: float) -> float:
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in parameters))
    share = min(1.0, max_norm / (norm + 1e-6))
    for parameter in parameters:
        parameter.grad *= share
    return share


@torch.no_grad()
def _shrink_(w: Tensor, threshold: Tensor) -> None:
    """The prox of threshold·Σ|w|."""
    w.copy_(w.sign() * (w.abs() - threshold).clamp(min=0.0))


@torch.no_grad()
def _draw_(v: Tensor, start: Tensor, strength: Tensor, farthest: float) -> None:
    """The prox of strength·Σ(v − start)², no entry moved by more than `farthest`."""
    move = (v - start) / (1 + 2 * strength) - (v - start)
    v.add_(move.clamp(-farthest, farthest))


def _own_step(optimizer: Optimizer, parameter: Tensor, count: int) -> tuple[Tensor, float]:
    """The optimizer's step for each entry after `count` steps, and the farthest a prox may move."""
    (group,) = (
        group
        for group in optimizer.param_groups
        if any(held is parameter for held in group["params"])
    )
    lr = group["lr"]
    if isinstance(optimizer, torch.optim.SGD):
        momentum = group["momentum"]
        filled = (1 - momentum**count) / (1 - momentum)  # the buffer holds filled·g
        step = lr * (1 + momentum * filled if group["nesterov"] else filled)
        return torch.tensor(step, dtype=parameter.dtype), math.inf
    v = optimizer.state[parameter]["exp_avg_sq"]
    corrected = v / (1 - group["betas"][1] ** count)
    return lr / (corrected.sqrt() + group["eps"]), 2 * lr


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether all parameters agree to the last digits, and their zeros exactly."""
    pairs = list(zip(one.parameters(), other.parameters(), strict=True))
    return all(
        torch.allclose(a, b, rtol=1e-9, atol=1e-12) and torch.equal(a == 0, b == 0)
        for a, b in pairs
    )


SPARSE, ANCHORED = "0.weight", "2.weight"  # of `network`


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def micro_batches() -> list[Tensor]:
    """Twelve of four rows: three inputs and two targets each."""
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(12, 4, 5, dtype=torch.float64, generator=generator))


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    return (model(batch[:, :3]) - batch[:, 3:]).square().mean()


def adamw(parameters: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.0)


def sgd(parameters: Any) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.3, momentum=0.9)


def network_by_hand(
    make: Callable[..., Optimizer], how: str, batches: Sequence[Tensor] | None = None
) -> nn.Sequential:
    """The network after a loop by hand in which clipping binds, and weights come to 0 by a prox."""
    model = network(0)
    batches = micro_batches() if batches is None else batches
    w, v = model[0].weight, model[2].weight
    optimizer = make(model.parameters())
    shares = train_by_hand(model, optimizer, batches, loss_of, how=how, sparse=[w], anchored=[v])
    assert min(shares) < 0.9
    assert how == "coupled" or (w == 0).any()
    return model
