"""What ties a regularizer to an optimizer that has it inside, in the place of an attachment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from shrinkage.torch.binding.carrying import carry, drop
from shrinkage.torch.binding.clipping import clipping_in_words
from shrinkage.torch.facts.own_step import Group, OwnStep
from shrinkage.torch.fused.parameters import decoupled_amount

if TYPE_CHECKING:
    from shrinkage.torch.binding.bound import Binding
    from shrinkage.torch.fused.base import Inside
    from shrinkage.torch.regularizer import Regularizer


class Tie:
    """What `print(regularizer)` asks of an attachment, answered by the optimizer itself."""

    metric = None

    def __init__(self, regularizer: Regularizer, optimizer: Inside) -> None:
        self.regularizer, self.optimizer = regularizer, optimizer
        carry(optimizer, regularizer)
        regularizer._attachment = self  # type: ignore[assignment]

    def end(self) -> None:
        """The optimizer has it inside no longer."""
        drop(self.optimizer, self.regularizer)
        self.regularizer._attachment = None

    def is_to(self, optimizer: object) -> bool:
        return self.optimizer is optimizer

    @property
    def group(self) -> Group:
        """The first group that holds it; the first of all where it was just taken out."""
        groups = self.optimizer.param_groups
        return next((group for group in groups if group["penalty"] is self.regularizer), groups[0])

    @property
    def how(self) -> str:
        return str(self.group["how"])

    @property
    def scale(self) -> str:
        return str(self.group["scale"])

    def detach(self) -> None:
        """Take the penalty out of the optimizer, which goes on without it."""
        for group in self.optimizer.param_groups:
            if group["penalty"] is self.regularizer:
                group["penalty"] = None

    def amount(self, group: Group, lr: float | None = None) -> float:
        """What a decoupled strength is multiplied by in this group, now or at another `lr`."""
        there = group if lr is None else {**group, "lr": lr}
        return decoupled_amount(there, self.regularizer.factor)

    def state_of(self, binding: Binding) -> dict[str, Tensor]:
        """The tensors in the optimizer's state for one parameter."""
        state: dict[str, Tensor] = self.optimizer.state.get(binding.parameter, {})
        return state

    def own_step(self, group: Group, binding: Binding) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        return self.optimizer.rule.own_step(group, self.state_of(binding))

    def __repr__(self) -> str:
        from shrinkage.torch.auditing.table import objective

        clips = clipping_in_words(self.optimizer.max_norm)
        return f"{self.how} inside {type(self.optimizer).__name__}: {objective(self)}{clips}"
