"""What `attach` refuses, and what it warns of: everything that would not do what is written."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import construction, terms
from shrinkage.penalties.text import HOWS
from shrinkage.torch.binding.bound import here
from shrinkage.torch.binding.clipping import SelfClipping, checked_max_norm
from shrinkage.torch.binding.sparsity import makes_zeros
from shrinkage.torch.facts.momentum import Memory
from shrinkage.torch.facts.own_step import rule_for
from shrinkage.torch.facts.weight_decay import own_decay, resolution
from shrinkage.torch.facts.wrappers import check_optimizer
from shrinkage.torch.models.normalized import divided_by_size
from shrinkage.torch.schedules import check_is_made

if TYPE_CHECKING:
    from shrinkage.torch.attaching.attachment import Attachment
    from shrinkage.torch.binding.bound import Bound
    from shrinkage.torch.regularizer import Regularizer

SCALES = ("lr", "schedule", "none")
ATTACHED = "_shrinkage_attached"  # on an optimizer: its attachments, which copies lose


def check_schedule(schedule: object) -> None:
    """Refuse a schedule that is no function, or that makes schedules."""
    if schedule is not None and not callable(schedule):
        raise TypeError(f"schedule must be a function of the step, got {schedule!r}")
    check_is_made("schedule", schedule)


def check_penalty(penalty: object) -> None:
    """Refuse what is neither a penalty nor a mapping to penalties."""
    for item in penalty.values() if isinstance(penalty, Mapping) else (penalty,):
        if not isinstance(item, Penalty) and not (item is None and isinstance(penalty, Mapping)):
            raise TypeError(
                "penalty must be a Penalty such as L1(1e-4), or a mapping of patterns to them, got "
                f"{item!r}{_hint(item)}"
            )


def _hint(item: object) -> str:
    """What to write in place of what is no penalty."""
    if isinstance(item, type) and issubclass(item, Penalty):
        return f"; give it its strength, {item.__name__}(1e-4)"
    if isinstance(item, Sequence | Set) and item and all(isinstance(one, Penalty) for one in item):
        return f"; add them up: {' + '.join(map(construction, item))}"
    if isinstance(item, str):
        return "; a text becomes one by shrinkage.parse(...)"
    return ""


def check_attachment(
    regularizer: Regularizer,
    optimizer: Optimizer,
    how: str,
    *,
    scale: str | None,
    metric: Any,
    max_norm: float | None = None,
) -> None:
    """Refuse with a sentence, or warn.

    Raises
    ------
    TypeError
        If `optimizer` is not a torch.optim.Optimizer, or `metric` not a function.
    ValueError
        For everything else.
    """
    check_optimizer(optimizer)
    _check_how(how, scale, metric)
    check_free(regularizer, optimizer)
    check_holds(regularizer, optimizer)
    _check_clipping(optimizer, checked_max_norm(max_norm))
    if how == "decoupled" and scale == "schedule":
        first = Memory()
        for group in optimizer.param_groups:
            first.first_lr(optimizer, group)
    for binding in regularizer.active:
        _check_binding(binding, optimizer, how, metric)
    if how == "proximal" and metric is None:
        rule_for(optimizer)
    _warn_of_weight_decay(regularizer, optimizer)
    warn_of_division(regularizer, how, stacklevel=5)
    _warn_of_low_precision(regularizer, optimizer, how, scale or "lr")


def attachments(optimizer: object) -> list[Attachment]:
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


def _check_clipping(optimizer: Optimizer, max_norm: float | None) -> None:
    """Refuse a clipping that would come after gradients of a penalty, or twice."""
    name, others = type(optimizer).__name__, attachments(optimizer)
    if isinstance(optimizer, SelfClipping):
        check_no_late_clipping(optimizer, optimizer.max_norm)
    if max_norm is not None and others:
        raise ValueError(
            f"max_norm={max_norm:g} clips for all that is attached to {name}, so it goes with what "
            f"is attached first, where max_norm is {others[0].max_norm}; leave it out here"
        )


def check_no_late_clipping(optimizer: object, max_norm: float | None) -> None:
    """Refuse an optimizer's own clipping beside what is attached to it.

    Raises
    ------
    ValueError
    """
    if max_norm is not None:
        raise ValueError(
            f"{type(optimizer).__name__} has max_norm={max_norm:g} and clips inside its step, "
            "after attached penalties have acted: set its max_norm to None, and give "
            f"max_norm={max_norm:g} to attach()"
        )


def check_free(regularizer: Regularizer, optimizer: Optimizer) -> None:
    """Refuse a second penalty on a parameter, attached or inside."""
    from shrinkage.torch.regularizer import Regularizer as Kind

    if regularizer._attachment is not None:
        raise ValueError(
            f"this regularizer is already attached ({regularizer._attachment.how}): it would be "
            "applied twice; call its detach() first, or add the penalties up into one"
        )
    mine = {id(part.parameter) for binding in regularizer.bindings for part in binding.parts}
    of_all = optimizer.__dict__.get("penalty")  # RDA has one for all of its groups
    for group in optimizer.param_groups:
        inside = group.get("penalty", of_all)
        held = group["params"] if isinstance(inside, Penalty) else ()
        if isinstance(inside, Kind) and (inside is not regularizer or inside is of_all):
            held = [parameter for _, parameter in inside.named_parameters()]
        if any(id(parameter) in mine for parameter in held):
            raise ValueError(
                f"{type(optimizer).__name__} has {inside!r} inside for the same parameters; "
                "add the penalties up into one"
            )
    for other in attachments(optimizer):
        for binding in other.regularizer.bindings:
            for part in binding.parts:
                if id(part.parameter) in mine:
                    raise ValueError(
                        f"{part.name} already has {binding.written!r} attached to this optimizer "
                        "by another regularizer; add the penalties up into one"
                    )


def check_holds(regularizer: Regularizer, optimizer: Optimizer) -> None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, w in regularizer.named_parameters() if id(w) not in held]
    if missing:
        names = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ValueError(
            f"{type(optimizer).__name__} does not hold {names}: give it these parameters, or leave "
            "them out with on= or a None in the mapping"
        )


def check_gradient(binding: Bound) -> None:
    """Refuse a penalty along which no gradient leads."""
    reason = binding.penalty.why_no_gradient()
    if reason is not None:
        raise ValueError(f"{binding.name}: {reason}")


@torch.no_grad()
def check_fit(name: str, penalty: Penalty, w: Tensor) -> None:
    """Refuse a penalty that is none of such an array, before anything has moved."""
    try:
        penalty._check_range(xp, torch.promote_types(w.dtype, torch.float32))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if all(term.is_separable for term in terms(penalty)):
        return
    try:
        penalty.value(torch.empty(w.shape, dtype=w.dtype, device="meta"))  # which has no memory
    except ValueError as error:
        raise ValueError(f"{name}: {error}; leave it out, or give it another penalty") from None
    except (RuntimeError, NotImplementedError):  # there is no such operation without memory
        return


def _check_binding(binding: Bound, optimizer: Optimizer, how: str, metric: Any) -> None:
    check_fit(binding.name, binding.penalty, binding.given())
    if how != "proximal":
        check_gradient(binding)
        return
    reason = binding.penalty.why_no_prox()
    plain = isinstance(optimizer, torch.optim.SGD) or metric is not None
    if not plain:
        reason = reason or binding.penalty.why_no_metric()
    if reason is not None:
        raise ValueError(f"{binding.name}: {reason}")
    if binding.given().is_complex() and not plain:
        raise ValueError(
            f"{binding.name} is complex: {type(optimizer).__name__} gives its real and imaginary "
            'parts different steps, in which no modulus can shrink; use SGD or how="coupled"'
        )
    if isinstance(optimizer, torch.optim.SparseAdam) and not (
        binding.penalty.is_by_row and len(binding.parts) == 1
    ):
        raise ValueError(
            f"{binding.name}: SparseAdam moves some rows at a time, so only penalties of single "
            'entries or of whole rows (groups="in" of an Embedding) can be proximal there, not '
            f"{binding.written!r}"
        )


def weight_decay(regularizer: Regularizer, optimizer: Optimizer) -> tuple[float, bool]:
    """The optimizer's own decay on penalized parameters, and whether it is known to be coupled."""
    penalized = {id(parameter) for _, parameter in regularizer.named_parameters()}
    for group in optimizer.param_groups:
        decay = own_decay(optimizer, group)
        if decay.strength and any(id(parameter) in penalized for parameter in group["params"]):
            return decay.strength, decay.joins_gradient
    return 0.0, False


