"""Findings about penalties and how an optimizer acts beside them.

Each check is a function of the snapshot that yields a finding for each thing to mend.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import torch

from shrinkage.torch.attaching.hooks import at_work
from shrinkage.torch.auditing import remedies
from shrinkage.torch.auditing.finding import (
    Check,
    Finding,
    by_regularizer,
    construct,
    construct_all,
    enumerate_names,
    group_by,
    is_or_are,
    name_own_decay,
    note,
    warning,
)
from shrinkage.torch.auditing.snapshot import Snapshot
from shrinkage.torch.binding.bound_model import Host, attachments_of
from shrinkage.torch.binding.clipping import scales_strength
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.binding.sparsity import makes_zeros
from shrinkage.torch.facts.weight_decay import steady_step
from shrinkage.torch.models.selection import decide_for_each_name


def find_attached_elsewhere(snapshot: Snapshot) -> Iterator[Finding]:
    for attachment in _find_attachments_elsewhere(snapshot):
        names = tuple(name for name, _ in attachment.bound.named_parameters())
        name = snapshot.variable(snapshot.optimizers[0])
        yield Finding(
            "attached-elsewhere",
            "warning",
            names,
            f"the regularizer is attached to another {type(attachment.optimizer).__name__} than "
            f"this one, so none of its {len(names)} penalties acts in these steps",
            float(len(names)),
            f'regularizer.detach()\nregularizer.attach({name}, how="{attachment.how}")',
        )


def _find_attachments_elsewhere(snapshot: Snapshot) -> list[Host]:
    """That of the regularizer, and those of parameters that get no penalty in these steps."""
    given_host = None if snapshot.bound is None else snapshot.bound.host
    unpenalized = {
        id(each.tensor) for each in snapshot.parameters if each.held_by and not each.penalties
    }
    if any(_penalizes(attachment, unpenalized) for attachment in at_work):
        gc.collect()  # a regularizer and an optimizer that are gone may still hold each other
    candidates: list[Host] = [
        each for each in at_work if each is given_host or _penalizes(each, unpenalized)
    ]
    if given_host is not None and given_host not in candidates:
        candidates.append(given_host)  # inside an optimizer
    audited = [id(optimizer) for optimizer in snapshot.optimizers]
    return [each for each in candidates if id(each.optimizer) not in audited]


def _penalizes(attachment: Host, parameters: set[int]) -> bool:
    return any(id(part.parameter) in parameters for part in attachment.bound.parts)


def find_penalized_twice(snapshot: Snapshot) -> Iterator[Finding]:
    parameters = [each for each in snapshot.parameters if len(each.penalties) > 1]
    if parameters:
        penalties = parameters[0].penalties
        written = " and ".join(f"{construct(each.written)} ({each.how})" for each in penalties)
        yield warning(
            "penalized-twice",
            parameters,
            f"{enumerate_names(parameters)} {is_or_are(parameters)} penalized {len(penalties)} "
            f"times: {written}",
            float(len(penalties)),
            "# leave penalty() out of the loss, for what is attached acts already\n"
            "regularizer = None",
        )


def find_penalty_on_biases(snapshot: Snapshot) -> Iterator[Finding]:
    reached = [
        each
        for each in snapshot.parameters
        if each.is_trained
        and each.kind != "weight"
        and any(applied.bound is None for applied in each.penalties)
    ]
    if reached:
        optimizer = reached[0].optimizer
        yield warning(
            "penalty-on-biases",
            reached,
            f"a bare penalty in {type(optimizer).__name__} reaches every parameter, also "
            f"{len(reached)} that {is_or_are(reached)} no weight{'s' * (len(reached) > 1)}: "
            f"{enumerate_names(reached)}",
            float(len(reached)),
            remedies.penalize_weights_alone(snapshot, optimizer),
        )


def find_decay_beside_penalty(snapshot: Snapshot) -> Iterator[Finding]:
    both = (
        each
        for each in snapshot.parameters
        if each.decay.strength and any(applied.acts for applied in each.penalties)
    )
    groups = group_by(both, lambda each: (each.optimizer, each.decay.strength, each.square))
    for (optimizer, strength, square), parameters in groups.items():
        decay, penalties = name_own_decay(optimizer, parameters), construct_all(parameters)
        names = enumerate_names(parameters)
        if square:
            yield warning(
                "decay-twice",
                parameters,
                f"{decay} decays {names}, and {penalties} does it again, as "
                f"weight_decay={2.0 * square:g} would",
                2.0 * square,
                remedies.turn_decay_off(snapshot, optimizer),
            )
            continue
        joins = parameters[0].decay.joins_gradient
        effect = (
            f"which adds ½·{strength:g}·Σw² to what is solved"
            if joins
            else "outside the gradient: what is solved is then not data loss + Ω"
        )
        yield (note if joins else warning)(
            "decay-beside-penalty",
            parameters,
            f"{decay} acts beside {penalties} on {names}, {effect}",
            strength,
            remedies.decay_weights_alone(snapshot, optimizer),
        )


def find_strength_scaled_by_momentum(snapshot: Snapshot) -> Iterator[Finding]:
    for optimizer, pairs in by_regularizer(snapshot):
        parameters, applied = [audited for audited, _ in pairs], pairs[0][1]
        group = parameters[0].held_by[0][1]
        steady = steady_step(optimizer, group, 1.0)
        is_scaled = applied.how == "decoupled" and applied.scale(group) == "lr"
        if applied.acts and is_scaled and steady and steady != 1.0:
            zeros = any(makes_zeros(each.penalty) for _, each in pairs)
            yield note(
                "strength-scaled-by-momentum",
                parameters,
                f"decoupled under momentum={group['momentum']:g}, {construct_all(parameters)} on "
                f"{enumerate_names(parameters)} converges to where {1 / steady:.3g} times the "
                "strength would",
                1.0 / steady,
                remedies.change_how(
                    snapshot, optimizer, applied, "proximal" if zeros else "coupled"
                ),
            )


def find_tied_under_two_rules(snapshot: Snapshot) -> Iterator[Finding]:
    bound = snapshot.bound
    if bound is None:
        return
    for audited in snapshot.parameters:
        if len(audited.candidate.owners) == 1:
            continue
        alone = decide_for_each_name(audited.candidate, bound.penalties, bound.on)
        if len({repr(penalty) for penalty in alone.values()}) > 1:
            written = {name: construct(penalty) for name, penalty in alone.items()}
            actual = next((construct(applied.written) for applied in audited.penalties), "None")
            yield warning(
                "tied-under-two-rules",
                [audited],
                f"one parameter has the names {' and '.join(written)}, which ask for "
                f"{' and '.join(written.values())}: it gets {actual} under all of them",
                float(len(written)),
                "# if that is meant, say so by its whole name, first in the mapping:\n"
                f'# {{"{audited.name}": {actual}, ...}}',
            )


def find_strength_not_clipped(snapshot: Snapshot) -> Iterator[Finding]:
    """Only with `clip`, since an audit cannot see what a loop does."""
    if snapshot.clip is None:
        return
    for optimizer in snapshot.optimizers:
        is_sgd = isinstance(optimizer, torch.optim.SGD)
        parameters = [
            audited
            for audited in snapshot.parameters
            if audited.held_by
            and audited.optimizer is optimizer
            and any(
                applied.acts
                and scales_strength(
                    applied.how, applied.scale(audited.held_by[0][1]), is_sgd=is_sgd
                )
                for applied in audited.penalties
            )
        ]
        clips_itself = isinstance(optimizer, SelfClipping) and optimizer.max_norm is not None
        clipped = clips_itself or any(host.max_norm for host in attachments_of(optimizer))
        if clipped or not parameters:
            continue
        hows = dict.fromkeys(applied.how for each in parameters for applied in each.penalties)
        norm = f"{snapshot.clip:g}"
        yield warning(
            "strength-not-clipped",
            parameters,
            f"clipping the gradients to norm {norm} leaves {construct_all(parameters)} "
            f"({' and '.join(hows)}) on {enumerate_names(parameters)} as it is: where the norm of "
            f"the data's gradients is above {norm}, also at a minimum, it acts norm/{norm} times "
            "as strongly as written",
            snapshot.clip,
            remedies.clip_together(snapshot, optimizer, parameters[0].penalties[0]),
        )


def find_penalty_at_each_backward(snapshot: Snapshot) -> Iterator[Finding]:
    in_loss = [
        each
        for each in snapshot.parameters
        if any(applied.how == "loss" and applied.acts for applied in each.penalties)
    ]
    if in_loss:
        yield note(
            "penalty-at-each-backward",
            in_loss,
            "a penalty in the loss acts once for each backward(): under gradient accumulation over "
            "n micro-batches n times a step, unless the loop divides the loss by n, which "
            "transformers' Trainer does not for a loss that counts its own items",
            float(len(in_loss)),
            "# nothing to mend without accumulation; else divide penalty() by n, or attach it as\n"
            '# "coupled", which adds it once a step',
        )


ABOUT_PENALTIES: tuple[Check, ...] = (
    find_attached_elsewhere,
    find_penalized_twice,
    find_penalty_on_biases,
    find_decay_beside_penalty,
    find_strength_scaled_by_momentum,
    find_tied_under_two_rules,
    find_strength_not_clipped,
    find_penalty_at_each_backward,
)
