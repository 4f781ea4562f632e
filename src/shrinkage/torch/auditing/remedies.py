"""The lines of Python that mend what an audit finds, over model, optimizer and regularizer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.optim import Optimizer

from shrinkage.torch.auditing.snapshot import AppliedPenalty, AuditedParameter, Snapshot
from shrinkage.torch.binding.bound_model import attachments_of
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.facts.rules import rule_for, sums_moves
from shrinkage.torch.facts.weight_decay import decay_key

LEAVE_OUT = "# give these None in the mapping of the Regularizer"


def turn_decay_off(snapshot: Snapshot, optimizer: Optimizer) -> str:
    """The line that turns an optimizer's own decay off."""
    name, key = snapshot.variable(optimizer), decay_key(optimizer.param_groups[0])
    return f'for group in {name}.param_groups: group["{key}"] = 0.0'


def decay_weights_alone(snapshot: Snapshot, optimizer: Optimizer) -> str:
    """The lines that turn an optimizer's own decay off and give it to the weights alone."""
    weights = [
        each
        for each in snapshot.parameters
        if each.is_decayed and each.optimizer is optimizer and each.kind == "weight"
    ]
    strengths = {each.decay.strength for each in weights}
    off = turn_decay_off(snapshot, optimizer)
    if not strengths:
        return off
    penalty = "L2.from_weight_decay({})".format(" or ".join(f"{c:g}" for c in sorted(strengths)))
    if any(each.penalties for each in snapshot.parameters):
        return f"{off}\n# and add {penalty} to the regularizer's penalties"
    how = {"decoupled": "decoupled", "adaptive": "proximal"}.get(weights[0].decay.kind, "coupled")
    line = f'Regularizer(model, {penalty}).attach(optimizer, how="{how}")'
    trained = [each for each in snapshot.parameters if each.is_trained and each.kind == "weight"]
    decays_all_alike = len(strengths) == 1 and len(trained) == len(weights)
    where = "" if decays_all_alike else "# and on the weights that decayed: "
    return f"{off}\n{where}{line}"


def scale_decay(
    snapshot: Snapshot, optimizer: Optimizer, group: int, audited: AuditedParameter, factor: float
) -> str:
    """The line that multiplies a decay by about `factor`: rounded away from 1, to two digits."""
    unit = 10.0 ** (math.floor(math.log10(factor)) - 1)
    times = (math.ceil if factor > 1 else math.floor)(round(factor / unit, 6)) * unit
    name = snapshot.variable(optimizer)
    if audited.decay.strength:
        return f'{name}.param_groups[{group}]["{audited.decay.name}"] *= {times:.2g}'
    if any(applied.bound is not None for applied in audited.penalties):
        return f"regularizer.factor *= {times:.2g}"
    return f"# make the penalty in {name} {times:.2g} times as strong"


def use_single_precision(snapshot: Snapshot, optimizer: Optimizer) -> str:
    """The lines that widen a model and the state that an optimizer has for it."""
    name = snapshot.variable(optimizer)
    return (
        "model.float()  # autocast does the rest in 16 bits\n"
        f"{name}.load_state_dict({name}.state_dict())  # in the model's new type"
    )


def penalize_weights_alone(snapshot: Snapshot, optimizer: Optimizer) -> str:
    """The lines that give a bare penalty inside an optimizer to the weights alone."""
    name, groups = snapshot.variable(optimizer), optimizer.param_groups
    if not _has_penalty_in_groups(optimizer):
        return f"{name}.penalty = Regularizer(model, {name}.penalty)"
    lines = (
        f'regularizer = Regularizer(model, {name}.param_groups[0]["penalty"])\n'
        f'for group in {name}.param_groups: group["penalty"] = regularizer'
    )
    is_one = all(group["penalty"] == groups[0]["penalty"] for group in groups)
    if len(snapshot.optimizers) == 1 and is_one:
        return lines
    commented = lines.replace("\n", "\n# ")
    return f"# with a Regularizer for the parameters of each penalty:\n# {commented}"


def _has_penalty_in_groups(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, SelfClipping) and optimizer.has_penalty_in_groups


def change_how(snapshot: Snapshot, optimizer: Optimizer, applied: AppliedPenalty, how: str) -> str:
    """The lines that make a penalty act as `how` says."""
    name = snapshot.variable(optimizer)
    if _has_penalty_in_groups(optimizer) and applied.how != "loss":
        return f'for group in {name}.param_groups: group["how"] = "{how}"'
    if isinstance(optimizer, SelfClipping) and not optimizer.has_penalty_in_groups:
        return LEAVE_OUT
    line = f'regularizer.attach({name}, how="{how}")'
    if applied.how != "loss":
        return f"regularizer.detach()\n{line}"
    if len(snapshot.optimizers) > 1:
        line = f"# with a Regularizer for the parameters of each optimizer: {line}"
    return f"{line}  # and leave penalty() out of the loss"


def make_zeros(
    snapshot: Snapshot,
    optimizer: Optimizer,
    applied: AppliedPenalty,
    parameters: Sequence[AuditedParameter],
) -> str:
    """The lines that make exact zeros: by "proximal" where that is possible, else "decoupled"."""
    if sums_moves(optimizer):
        return "# use shrinkage.torch.RDA: this optimizer undoes zeros at its next step"
    needed = "prox" if isinstance(optimizer, torch.optim.SGD) else "metric"
    penalties = [penalty for each in parameters for penalty in each.penalties]
    how = "decoupled" if any(each.penalty.why_not(needed) for each in penalties) else "proximal"
    try:
        rule_for(optimizer, parameters=[each.tensor for each in parameters])
    except ValueError:  # its own step is not known
        how = "decoupled"
    return change_how(snapshot, optimizer, applied, how)


def clip_together(snapshot: Snapshot, optimizer: Optimizer, applied: AppliedPenalty) -> str:
    """The lines that clip a strength together with the gradients."""
    name, clip, attached = snapshot.variable(optimizer), snapshot.clip, attachments_of(optimizer)
    if isinstance(optimizer, SelfClipping) and not attached:
        return f"{name}.max_norm = {clip:g}  # and clip nowhere else"
    call = f"regularizer.clip_grad_norm_(model.parameters(), {clip:g})"
    if len(attached) > 1 or len(snapshot.optimizers) > 1:
        return f"# in the place of torch.nn.utils.clip_grad_norm_:\n# {call}"
    attach = f'regularizer.attach({name}, how="{applied.how}", max_norm={clip:g})'
    return (
        f"regularizer.detach()\n{attach}  # and clip nowhere else\n"
        f"# or, in the place of torch's: {call}"
    )


def reset_weights(snapshot: Snapshot) -> str:
    """The lines that initialize a model again, with a weaker penalty if there is one."""
    lines = [
        "for module in model.modules():",
        '    if hasattr(module, "reset_parameters"): module.reset_parameters()',
    ]
    if snapshot.bound is not None:
        lines.insert(0, "regularizer.factor *= 0.1  # a weaker penalty")
    return "\n".join(lines)
