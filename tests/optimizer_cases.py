"""Every torch optimizer whose own step is known, with its variants: what the laws are held on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.torch import SGD, Adam

Factory = Callable[[Iterable[Tensor]], Optimizer]

# lr: large enough to reach a rest in a few thousand full-batch steps on a standardized regression.
STEADY: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"lr": 0.2}),
    "SGD momentum": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "SGD dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.5}),
    "SGD Nesterov": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "SGD foreach": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "foreach": True}),
    "SGD fused": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "fused": True}),
    "Adam": (torch.optim.Adam, {"lr": 0.02}),
    "Adam amsgrad": (torch.optim.Adam, {"lr": 0.02, "amsgrad": True}),
    "Adam foreach": (torch.optim.Adam, {"lr": 0.02, "foreach": True}),
    "Adam fused": (torch.optim.Adam, {"lr": 0.02, "fused": True}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.0}),
    "NAdam": (torch.optim.NAdam, {"lr": 0.02}),
    "RAdam": (torch.optim.RAdam, {"lr": 0.02}),
    "Adamax": (torch.optim.Adamax, {"lr": 0.02}),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.01}),
    "RMSprop momentum": (torch.optim.RMSprop, {"lr": 0.002, "momentum": 0.8}),
    "Adagrad": (torch.optim.Adagrad, {"lr": 0.5}),
    "Adadelta": (torch.optim.Adadelta, {"lr": 5.0}),
}
# With the penalty inside, where those above have it attached.
INSIDE: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "shrinkage SGD": (SGD, {"lr": 0.2}),
    "shrinkage SGD momentum": (SGD, {"lr": 0.05, "momentum": 0.9}),
    "shrinkage SGD dampening": (SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.5}),
    "shrinkage SGD Nesterov": (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "shrinkage Adam": (Adam, {"lr": 0.02}),
    "shrinkage Adam amsgrad": (Adam, {"lr": 0.02, "amsgrad": True}),
}
# How many times as large lr may be there; most then come to the rest in half the steps.
LARGER = {
    **dict.fromkeys(STEADY | INSIDE, 4.0),
    **dict.fromkeys(("SGD", "shrinkage SGD", "RMSprop"), 2.0),
    **dict.fromkeys(("RMSprop momentum", "Adadelta"), 1.0),
}


def factory(name: str) -> Factory:
    """The optimizer of that name as a function of its parameters."""
    kind, options = (STEADY | INSIDE)[name]
    return partial(kind, **options)


def hasty(name: str) -> Factory:
    """The same with a larger lr."""
    make = factory(name)
    return partial(make, lr=LARGER[name] * make.keywords["lr"])
