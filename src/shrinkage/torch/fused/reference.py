"""The step with the penalty inside as torch operations: any device, any type, any layout.

It is what the compiled loops are held equal to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shrinkage.torch.fused.parameters import HALF
from shrinkage.torch.tensors.updates import decay_, prox_, threshold_

if TYPE_CHECKING:
    from shrinkage.torch.fused.base import Inside
    from shrinkage.torch.fused.parameters import Entry


def by_torch(optimizer: Inside, entries: Sequence[Entry]) -> None:
    """Step these parameters, group by group, with torch's own function for the update."""
    step = torch.compile(_step_group) if optimizer.defaults["compile"] else _step_group
    # Read once: another thread may take the gradients away meanwhile.
    read = [(entry, entry.parameter.grad) for entry in entries]
    moving = [(entry, gradient) for entry, gradient in read if gradient is not None]
    for _, members in groupby(moving, key=lambda one: id(one[0].group)):
        together, gradients = map(list, zip(*members, strict=True))
        for entry in together:
            optimizer._prepare(entry)
            optimizer._count(entry)
        step(optimizer, together, gradients)
        for entry in together:
            entry.begins = False


def _step_group(optimizer: Inside, entries: Sequence[Entry], given: Sequence[Tensor]) -> None:
    weights = [_wide(entry.parameter) for entry in entries]
    gradients = list(map(_pulled, entries, weights, given))
    for entry, w in zip(entries, weights, strict=True):
        if entry.penalty is not None and _acts(entry, "decoupled"):
            decay_(w, entry.penalty, entry.factor)
    optimizer._step_by_torch(entries, weights, gradients)
    for entry, w in zip(entries, weights, strict=True):
        _finish_(optimizer, entry, w)
        if w is not entry.parameter:
            entry.parameter.copy_(w)


def _finish_(optimizer: Inside, entry: Entry, w: Tensor) -> None:
    """What comes after the update."""
    if entry.penalty is None:
        return
    if _acts(entry, "decoupled"):
        threshold_(w, entry.penalty, entry.factor)
    elif _acts(entry, "proximal"):
        state = optimizer.state[entry.parameter]
        own = partial(optimizer._own_step, entry.group)
        prox_(w, entry.penalty, own, state, entry.factor)


def _acts(entry: Entry, how: str) -> bool:
    """Whether its penalty goes this way now; a frozen parameter has none."""
    return entry.how == how and entry.parameter.requires_grad


def _wide(tensor: Tensor) -> Tensor:
    """In float32 where it has 16 bits: the step is rounded once, at its end."""
    return tensor.float() if tensor.dtype in HALF else tensor


def _pulled(entry: Entry, w: Tensor, gradient: Tensor) -> Tensor:
    """The gradient, joined by the penalty's where it is coupled."""
    gradient = _wide(gradient)
    if not _acts(entry, "coupled"):
        return gradient
    if gradient.is_sparse:
        raise RuntimeError(
            f'{entry.name} has a sparse gradient, to which how="coupled" cannot add a dense one; '
            'use how="proximal" or "decoupled"'
        )
    assert entry.penalty is not None
    sign = -1.0 if entry.group["maximize"] else 1.0
    pulled: Tensor = gradient + (sign * entry.factor) * entry.penalty.gradient(w)
    return pulled
