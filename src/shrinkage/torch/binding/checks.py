"""Checks of a bound model and an optimizer: what is refused and what is warned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.describing import construction
from shrinkage.torch.binding.bound_model import BoundModel, attachments_of
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.binding.sparsity import makes_zeros
from shrinkage.torch.models.effective import ZEROED, divided_by_size
from shrinkage.user_warning import warn_user


def check_penalty(penalty: object) -> None:
    """Refuse what is neither a penalty nor a mapping to penalties."""
    for item in penalty.values() if isinstance(penalty, Mapping) else (penalty,):
        if not isinstance(item, Penalty) and not (item is None and isinstance(penalty, Mapping)):
            raise TypeError(
                "penalty must be a Penalty such as L1(1e-4), or a mapping of patterns to them, got "
                f"{item!r}{_suggest(item)}"
            )


def _suggest(item: object) -> str:
    """The hint that says what to write instead."""
    if isinstance(item, type) and issubclass(item, Penalty):
        return f"; give it its strength, {item.__name__}(1e-4)"
    if (
        isinstance(item, Sequence | Set)
        and item
        and all(isinstance(each, Penalty) for each in item)
    ):
        return f"; add them up: {' + '.join(map(construction, item))}"
    if isinstance(item, str):
        return "; a text becomes one by shrinkage.parse(...)"
    return ""


@torch.no_grad()
def check_fit(name: str, penalty: Penalty, w: Tensor) -> None:
    """Refuse a penalty that does not fit such an array, before anything has moved."""
    try:
        penalty._check_range(xp, torch.promote_types(w.dtype, torch.float32))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if penalty.traits.is_separable:
        return
    try:
        penalty.value(torch.empty(w.shape, dtype=w.dtype, device="meta"))  # takes no memory
    except ValueError as error:
        raise ValueError(f"{name}: {error}; leave it out, or give it another penalty") from None
    except (RuntimeError, NotImplementedError):  # an operation that meta tensors do not support
        return


def warn_of_division(bound: BoundModel, how: str) -> None:
    """Warn where a weight that is divided by its size may become exactly 0, since 0/0 is NaN."""
    if how == "coupled":
        return
    divided = [
        (selected.owner.name, divisor, selected.penalty)
        for selected in bound.selected
        if selected.penalty is not None
        and makes_zeros(selected.penalty)
        and (divisor := divided_by_size(selected.owner)) is not None
    ]
    if divided:
        name, divisor, _ = divided[0]
        names = ", ".join(other for other, _, _ in divided[1:])
        others = f" (so it is with {names})" if names else ""
        has_no_gradient = any(penalty.why_not("gradient") for _, _, penalty in divided)
        remedy = "" if has_no_gradient else ', or use how="coupled"'
        warn_user(
            f'{name}: how="{how}" can set {ZEROED[divisor]} of it to exactly 0, and {divisor} '
            f"divides by its size, so that every output becomes NaN{others}; leave it out with a "
            f"None in the mapping{remedy}",
        )


def check_free(bound: BoundModel, optimizer: Optimizer) -> None:
    """Refuse a second penalty on a parameter, attached or inside."""
    if bound.host is not None:
        raise ValueError(
            f"this regularizer is already attached ({bound.host.how}): it would be "
            "applied twice; call its detach() first, or add the penalties up into one"
        )
    penalized = {id(part.parameter) for part in bound.parts}
    for group in optimizer.param_groups:
        inside = optimizer.penalty_of(group) if isinstance(optimizer, SelfClipping) else None
        held = group["params"] if isinstance(inside, Penalty) else ()
        is_taken_in_now = group.get("penalty") is inside
        if isinstance(inside, Regularized) and not (is_taken_in_now and inside.bound is bound):
            held = [parameter for _, parameter in inside.bound.named_parameters()]
        if any(id(parameter) in penalized for parameter in held):
            raise ValueError(
                f"{type(optimizer).__name__} has {inside!r} inside for the same parameters; "
                "add the penalties up into one"
            )
    for other in attachments_of(optimizer):
        for binding in other.bound.bindings:
            for part in binding.parts:
                if id(part.parameter) in penalized:
                    raise ValueError(
                        f"{part.name} already has {binding.written!r} attached to this optimizer "
                        "by another regularizer; add the penalties up into one"
                    )


def check_holds(bound: BoundModel, optimizer: Optimizer) -> None:
    """Refuse an optimizer that does not step all parameters that are penalized and not frozen."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, w in bound.named_parameters() if id(w) not in held]
    if missing:
        names = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ValueError(
            f"{type(optimizer).__name__} does not hold {names}: give it these parameters, or leave "
            "them out with on= or a None in the mapping"
        )
