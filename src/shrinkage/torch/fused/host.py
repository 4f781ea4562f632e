"""The `Host` of a regularizer whose penalties are inside an optimizer.

It lets `print(regularizer)`, `audit` and `detach()` work in the same way for penalties that are
attached and for penalties inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint import carry, resume_loaded, stop_carrying
from shrinkage.torch.binding.checks import check_free, check_holds, warn_of_division
from shrinkage.torch.binding.max_norm import describe_clipping
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.own_step import Group, Metric
from shrinkage.torch.facts.weight_decay import beside_weight_decay, own_decay
from shrinkage.torch.fused.parameters import decoupled_amount_in
from shrinkage.torch.fused.rule import UpdateRule
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.wording.effects import describe_objective
from shrinkage.user_warning import warn_user


class FusedHost:
    """The `Host` of penalties inside an optimizer, which reads the optimizer's present groups."""

    metric: Metric | None = None
    stepped_by: str | None = None

    def __init__(self, bound: BoundModel, optimizer: Optimizer, rule: UpdateRule) -> None:
        self.bound, self.optimizer, self.rule = bound, optimizer, rule
        carry(optimizer, bound)
        bound.host = self

    def end(self) -> None:
        """End the tie: the optimizer has these penalties inside no longer."""
        stop_carrying(self.optimizer, self.bound)
        self.bound.host = None

    @property
    def group(self) -> Group:
        """The first group with the regularizer; the first of all where it was just removed."""
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
        limit: float | None = self.optimizer.defaults["max_norm"]
        return limit

    def detach(self) -> None:
        """Remove the penalties from the optimizer, which continues without them."""
        for group in self.optimizer.param_groups:
            if self._is_inside(group):
                group["penalty"] = None
        self.end()

    def amount(self, group: Group, lr: float | None = None) -> float:
        """The number by which a decoupled strength is multiplied in a group, now or at `lr`."""
        options = group if lr is None else {**group, "lr": lr}
        return decoupled_amount_in(options, self.bound.multiplier)

    def own_step(self, group: Group, part: BoundParameter) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        return self.rule.own_step(group, self.optimizer.state.get(part.parameter, {}))

    def __repr__(self) -> str:
        clips = describe_clipping(self.max_norm)
        return (
            f"{self.how} inside {type(self.optimizer).__name__}: {describe_objective(self)}{clips}"
        )


def bind_hosts(optimizer: Optimizer, rule: UpdateRule, before: Sequence[object]) -> None:
    """Make hosts for the regularizers that are new in the groups, and end those that are gone.

    Raises
    ------
    ValueError
        If one of them is attached elsewhere, or penalizes what the optimizer does not step.
    """
    present = bound_models(optimizer)
    for penalty in before:
        host = penalty.bound.host if isinstance(penalty, Regularized) else None
        if _is_of(host, optimizer) and host.bound not in present:
            host.end()
    for bound in present:
        if not _is_of(bound.host, optimizer):
            check_free(bound, optimizer)
            how = FusedHost(bound, optimizer, rule).how
            warn_of_division(bound, how)
        check_holds(bound, optimizer)
    if present:
        resume_loaded(optimizer)


def _is_of(host: object, optimizer: Optimizer) -> TypeGuard[FusedHost]:
    return isinstance(host, FusedHost) and host.optimizer is optimizer


def bound_models(optimizer: Optimizer) -> list[BoundModel]:
    """The bound models of the regularizers in the groups, each once."""
    penalties = [group["penalty"] for group in optimizer.param_groups]
    return [*{held.bound: None for held in penalties if isinstance(held, Regularized)}]


def warn_of_weight_decay(optimizer: Optimizer) -> bool:
    """Warn if the optimizer's own decay acts on penalized parameters; return whether it does."""
    for group in optimizer.param_groups:
        decay, penalty = own_decay(optimizer, group), group["penalty"]
        named = penalty.bound.named_parameters() if isinstance(penalty, Regularized) else []
        penalized = {id(parameter) for _, parameter in named}
        if decay.strength and (
            isinstance(penalty, Penalty)
            or any(id(parameter) in penalized for parameter in group["params"])
        ):
            sentence = beside_weight_decay(optimizer, decay, "penalty inside")
            warn_user(sentence)
            return True
    return False