def _warn_of_weight_decay(regularizer: Regularizer, optimizer: Optimizer) -> None:
    decay, coupled = weight_decay(regularizer, optimizer)
    if decay:
        said = beside_weight_decay(optimizer, decay, coupled, "attached penalty")
        warnings.warn(said, stacklevel=5)


def beside_weight_decay(optimizer: Optimizer, decay: float, coupled: bool, penalty: str) -> str:
    """The sentence on an optimizer's own decay beside a penalty."""
    what = (
        f"which adds ½·{decay:g}·Σw² to J, for every parameter of its group"
        if coupled
        else "which acts on the same weights: what is solved is then not J"
    )
    return (
        f"{type(optimizer).__name__} has weight_decay={decay:g} beside the {penalty}, {what}; set "
        f"weight_decay=0 and write L2.from_weight_decay({decay:g})"
    )


def warn_of_division(regularizer: Regularizer, how: str, *, stacklevel: int) -> None:
    """Warn where a weight that is divided by its size may become exactly 0, which is 0/0."""
    if how == "coupled":
        return
    divided = [
        (one.owner.name, divisor, one.penalty)
        for one in regularizer.selected
        if one.penalty is not None
        and makes_zeros(one.penalty)
        and (divisor := divided_by_size(one.owner)) is not None
    ]
    if divided:
        name, divisor, _ = divided[0]
        what = "a row" if divisor == "weight norm" else "the whole"
        names = ", ".join(other for other, _, _ in divided[1:])
        others = f" (so it is with {names})" if names else ""
        has_no_gradient = any(penalty.why_no_gradient() for _, _, penalty in divided)
        remedy = "" if has_no_gradient else ', or use how="coupled"'
        warnings.warn(
            f'{name}: how="{how}" can set {what} of it to exactly 0, and {divisor} divides by its '
            f"size, so that every output becomes NaN{others}; leave it out with a None in the "
            f"mapping{remedy}",
            stacklevel=stacklevel,
        )


