"""Small trainings drawn at random, and the weights that a loop written by hand gives for them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frameworks.by_hand import PULL, WARMUP, loss_of, train_by_hand
from shrinkage import L2, Toward
from shrinkage.torch import schedules


@dataclass(frozen=True)
class Run:
    """Two epochs over the same micro-batches, in float64, with clipping that binds."""

    seed: int
    how: str
    optimizer: str
    hidden: int
    accumulate: int
    steps: int  # of an epoch
    lam: float
    max_norm: float

    def network(self, *, other: bool = False) -> nn.Sequential:
        """The network with its first weights, or `other` ones for what a checkpoint brings."""
        torch.manual_seed(self.seed + 100 * other)
        return nn.Sequential(
            nn.Linear(3, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 2)
        ).double()

    def make_optimizer(self, parameters: Any) -> Optimizer:
        if self.optimizer == "SGD":
            return torch.optim.SGD(parameters, lr=0.3, momentum=0.9)
        return torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.0)

    def batches(self) -> list[Tensor]:
        """Those of one epoch: four rows of three inputs and two targets each."""
        generator = torch.Generator().manual_seed(self.seed)
        count = self.steps * self.accumulate
        batches = torch.randn(count, 4, 5, dtype=torch.float64, generator=generator)
        return list(batches * torch.tensor([1.0, 1.0, 1.0, 3.0, 3.0]))

    def arguments(self, prefix: str = "") -> dict[str, Any]:
        """What a callback is given for it."""
        penalty = {
            f"{prefix}0.weight": f"l1:{self.lam!r}",
            f"{prefix}2.weight": Toward("start", L2(PULL)),
        }
        return {"penalty": penalty, "how": self.how, "schedule": schedules.warmup(WARMUP)}

    def by_hand(self, batches: Sequence[Tensor] | None = None) -> nn.Sequential:
        """The network after a loop that is written by hand."""
        model, batches = self.network(), self.batches() if batches is None else batches
        w, v = model[0].weight, model[2].weight
        shares = train_by_hand(
            model,
            self.make_optimizer(model.parameters()),
            [*batches, *batches],
            loss_of,
            how=self.how,
            sparse=[w],
            anchored=[v],
            lam=self.lam,
            accumulate=self.accumulate,
            max_norm=self.max_norm,
        )
        assert min(shares) < 0.95
        assert self.how == "coupled" or (w == 0).any()
        return model


def draw_run(seed: int, *, accumulate: int = 4, max_norm: float = 1.0) -> Run:
    draw = random.Random(seed)
    return Run(
        seed,
        how=draw.choice(["proximal", "proximal", "coupled"]),
        optimizer=draw.choice(["SGD", "AdamW"]),
        hidden=draw.randint(3, 9),
        accumulate=accumulate,
        steps=draw.randint(5, 8),
        lam=draw.uniform(0.1, 0.3),
        max_norm=max_norm,
    )
