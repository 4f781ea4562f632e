"""SGD with decoupled weight decay, by torch operations.

The sandbox uses it to show what unscaled decay does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from shrinkage.penalties import L1, L2
from shrinkage.penalties.arrays import checked_strength
from shrinkage.torch.tensors.updates import decay_, threshold_


class SGDW(Optimizer):
    """SGD with decoupled weight decay (Loshchilov and Hutter 2019), by the L2 or the L1 norm.

    With ``weight_norm=2`` a step is ``w ← (1 − scale·weight_decay)·w``, then SGD's update: the
    decoupled ``L2(weight_decay/2)``. With ``weight_norm=1`` it is SGD's update, then ``|w|`` less
    ``scale·weight_decay``, stopping at 0: the decoupled ``L1(weight_decay)``.

    Parameters
    ----------
    params : iterable of parameters or of groups
        Every one of them decays, biases too, as in torch.optim.
    lr : float
        The learning rate, at least 0.
    momentum : float, default 0
        From 0 to below 1; ``buffer ← momentum·buffer + gradient``.
    weight_decay : float, default 0
        The strength, at least 0.
    weight_norm : {2, 1}, default 2
        Which norm decays.
    scale : {"none", "lr"}, default "none"
        Whether the strength is taken as it is, or times the learning rate as in
        ``torch.optim.AdamW``.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.tensor([1.0, -1.5]))
    >>> w.grad = torch.zeros(2)
    >>> SGDW([w], lr=0.1, weight_decay=0.1).step()
    >>> [round(x, 6) for x in w.tolist()]
    [0.9, -1.35]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        weight_norm: int = 2,
        scale: str = "none",
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "weight_norm": weight_norm,
            "scale": scale,
        }
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; options of the group's own are checked like those of the constructor."""
        options = {**self.defaults, **param_group}
        lr, momentum, norm = options["lr"], options["momentum"], options["weight_norm"]
        if not 0.0 <= lr < math.inf:
            raise ValueError(f"lr must be >= 0 and finite, got {lr}")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be >= 0 and < 1, got {momentum}")
        checked_strength("weight_decay", options["weight_decay"])
        if norm not in (1, 2):
            raise ValueError(f"weight_norm must be 1 or 2, got {norm!r}")
        if options["scale"] not in ("none", "lr"):
            raise ValueError(f'scale must be "none" or "lr", got {options["scale"]!r}')
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure`, if given, evaluates the loss and its gradients again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            strength = group["weight_decay"]
            penalty = L1(strength) if group["weight_norm"] == 1 else L2.from_weight_decay(strength)
            amount = group["lr"] if group["scale"] == "lr" else 1.0
            for parameter in group["params"]:
                direction = parameter.grad
                if direction is None:
                    continue
                decay_(parameter, penalty, amount)
                if group["momentum"]:
                    state = self.state[parameter]
                    if "momentum_buffer" in state:
                        state["momentum_buffer"].mul_(group["momentum"]).add_(direction)
                    else:
                        state["momentum_buffer"] = direction.clone()
                    direction = state["momentum_buffer"]
                parameter.add_(direction, alpha=-float(group["lr"]))
                threshold_(parameter, penalty, amount)
        return loss
