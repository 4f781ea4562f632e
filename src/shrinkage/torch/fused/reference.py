"""The step with the penalty inside by torch operations: any device, any type, any layout.

`tests/torch_face/fused/test_parity.py` checks that the compiled loops give the same results. A step
takes about as long as the benchmark's row "by hand: softshrink".
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from shrinkage.torch.fused.parameters import HALF, Entry
from shrinkage.torch.fused.rule import State, UpdateRule
from shrinkage.torch.tensors.updates import decay_, prox_, threshold_


def step_by_torch(
    rule: UpdateRule,
    states: MutableMapping[Tensor, State],
    entries: Sequence[Entry],
    *,
    compiles: bool,
) -> None:
    """Step these parameters, group by group, with torch's own function for the update."""
    step = torch.compile(_step_group) if compiles else _step_group
    # Each gradient is read once, since another thread may remove it meanwhile.
    read = [(entry, entry.parameter.grad) for entry in entries]
    moving = [(entry, gradient) for entry, gradient in read if gradient is not None]
    for _, members in groupby(moving, key=lambda pair: id(pair[0].group)):
        members_of_group, gradients = map(list, zip(*members, strict=True))
        has_state = bool(rule.state_names(members_of_group[0].group))
        states_of_group = [
            states[entry.parameter] if has_state else {} for entry in members_of_group
        ]
        for entry, state in zip(members_of_group, states_of_group, strict=True):
            rule.prepare(entry, state)
            rule.count_step(entry, state)
        step(rule, members_of_group, states_of_group, gradients)
        for entry in members_of_group:
            entry.is_new_state = False


def _step_group(
    rule: UpdateRule, entries: Sequence[Entry], states: list[State], gradients: Sequence[Tensor]
) -> None:
    weights = [_widen(entry.parameter) for entry in entries]
    total_gradients = list(map(_add_penalty_gradient, entries, weights, gradients))
    for entry, w in zip(entries, weights, strict=True):
        if entry.penalty is not None and _is_active(entry, "decoupled"):
            decay_(w, entry.penalty, entry.factor)
    rule.by_torch(entries, states, weights, total_gradients)
    for entry, w, state in zip(entries, weights, states, strict=True):
        if entry.penalty is not None and _is_active(entry, "decoupled"):
            threshold_(w, entry.penalty, entry.factor)
        elif entry.penalty is not None and _is_active(entry, "proximal"):
            prox_(w, entry.penalty, partial(rule.own_step, entry.group), state, entry.factor)
        if w is not entry.parameter:
            entry.parameter.copy_(w)


def _is_active(entry: Entry, how: str) -> bool:
    """Whether its penalty acts in this way now; no penalty acts on a frozen parameter."""
    return entry.how == how and entry.parameter.requires_grad


def _widen(tensor: Tensor) -> Tensor:
    """A copy in float32 of a 16-bit tensor: the step is rounded once, at its end."""
    return tensor.float() if tensor.dtype in HALF else tensor


def _add_penalty_gradient(entry: Entry, w: Tensor, gradient: Tensor) -> Tensor:
    """The gradient, plus the penalty's where it is coupled."""
    gradient = _widen(gradient)
    if not _is_active(entry, "coupled"):
        return gradient
    if gradient.is_sparse:
        raise RuntimeError(
            f'{entry.name} has a sparse gradient, to which how="coupled" cannot add a dense one; '
            'use how="proximal" or "decoupled"'
        )
    assert entry.penalty is not None
    sign = -1.0 if entry.group["maximize"] else 1.0
    total: Tensor = gradient + (sign * entry.factor) * entry.penalty.gradient(w)
    return total