def _warn_of_low_precision(
    regularizer: Regularizer, optimizer: Optimizer, how: str, scale: str
) -> None:
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for binding, part in regularizer.active_parts:
        w = part.parameter
        lost = lost_in_rounding(binding.penalty, w, groups[id(w)], optimizer, how, scale)
        if lost is not None:
            warnings.warn(f"{part.name} {lost}; keep float32 master weights", stacklevel=5)
            return


def lost_in_rounding(
    penalty: Penalty,
    w: Tensor,
    group: dict[str, Any],
    optimizer: Optimizer,
    how: str,
    scale: str,
) -> str | None:
    """What a 16-bit parameter cannot hold of its penalty, or None if it can."""
    finest = resolution(w)
    if finest is None:
        return None
    passes_through = how == "coupled" and (
        not isinstance(optimizer, torch.optim.SGD) or group["momentum"]
    )  # the optimizer's own arithmetic
    amount = 0.0 if passes_through else float(group["lr"] if scale == "lr" else 1.0)
    if how == "proximal":
        said = "has no exact rest, since moves under half its resolution are lost"
    elif 0 < (share := amount * _decay_share(penalty, w)) < finest:
        said = cannot_hold(share)
    else:
        return None
    return in_that_type(w, said)


def cannot_hold(share: float) -> str:
    return f"cannot hold a decay of {share:.1g} a step: weights this size do not move at all"


def in_that_type(w: Tensor, said: str) -> str:
    """A sentence on a 16-bit parameter, with its type and its resolution."""
    dtype = str(w.dtype).removeprefix("torch.")
    return f"is {dtype}, which {said} (resolution {resolution(w):.1g})"


def _decay_share(penalty: Penalty, w: Tensor) -> float:
    """∂Ω of a weight of usual size, as a share of it."""
    absolute, square, _ = penalty.split()
    size = float(here(w.detach()).float().abs().mean())  # of this process' part, without the others
    return 2 * square + absolute / max(size, 1e-30)
