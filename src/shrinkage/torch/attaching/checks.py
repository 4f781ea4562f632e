"""The checks of `attach`: it refuses or warns of all that would not do what is written."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer

from shrinkage.torch.binding.bindings import Binding
from shrinkage.torch.binding.bound_model import BoundModel, attachments_of
from shrinkage.torch.binding.checks import check_fit, check_free, check_holds, warn_of_division
from shrinkage.torch.binding.effective_binding import EffectiveBinding
from shrinkage.torch.binding.max_norm import SelfClipping, check_no_late_clipping, checked_max_norm
from shrinkage.torch.facts.momentum import MomentumFill
from shrinkage.torch.facts.precision import lost_in_rounding
from shrinkage.torch.facts.rules import rule_for, sums_moves
from shrinkage.torch.facts.scale import check_how, check_scale
from shrinkage.torch.facts.weight_decay import beside_weight_decay, decay_on
from shrinkage.torch.facts.wrappers import check_optimizer
from shrinkage.user_warning import warn_user


def check_attachment(
    bound: BoundModel,
    optimizer: Optimizer,
    how: str,
    *,
    scale: str | None,
    metric: Any,
    max_norm: float | None = None,
) -> None:
    """Refuse, or warn of, an attachment that would not do what is written.

    Raises
    ------
    TypeError
        If `optimizer` is not a torch.optim.Optimizer, or `metric` not a function.
    ValueError
        For everything else.
    """
    check_optimizer(optimizer)
    _check_how(how, scale, metric)
    if how != "coupled" and sums_moves(optimizer):
        raise ValueError(
            f"{how} does not work with {type(optimizer).__name__}, with any metric: its weights "
            "come from a sum of all its moves, which undoes at the next step what is done to them "
            'beside it; use how="coupled", or shrinkage.torch.RDA for exact zeros'
        )
    check_free(bound, optimizer)
    check_holds(bound, optimizer)
    limit, others = checked_max_norm(max_norm), attachments_of(optimizer)
    if isinstance(optimizer, SelfClipping):
        check_no_late_clipping(optimizer, optimizer.max_norm)
    if limit is not None and others:
        raise ValueError(
            f"max_norm={limit:g} clips for all that is attached to {type(optimizer).__name__}, so "
            "it goes with what is attached first, where max_norm is "
            f"{others[0].max_norm}; leave it out here"
        )
    if how == "decoupled" and scale == "schedule":
        unseen = MomentumFill()
        for group in optimizer.param_groups:
            unseen.first_lr(optimizer, group)
    for binding in bound.active:
        _check_binding(binding, optimizer, how, metric)
    parameters = [parameter for _, parameter in bound.named_parameters()]
    decay = decay_on(optimizer, parameters)
    if how == "proximal" and not callable(metric):
        rule_for(optimizer, metric, parameters)
    if decay is not None:
        warn_user(beside_weight_decay(optimizer, decay, "attached penalty"))
    warn_of_division(bound, how)
    _warn_of_low_precision(bound, optimizer, how, scale or "lr")


def _check_how(how: str, scale: str | None, metric: Any) -> None:
    if how == "loss":
        raise ValueError(
            'how="loss" needs no attach(): add regularizer.penalty() to the loss; '
            'how="coupled" gives the same numbers without a graph'
        )
    check_how(how)
    check_scale(scale, how)
    if metric is not None and how != "proximal":
        raise ValueError(f'metric= goes with how="proximal" alone, not with {how!r}')
    if metric is not None and metric != "measured" and not callable(metric):
        raise TypeError(
            f'metric must be "measured" or a function (optimizer, group, parameter), got {metric!r}'
        )


def check_target(bound: BoundModel, optimizer: Optimizer, how: str, schedule: object) -> None:
    """Refuse a target that nothing could lead to.

    Raises
    ------
    ValueError
    """
    if how != "proximal":
        raise ValueError(
            f'target= goes with how="proximal" alone, where zeros are exact, not with {how!r}'
        )
    if schedule is not None or bound.schedule is not None:
        raise ValueError(
            "target= and a schedule would both set the strength; leave out the schedule, since "
            "target_start and target_steps say when the zeros are made"
        )
    if bound.factor == 0.0:
        raise ValueError(
            "target= sets the strength from regularizer.factor on, which is 0; set it to 1.0"
        )
    if bound.held is not None and bound.loaded_target is None:
        raise ValueError("zeros are held, so no penalty can act; call release() before attach()")
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise ValueError(
            "target= needs the step of every weight, and SparseAdam moves some rows at a time; use "
            "an optimizer with dense gradients"
        )


def _check_binding(binding: Binding, optimizer: Optimizer, how: str, metric: Any) -> None:
    check_fit(binding.name, binding.penalty, binding.read_array())
    if isinstance(binding, EffectiveBinding) and how != "coupled":
        binding.refuse_setting(f'how="{how}"')
    if how != "proximal":
        binding.check_gradient()
        return
    plain = callable(metric) or (metric is None and isinstance(optimizer, torch.optim.SGD))
    reason = binding.why_not("prox" if plain else "metric")
    if reason is not None:
        raise ValueError(f"{binding.name}: {reason}")
    if binding.read_array().is_complex() and not plain:
        raise ValueError(
            f"{binding.name} is complex: {type(optimizer).__name__} gives its real and imaginary "
            'parts different steps, in which no modulus can shrink; use SGD or how="coupled"'
        )
    if isinstance(optimizer, torch.optim.SparseAdam) and not (
        binding.penalty.traits.is_by_row and len(binding.parts) == 1
    ):
        raise ValueError(
            f"{binding.name}: SparseAdam moves some rows at a time, so only penalties of single "
            'entries or of whole rows (groups="in" of an Embedding) can be proximal there, not '
            f"{binding.written!r}"
        )


def _warn_of_low_precision(bound: BoundModel, optimizer: Optimizer, how: str, scale: str) -> None:
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for binding, part in bound.active_parts:
        w = part.parameter
        lost = lost_in_rounding(binding.penalty, w, groups[id(w)], optimizer, how, scale)
        if lost is not None:
            warn_user(f"{part.name} {lost}; keep float32 master weights")
            return
