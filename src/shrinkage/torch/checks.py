"""What `attach` refuses, and what it warns of: everything that would not do what is written."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.text import HOWS
from shrinkage.torch.memory import Memory
from shrinkage.torch.metric import rule_for

if TYPE_CHECKING:
    from shrinkage.torch.application import Attachment
    from shrinkage.torch.binding import Binding
    from shrinkage.torch.regularizer import Regularizer

SCALES = ("lr", "schedule", "none")
# In these weight_decay joins the gradient; in AdamW, Muon, Adafactor, SGDW and others it does not.
COUPLED = {"SGD", "Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "ASGD"}
ATTACHED = "_shrinkage_attached"  # on an optimizer: its attachments, which copies lose


def check_schedule(schedule: object) -> None:
    """Refuse a schedule that is no function."""
    if schedule is not None and not callable(schedule):
        raise TypeError(f"schedule must be a function of the step, got {schedule!r}")


def check_penalty(penalty: object) -> None:
    """Refuse what is neither a penalty nor a mapping to penalties."""
    for item in penalty.values() if isinstance(penalty, Mapping) else (penalty,):
        if not isinstance(item, Penalty) and not (item is None and isinstance(penalty, Mapping)):
            raise TypeError(
                "penalty must be a Penalty such as L1(1e-4), or a mapping of patterns to them, got "
                f"{item!r}"
            )


def check_attachment(
    regularizer: Regularizer, optimizer: Optimizer, how: str, *, scale: str | None, metric: Any
) -> None:
    """Refuse with a sentence, or warn.

    Raises
    ------
    TypeError
        If `optimizer` is not a torch.optim.Optimizer, or `metric` not a function.
    ValueError
        For everything else.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {optimizer!r}")
    _check_how(how, scale, metric)
    check_free(regularizer, optimizer)
    check_holds(regularizer, optimizer)
    if how == "decoupled" and scale == "schedule":
        first = Memory()
        for group in optimizer.param_groups:
            first.first_lr(optimizer, group)
    for binding in regularizer.active:
        _check_binding(binding, optimizer, how, metric)
    if how == "proximal" and metric is None:
        rule_for(optimizer)
    _warn_of_weight_decay(regularizer, optimizer)
    _warn_of_low_precision(regularizer, optimizer, how, scale or "lr")


def attachments(optimizer: Optimizer) -> list[Attachment]:
    """What is attached to an optimizer now."""
    found: list[Attachment] = optimizer.__dict__.get(ATTACHED, [])
    return found


def _check_how(how: str, scale: str | None, metric: Any) -> None:
    if how == "loss":
        raise ValueError(
            'how="loss" needs no attach(): add regularizer.penalty() to the loss; '
            'how="coupled" gives the same numbers without a graph'
        )
    if how not in HOWS:
        near = difflib.get_close_matches(str(how), HOWS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f'how must be "coupled", "decoupled" or "proximal", got {how!r}{hint}')
    if scale is not None and how != "decoupled":
        raise ValueError(f'scale={scale!r} goes with how="decoupled" alone, not with {how!r}')
    if scale is not None and scale not in SCALES:
        raise ValueError(f'scale must be "lr", "schedule" or "none", got {scale!r}')
    if metric is not None and how != "proximal":
        raise ValueError(f'metric= goes with how="proximal" alone, not with {how!r}')
    if metric is not None and not callable(metric):
        raise TypeError(f"metric must be a function (optimizer, group, parameter), got {metric!r}")


def check_free(regularizer: Regularizer, optimizer: Optimizer) -> None:
    """Refuse a second penalty on a parameter, attached or inside."""
    from shrinkage.torch.regularizer import Regularizer as Bound

    if regularizer._attachment is not None:
        raise ValueError(
            f"this regularizer is already attached ({regularizer._attachment.how}): it would be "
            "applied twice; call its detach() first, or add the penalties up into one"
        )
    mine = {id(binding.parameter): binding.name for binding in regularizer.bindings}
    for group in optimizer.param_groups:
        inside = group.get("penalty")
        held = group["params"] if isinstance(inside, Penalty) else ()
        if isinstance(inside, Bound) and inside is not regularizer:
            held = [binding.parameter for binding in inside.bindings]
        if any(id(parameter) in mine for parameter in held):
            raise ValueError(
                f"{type(optimizer).__name__} has {group['penalty']!r} inside for the same "
                "parameters; add the penalties up into one"
            )
    for other in attachments(optimizer):
        for binding in other.regularizer.bindings:
            if id(binding.parameter) in mine:
                raise ValueError(
                    f"{mine[id(binding.parameter)]} already has {binding.written!r} attached to "
                    "this optimizer by another regularizer; add the penalties up into one"
                )


