"""How full SGD's momentum buffers are, which torch's own state does not show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.torch.facts.own_step import Group, buffer_share, full_buffer_share

Named = tuple[Group, str, Tensor]  # a parameter with its group and its name


class MomentumFill:
    """How full SGD's momentum buffers are, and the learning rates at the beginning.

    torch's own state shows neither, so both travel in the regularizer's ``state_dict`` and with
    the optimizer's.
    """

    def __init__(self) -> None:
        self.buffers: dict[str, float] = {}  # b, where the buffer of that name holds b·g
        self.first_lrs: list[float] = []  # of each group
        self.is_restored = False  # whether `load_state_dict` was called and no step since

    def start(self, optimizer: Optimizer) -> None:
        """Start at attach, with what a checkpoint brought and else nothing."""
        if not self.is_restored:
            self.buffers.clear()
            self.first_lrs = [float(group["lr"]) for group in optimizer.param_groups]

    def clear(self) -> None:
        """Forget everything at detach, since later steps are not seen."""
        self.buffers.clear()
        self.first_lrs.clear()
        self.is_restored = False

    def prepare(self, optimizer: Optimizer, parameters: Iterable[Named]) -> None:
        """Before a step: buffers filled elsewhere count as full, missing ones as empty."""
        if not isinstance(optimizer, torch.optim.SGD):
            return
        for group, name, parameter in parameters:
            state = optimizer.state.get(parameter, {})
            if state.get("momentum_buffer") is None:
                self.buffers.pop(name, None)
            elif name not in self.buffers:
                self.buffers[name] = full_buffer_share(group)

    def count(self, optimizer: Optimizer, moved: Iterable[Named]) -> None:
        """After a step: it has filled the buffers of the moved parameters further."""
        if isinstance(optimizer, torch.optim.SGD):
            for group, name, _ in moved:
                if group["momentum"]:
                    self.buffers[name] = buffer_share(group, self.buffers.get(name))

    def note_empty(self, optimizer: Optimizer, parameters: Iterable[Named]) -> None:
        """Note that torch has made the state by a step of zeros, so that buffers hold 0·g."""
        for _, name, parameter in parameters:
            if optimizer.state.get(parameter, {}).get("momentum_buffer") is not None:
                self.buffers[name] = 0.0

    def first_lr(self, optimizer: Optimizer, group: Group) -> float:
        """lr₀: the group's `initial_lr`, else its learning rate when it was first seen; not 0."""
        groups = optimizer.param_groups
        self.first_lrs += [float(late["lr"]) for late in groups[len(self.first_lrs) :]]
        number = next(number for number, other in enumerate(groups) if other is group)
        first = float(group.get("initial_lr", self.first_lrs[number]))
        if first <= 0:
            raise ValueError(
                f'scale="schedule" divides by the first learning rate, which is {first:g} in group '
                f'{number}; set initial_lr there, or use scale="lr"'
            )
        return first

    def state_dict(self) -> dict[str, Any]:
        return {"momentum": dict(self.buffers), "first_lrs": list(self.first_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.buffers = {name: float(share) for name, share in state["momentum"].items()}
        self.first_lrs = [float(lr) for lr in state["first_lrs"]]
        self.is_restored = True
