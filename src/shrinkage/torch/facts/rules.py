"""Which rule gives an optimizer's own step: by its class, or by its name in another package."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.measured import measured
from shrinkage.torch.facts.own_step import Group, Rule, check_group
from shrinkage.torch.facts.weight_decay import decay_on

_RULES: dict[type[Optimizer], Rule] = {
    torch.optim.SGD: own_step.sgd,
    torch.optim.Adam: own_step.adam,
    torch.optim.AdamW: own_step.adam,
    torch.optim.NAdam: own_step.nadam,
    torch.optim.RAdam: own_step.radam,
    torch.optim.Adamax: own_step.adamax,
    torch.optim.RMSprop: own_step.rmsprop,
    torch.optim.Adagrad: own_step.adagrad,
    torch.optim.Adadelta: own_step.adadelta,
    torch.optim.SparseAdam: own_step.sparse_adam,
}
# Optimizers whose step is measured, by package and class, as the packages need not be installed:
# each was shown to converge to the Lasso (tests/other_optimizers.py), but with the option named
# here, if one is.
TIMM = (
    *("AdafactorBigVision", "AdamP", "AdamWLegacy", "Adan", "Adopt", "Lamb", "LaProp", "Lars"),
    *("Lion", "Mars", "Muon", "NAdamLegacy", "NAdamW", "NvNovoGrad", "RAdamLegacy", "SGDP", "SGDW"),
)
PYTORCH_OPTIMIZER = (
    *("AdamW", "ADOPT", "Lamb", "Lion", "Muon", "NAdam", "QHAdam", "SignSGD", "StableAdamW"),
    "Tiger",
)
MEASURED = {
    **{f"timm.{name}": "" for name in TIMM},
    **{f"pytorch_optimizer.{name}": "" for name in PYTORCH_OPTIMIZER},
    "timm.Adafactor": "caution",
    "torch.Adafactor": "",
    "transformers.Adafactor": "relative_step",
}
_DENSE = "its metric is a dense matrix"
_ORTHOGONAL = "it orthogonalizes whole matrices, so no entry has a step of its own"
WITHOUT_METRIC = {
    "LBFGS": _DENSE,
    "Muon": _ORTHOGONAL,
    "Rprop": "it uses the gradient's sign alone, and its steps grow at a penalized minimum",
    "ASGD": "its step is an average over the past that its state does not show",
    **dict.fromkeys(("AdaMuon", "MuonClip", "NorMuon"), _ORTHOGONAL),
    **dict.fromkeys(("Kron", "SOAP", "Shampoo", "ScalableShampoo"), _DENSE),
}
# Their weights come from a sum of all moves since the start, where a change of the weights from
# outside is not seen, or is taken for a part of the average.
SUMMING = {
    "MADGRAD",
    *("ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD"),
    *("AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree"),
}


def sums_moves(optimizer: Optimizer) -> bool:
    """Whether its weights come from a sum of all its moves, which undoes changes beside it."""
    return not SUMMING.isdisjoint(base.__name__ for base in type(optimizer).__mro__)


def register_step(kind: type[Optimizer], rule: Rule) -> None:
    """Let "proximal" work with a kind of optimizer, and with subclasses that keep its `step`.

    Parameters
    ----------
    kind : type of torch.optim.Optimizer
    rule : callable
        From the parameter's group, its state after a step and b, where SGD's momentum buffer holds
        b·g for a constant gradient g, to the `OwnStep`.

    Examples
    --------
    >>> from shrinkage.torch import OwnStep
    >>> class HalfSGD(torch.optim.SGD):
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.data.sub_(p.grad, alpha=group["lr"] / 2)
    >>> register_step(HalfSGD, lambda group, state, b: OwnStep(group["lr"] / 2, float("inf")))
    """
    _RULES[kind] = rule


def rule_for(
    optimizer: Optimizer, metric: object = None, parameters: Collection[Tensor] = ()
) -> Rule:
    """The rule that reads the optimizer's own step from its state, for these parameters.

    `metric` is "measured" where the user asks for the measured step. Where there is no rule, the
    error says why, and what to do.
    """
    kind = type(optimizer)
    remedy = 'use how="coupled" or "decoupled"'
    with_metric = f"pass metric=, a function (optimizer, group, parameter) -> step, or {remedy}"
    found: Rule | None = None
    owner: Any = kind
    for base in kind.__mro__:
        found = _RULES.get(base)
        if found is None and (reason := _explain_no_rule(base, optimizer, parameters)):
            tail = remedy if reason in {_DENSE, _ORTHOGONAL} else with_metric
            raise ValueError(f"proximal does not work with {kind.__name__}: {reason}; {tail}")
        name = f"{base.__module__.partition('.')[0]}.{base.__name__}"
        if found is None and name in MEASURED:
            is_changed = any(group.get(MEASURED[name]) for group in optimizer.param_groups)
            found = None if is_changed else measured
        if found is not None:
            owner = base
            break
    remedy = f'pass metric="measured" to have it measured from the moves, or {with_metric}'
    if metric is None and found is None:
        raise ValueError(f"{kind.__name__}'s own step is not known for proximal; {remedy}")
    if metric is None and inspect.unwrap(kind.step) is not inspect.unwrap(owner.step):
        raise ValueError(
            f"{kind.__name__} overrides {owner.__name__}.step, so its own step is not known "
            f"for proximal; {remedy}"
        )
    for group in optimizer.param_groups:
        check_group(optimizer, group)
    if found is not None and found is not measured and metric is None:
        return found
    check_no_decay(optimizer, parameters)
    return measured


def check_no_decay(optimizer: Optimizer, parameters: Collection[Tensor]) -> None:
    """Refuse an optimizer whose step is measured if it decays one of these parameters."""
    decay = decay_on(optimizer, parameters)
    if decay is not None:
        raise ValueError(
            f"{type(optimizer).__name__} has {decay.name}={decay.strength:g}, which would count as "
            f"a part of its own step, since that is measured; set {decay.name}=0 and write "
            f"L2.from_weight_decay({decay.strength:g})"
        )


def _explain_no_rule(
    kind: type, optimizer: Optimizer, parameters: Collection[Tensor]
) -> str | None:
    """Why a class of optimizers has no step for each entry of these parameters."""
    reason = WITHOUT_METRIC.get(kind.__name__)
    if reason is not _ORTHOGONAL:
        return reason
    groups = {id(w): group for group in optimizer.param_groups for w in group["params"]}
    chosen = [w for w in parameters if id(w) in groups]
    if chosen and not any(_is_orthogonalized(optimizer, groups[id(w)], w) for w in chosen):
        return None  # all are in its part for AdamW
    return reason


def _is_orthogonalized(optimizer: Optimizer, group: Group, w: Tensor) -> bool:
    """Whether a Muon moves this one as a matrix, by its state or its group's flag."""
    flag: Any = optimizer.state.get(w, {}).get("use_muon", group.get("use_muon"))
    if flag is None and "use_fallback" in group:
        flag = not group["use_fallback"]
    return w.ndim >= 2 if flag is None else bool(flag)
