"""What stands for an optimizer with a regularizer's penalties inside, as its `Host`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from shrinkage.torch.binding.bound import Part
from shrinkage.torch.binding.carrying import carry, drop
from shrinkage.torch.binding.clipping import clipping_in_words
from shrinkage.torch.binding.core import BoundModel
from shrinkage.torch.facts.own_step import Group, UserMetric
from shrinkage.torch.fused.parameters import decoupled_amount
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.wording.effects import objective

if TYPE_CHECKING:
    from shrinkage.torch.fused.base import Inside


class Tie:
    """The `Host` of penalties inside an optimizer, which answers from its present groups."""

    metric: UserMetric | None = None
    stepped_by: str | None = None

    def __init__(self, bound: BoundModel, optimizer: Inside) -> None:
        self.bound, self.optimizer = bound, optimizer
        carry(optimizer, bound)
        bound.host = self

    def end(self) -> None:
        """The optimizer has them inside no longer."""
        drop(self.optimizer, self.bound)
        self.bound.host = None

    def is_to(self, optimizer: object) -> bool:
        return self.optimizer is optimizer

    @property
    def group(self) -> Group:
        """The first group that holds it; the first of all where it was just taken out."""
        groups = self.optimizer.param_groups
        return next((group for group in groups if self._is_inside(group)), groups[0])

    def _is_inside(self, group: Group) -> bool:
        return getattr(group["penalty"], "bound", None) is self.bound

    @property
    def how(self) -> str:
        return str(self.group["how"])

    @property
    def scale(self) -> str | None:
        return str(self.group["scale"])

    @property
    def max_norm(self) -> float | None:
        return self.optimizer.max_norm

    def detach(self) -> None:
        """Take the penalties out of the optimizer, which goes on without them."""
        for group in self.optimizer.param_groups:
            if self._is_inside(group):
                group["penalty"] = None
        self.end()

    def amount(self, group: Group, lr: float | None = None) -> float:
        """What a decoupled strength is multiplied by in this group, now or at another `lr`."""
        there = group if lr is None else {**group, "lr": lr}
        return decoupled_amount(there, self.bound.factor)

    def state_of(self, part: Part) -> dict[str, Tensor]:
        """The tensors in the optimizer's state for one parameter."""
        state: dict[str, Tensor] = self.optimizer.state.get(part.parameter, {})
        return state

    def own_step(self, group: Group, part: Part) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        return self.optimizer._own_step(group, self.state_of(part))

    def __repr__(self) -> str:
        clips = clipping_in_words(self.max_norm)
        return f"{self.how} inside {type(self.optimizer).__name__}: {objective(self)}{clips}"
