"""What a regularizer must remember of an optimizer from step to step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from shrinkage.torch.metric import Group, buffer_share, full_buffer_share

if TYPE_CHECKING:
    from shrinkage.torch.binding import Part


class Memory:
    """How full SGD's momentum buffers are, and the learning rates at the beginning.

    torch's own state shows neither, so both travel in the regularizer's ``state_dict``.
    """

    def __init__(self) -> None:
        self.buffers: dict[str, float] = {}  # b, where the buffer of that name holds b·g
        self.first_lrs: list[float] = []  # a group each
        self._restored = False  # from a checkpoint, and no step since

    def begin(self, optimizer: Optimizer) -> None:
        """At attach: nothing was seen yet, but for what a checkpoint brought."""
        if not self._restored:
            self.buffers.clear()
            self.first_lrs = [float(group["lr"]) for group in optimizer.param_groups]

    def forget_buffers(self, optimizer: Optimizer) -> None:
        """After the optimizer loaded other buffers, unless their fill was loaded too."""
        if not self._restored:
            self.buffers.clear()

    def end(self) -> None:
        """At detach: what the optimizer does from now on is not seen."""
        self.buffers.clear()
        self.first_lrs.clear()
        self._restored = False

    def stepped(self) -> None:
        """After each step."""
        self._restored = False

    def settle(self, optimizer: Optimizer, parts: Iterable[tuple[Group, Part]]) -> None:
        """Before a step: buffers that were not seen to fill count as full, absent ones as empty."""
        if not isinstance(optimizer, torch.optim.SGD):
            return
        for group, part in parts:
            state = optimizer.state.get(part.parameter, {})
            if state.get("momentum_buffer") is None:
                self.buffers.pop(part.name, None)
            elif part.name not in self.buffers:
                self.buffers[part.name] = full_buffer_share(group)

    def count(self, optimizer: Optimizer, group: Group, name: str) -> None:
        """After a step that filled the buffer of that name further."""
        if isinstance(optimizer, torch.optim.SGD) and group["momentum"]:
            self.buffers[name] = buffer_share(group, self.buffers.get(name))

    def first_lr(self, optimizer: Optimizer, group: Group) -> float:
        """lr₀: the group's `initial_lr`, else its learning rate when it was first seen.

        Raises
        ------
        ValueError
            If it is 0.
        """
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
        self._restored = True