def check_holds(regularizer: Regularizer, optimizer: Optimizer) -> None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [b.name for b in regularizer.active if id(b.parameter) not in held]
    if missing:
        names = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ValueError(
            f"{type(optimizer).__name__} does not hold {names}: give it these parameters, or leave "
            "them out with on= or a None in the mapping"
        )


def check_gradient(binding: Binding) -> None:
    """Refuse a penalty along which no gradient leads."""
    reason = binding.penalty.why_no_gradient()
    if reason is not None:
        raise ValueError(f"{binding.name}: {reason}")


def _check_binding(binding: Binding, optimizer: Optimizer, how: str, metric: Any) -> None:
    if how != "proximal":
        check_gradient(binding)
        return
    reason = binding.penalty.why_no_prox()
    plain = isinstance(optimizer, torch.optim.SGD) or metric is not None
    if not plain:
        reason = reason or binding.penalty.why_no_metric()
    if reason is not None:
        raise ValueError(f"{binding.name}: {reason}")
    if binding.parameter.is_complex() and not plain:
        raise ValueError(
            f"{binding.name} is complex: {type(optimizer).__name__} gives its real and imaginary "
            'parts different steps, in which no modulus can shrink; use SGD or how="coupled"'
        )
    if isinstance(optimizer, torch.optim.SparseAdam) and not binding.penalty.is_by_row:
        raise ValueError(
            f"{binding.name}: SparseAdam moves some rows at a time, so only penalties of single "
            'entries or of whole rows (groups="in" of an Embedding) can be proximal there, not '
            f"{binding.written!r}"
        )


def weight_decay(regularizer: Regularizer, optimizer: Optimizer) -> tuple[float, bool]:
    """The optimizer's own decay on penalized parameters, and whether it is known to be coupled."""
    penalized = {id(binding.parameter) for binding in regularizer.active}
    for group in optimizer.param_groups:
        decay = group.get("weight_decay", 0)
        if decay and any(id(parameter) in penalized for parameter in group["params"]):
            coupled = type(optimizer).__name__ in COUPLED
            return float(decay), coupled and not group.get("decoupled_weight_decay", False)
    return 0.0, False


def _warn_of_weight_decay(regularizer: Regularizer, optimizer: Optimizer) -> None:
    decay, coupled = weight_decay(regularizer, optimizer)
    if decay:
        what = (
            f"which adds ½·{decay:g}·Σw² to J, for every parameter of its group"
            if coupled
            else "which acts on the same weights: what is solved is then not J"
        )
        warnings.warn(
            f"{type(optimizer).__name__} has weight_decay={decay:g} beside the attached penalty, "
            f"{what}; set weight_decay=0 and write "
            f"L2.from_weight_decay({decay:g})",
            stacklevel=5,
        )


def _warn_of_low_precision(
    regularizer: Regularizer, optimizer: Optimizer, how: str, scale: str
) -> None:
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for binding in regularizer.active:
        w = binding.parameter
        if w.dtype not in (torch.float16, torch.bfloat16):
            continue
        resolution = torch.finfo(w.dtype).eps / 2
        if how == "proximal":
            said = "has no exact rest, since moves under half its resolution are lost"
        elif 0 < (share := _decay_share(binding, groups, scale, optimizer, how)) < resolution:
            said = (
                f"cannot hold a decay of {share:.1g} a step: weights this size do not move at all"
            )
        else:
            continue
        warnings.warn(
            f"{binding.name} is {str(w.dtype).removeprefix('torch.')}, which {said} (resolution "
            f"{resolution:.1g}); keep float32 master weights",
            stacklevel=5,
        )
        return


def _decay_share(
    binding: Binding, groups: dict[int, dict[str, Any]], scale: str, optimizer: Optimizer, how: str
) -> float:
    """How far the penalty alone moves a weight of usual size in a step, as a share of it.

    0 where that passes through an optimizer's own arithmetic.
    """
    group = groups[id(binding.parameter)]
    if how == "coupled" and (not isinstance(optimizer, torch.optim.SGD) or group["momentum"]):
        return 0.0
    lr = group["lr"] if scale == "lr" else 1.0
    absolute, square, _ = binding.penalty.split()
    size: Tensor = binding.parameter.detach().float().abs().mean()
    return float(lr) * (2 * square + absolute / max(float(size), 1e-30))
