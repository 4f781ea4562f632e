"""The option `max_norm`: the optimizer or attachment clips at the beginning of each step."""

from __future__ import annotations

from typing import Any, ClassVar

from shrinkage.penalties.arrays import checked_number
from shrinkage.torch.binding.bound_model import attachments_of
from shrinkage.torch.binding.clipping import clip_


class SelfClipping:
    """An optimizer with a penalty inside, which can clip at the beginning of its steps."""

    defaults: dict[str, Any]
    param_groups: list[dict[str, Any]]
    has_penalty_in_groups: ClassVar[bool]  # else it has one penalty for all groups

    def penalty_of(self, group: dict[str, Any]) -> Any:
        """The penalty inside for the parameters of a group: a Penalty, a Regularizer or None.

        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import SGD
        >>> optimizer = SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, penalty=L1(0.5))
        >>> optimizer.penalty_of(optimizer.param_groups[0])
        L1(lam=0.5): 0.5·Σ|w|
        """
        raise NotImplementedError

    @property
    def max_norm(self) -> float | None:
        """The norm to which a step clips the gradients of all groups, and the strengths with them;
        None: to none."""
        max_norm: float | None = self.defaults.get("max_norm")
        return max_norm

    @max_norm.setter
    def max_norm(self, max_norm: float | None) -> None:
        limit = checked_max_norm(max_norm)
        if attachments_of(self):
            check_no_late_clipping(self, limit)
        self.defaults["max_norm"] = limit

    def _clip(self) -> None:
        if self.max_norm is not None:
            clip_([p for group in self.param_groups for p in group["params"]], self.max_norm)


def checked_max_norm(max_norm: float | None) -> float | None:
    """Check the option of an optimizer or an attachment: a number above 0, or None."""
    if max_norm is None:
        return None
    number = checked_number("max_norm", max_norm)
    if not number > 0.0:
        raise ValueError(f"max_norm must be > 0, or None to clip nothing, got {number}")
    return number


def check_no_late_clipping(optimizer: object, max_norm: float | None) -> None:
    """Refuse that an optimizer clips by itself while a penalty is attached to it."""
    if max_norm is not None:
        raise ValueError(
            f"{type(optimizer).__name__} has max_norm={max_norm:g} and clips inside its step, "
            "after attached penalties have acted: set its max_norm to None, and give "
            f"max_norm={max_norm:g} to attach()"
        )


def check_group_has_no_norm(optimizer: object, param_group: object) -> None:
    """Refuse the option in a single group, where no step would read it."""
    if isinstance(param_group, dict) and "max_norm" in param_group:
        raise ValueError(
            "max_norm is the norm of all groups together, so a group has none: give it to "
            f"{type(optimizer).__name__}, or clip with regularizer.clip_grad_norm_()"
        )


def describe_clipping(max_norm: float | None) -> str:
    """The clause on clipping that follows the objective in a printed optimizer or attachment."""
    return "" if max_norm is None else f"; gradients are clipped to norm {max_norm:g}"
