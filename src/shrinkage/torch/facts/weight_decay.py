"""What an optimizer's own weight_decay does to a weight: the one place that knows.

With strength c and data gradient g:

- coupled: ``g + c·w`` is what the optimizer sees, which adds ½·c·Σw² to J.
- adaptive: the same, in an optimizer that divides by the gradient's size.
- decoupled: ``w ← (1 − lr·c)·w`` outside the optimizer's own arithmetic.
- unknown: of an optimizer that is not torch's, where nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties.conventions import find_decay_name
from shrinkage.torch.facts.own_step import Group, full_buffer_share, sgd

COUPLED = {"SGD", "ASGD"}
ADAPTIVE = {"Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta"}
DECOUPLED = {"AdamW", "Adafactor", "Muon", "SGDW"}


class Decay(NamedTuple):
    """An optimizer's own decay of one parameter."""

    strength: float  # its weight_decay
    kind: str  # "coupled", "adaptive", "decoupled" or "unknown"
    rate: float | None  # the share of a weight that a step takes at a data gradient of 0, if known
    is_outside: bool  # of the gradient, so that a weight is rounded after the decay alone
    name: str = "weight_decay"  # which the optimizer's groups have

    @property
    def joins_gradient(self) -> bool:
        return self.kind in {"coupled", "adaptive"}


def own_decay(optimizer: Optimizer, group: Group, lr: float | None = None) -> Decay:
    """What the optimizer's own weight_decay does in `group`, at its learning rate or at `lr`."""
    name, key = type(optimizer).__name__, decay_key(group)
    strength = float(group.get(key) or 0.0)
    lr = float(group.get("lr", 0.0)) if lr is None else lr
    if group.get("decoupled_weight_decay") or name in DECOUPLED:
        if group.get("weight_norm") == 1:  # SGDW's decay by L1 takes no share
            return Decay(strength, "decoupled", None, True)
        times = 1.0 if group.get("scale") == "none" else lr
        return Decay(strength, "decoupled", times * strength, True)
    if name in ADAPTIVE:
        return Decay(strength, "adaptive", None, False)
    if name in COUPLED:
        steady = steady_step(optimizer, group, lr)
        rate = None if steady is None else steady * strength
        return Decay(strength, "coupled", rate, rate is not None and not group["momentum"])
    return Decay(strength, "unknown", None, False, key)


def decay_key(group: Group) -> str:
    """What a group calls its weight_decay: `wd`, `weight_decay_rate` and the like are known.

    >>> decay_key({"params": [], "lr": 0.1, "wd": 0.01}), decay_key({"params": [], "lr": 0.1})
    ('wd', 'weight_decay')
    """
    if "weight_decay" in group:
        return "weight_decay"
    numbers = (name for name, value in group.items() if type(value) in (int, float))
    return find_decay_name(numbers) or "weight_decay"


def steady_step(optimizer: Optimizer, group: Group, lr: float) -> float | None:
    """How far SGD moves a weight in the long run for a constant gradient of 1; else None."""
    if not isinstance(optimizer, torch.optim.SGD) or not group["momentum"] < 1.0:
        return None
    full = full_buffer_share(group) if group["momentum"] else 1.0
    return float(sgd({**group, "lr": lr}, {}, full).step)


def decay_on(optimizer: Optimizer, parameters: Iterable[Tensor]) -> Decay | None:
    """The optimizer's own decay of the first of these parameters that it decays; None if none."""
    decayed = {id(parameter) for parameter in parameters}
    for group in optimizer.param_groups:
        decay = own_decay(optimizer, group)
        if decay.strength and any(id(parameter) in decayed for parameter in group["params"]):
            return decay
    return None


def beside_weight_decay(optimizer: Optimizer, decay: Decay, penalty: str) -> str:
    """The sentence on an optimizer's own decay where there is a penalty too."""
    what = (
        f"which adds ½·{decay.strength:g}·Σw² to J, for every parameter of its group"
        if decay.joins_gradient
        else "which acts on the same weights: what is solved is then not J"
    )
    return (
        f"{type(optimizer).__name__} has {decay.name}={decay.strength:g} beside the {penalty}, "
        f"{what}; set {decay.name}=0 and write L2.from_weight_decay({decay.strength:g})"
    )


def in_steps(rate: float) -> str:
    """How long a decay of this share a step takes."""
    steps = 1.0 / rate
    return f"to 1/e in {steps:.3g} steps" if steps < 1000 else f"to 1/e in {round(steps)} steps"


def highest_lr(group: dict[str, Any]) -> float:
    """The learning rate that a schedule goes up to, as far as the group tells; else the present."""
    return max(float(group.get(key, 0.0)) for key in ("lr", "initial_lr", "max_lr"))
