"""What is said of an optimizer's own weight_decay, held against what torch does."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from shrinkage.torch import SGDW
from shrinkage.torch.facts.precision import resolution
from shrinkage.torch.facts.weight_decay import own_decay

LR, DECAY = 0.1, 0.05
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {}),
    "SGD with momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "SGD with Nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "SGD with dampening": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
    "ASGD": (torch.optim.ASGD, {}),
    "Adam": (torch.optim.Adam, {}),
    "Adam, decoupled": (torch.optim.Adam, {"decoupled_weight_decay": True}),
    "AdamW": (torch.optim.AdamW, {}),
    "NAdam": (torch.optim.NAdam, {}),
    "NAdam, decoupled": (torch.optim.NAdam, {"decoupled_weight_decay": True}),
    "RAdam": (torch.optim.RAdam, {}),
    "RAdam, decoupled": (torch.optim.RAdam, {"decoupled_weight_decay": True}),
    "Adamax": (torch.optim.Adamax, {}),
    "RMSprop": (torch.optim.RMSprop, {}),
    "Adagrad": (torch.optim.Adagrad, {}),
    "Adadelta": (torch.optim.Adadelta, {}),
    "Adafactor": (torch.optim.Adafactor, {}),
    "Muon": (torch.optim.Muon, {}),
    "SGDW": (SGDW, {}),
    "SGDW, scaled by lr": (SGDW, {"scale": "lr"}),
    "SGDW, by L1": (SGDW, {"weight_norm": 1}),
}


def optimizer(name: str) -> torch.optim.Optimizer:
    kind, options = OPTIMIZERS[name]
    w = torch.nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64))
    return kind([w], lr=LR, weight_decay=DECAY, **options)


def shares(made: torch.optim.Optimizer, steps: int) -> torch.Tensor:
    """The share that each step takes of each weight at a data gradient of 0: (steps, 4)."""
    w, taken = made.param_groups[0]["params"][0], []
    for _ in range(steps):
        before = w.detach().clone()
        w.grad = torch.zeros_like(w)
        made.step()
        taken.append((1 - w.detach() / before).flatten())
    return torch.stack(taken)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_torchs_is_known(name: str) -> None:
    made = optimizer(name)
    decay = own_decay(made, made.param_groups[0])
    assert decay.strength == DECAY
    assert decay.kind != "unknown"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decoupled_is_what_takes_the_same_share_at_each_step(name: str) -> None:
    made = optimizer(name)
    decay = own_decay(made, made.param_groups[0])
    taken = shares(made, 3)
    is_steady = torch.allclose(taken, taken[0, 0].expand_as(taken), rtol=1e-10)
    if name in {"SGD", "SGDW, by L1"}:  # plain SGD's is steady too; L1 takes no share
        return
    assert (decay.kind == "decoupled") == is_steady
    if is_steady:
        assert decay.rate == pytest.approx(taken[0, 0].item(), rel=1e-10)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name.startswith("SGD with")])
def test_sgds_rate_is_that_of_the_long_run(name: str) -> None:
    made = optimizer(name)
    made.param_groups[0]["lr"] = 1e-4  # the buffer then follows a slow decay, to first order in lr
    decay = own_decay(made, made.param_groups[0])
    assert decay.rate == pytest.approx(shares(made, 500)[-1, 0].item(), rel=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_adaptive_is_where_the_strength_cancels(name: str) -> None:
    taken = []
    for strength in (0.01, 0.1):
        made = optimizer(name)
        made.param_groups[0]["weight_decay"] = strength
        taken.append(shares(made, 2)[-1, 0].abs().item())
    decay = own_decay(made, made.param_groups[0])
    if name != "RAdam":  # which does not divide in its first steps
        assert (decay.kind == "adaptive") == (taken[1] < 2 * taken[0])
    assert decay.joins_gradient == (decay.kind in {"adaptive", "coupled"})


def test_an_optimizer_from_elsewhere_is_unknown() -> None:
    class Elsewhere(torch.optim.SGD):
        pass

    w = torch.nn.Parameter(torch.ones(2))
    made = Elsewhere([w], lr=LR, weight_decay=DECAY)
    decay = own_decay(made, made.param_groups[0])
    assert (decay.kind, decay.rate, decay.joins_gradient) == ("unknown", None, False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_share_under_the_resolution_is_lost(dtype: torch.dtype) -> None:
    finest = resolution(torch.ones(1, dtype=dtype))
    if dtype == torch.float32:
        assert finest is None
        return
    assert finest is not None
    assert math.log2(finest) == {torch.float16: -11, torch.bfloat16: -8}[dtype]
    one = torch.tensor(1.5, dtype=dtype)
    assert one * (1 - 0.5 * finest) == one
    assert one * (1 - 2 * finest) != one
