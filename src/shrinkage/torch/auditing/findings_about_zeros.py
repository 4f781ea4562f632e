"""Findings about zeros that are never reached, that do harm, or that are lost.

Each check is a function of the snapshot that yields a finding for each thing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from shrinkage.torch.auditing import remedies
from shrinkage.torch.auditing.finding import (
    Check,
    Finding,
    by_regularizer,
    construct_all,
    enumerate_names,
    is_or_are,
    note,
    warning,
)
from shrinkage.torch.auditing.snapshot import AuditedParameter, Snapshot
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.sparsity import find_counterpart, makes_zeros
from shrinkage.torch.facts.precision import lost_in_rounding
from shrinkage.torch.models.effective import ZEROED
from shrinkage.torch.models.owners import parameters_by_name
from shrinkage.torch.tensors.kinds import gather_shards, is_sharded


def find_no_exact_zeros(snapshot: Snapshot) -> Iterator[Finding]:
    for optimizer, pairs in by_regularizer(snapshot):
        applied = pairs[0][1]
        parameters = [
            audited
            for audited, each in pairs
            if makes_zeros(each.penalty) and not audited.divisor and not each.is_effective
        ]
        if parameters and applied.how in {"loss", "coupled"}:
            entries = _count_entries(parameters)
            yield warning(
                "no-exact-zeros",
                parameters,
                f"{construct_all(parameters)} brings {enumerate_names(parameters)} near 0, but "
                f'by gradients (how="{applied.how}") none of the {entries} entries '
                "stays exactly there",
                float(entries),
                remedies.make_zeros(snapshot, optimizer, applied, parameters),
            )


def find_zero_denominator(snapshot: Snapshot) -> Iterator[Finding]:
    for optimizer, pairs in by_regularizer(snapshot):
        applied = pairs[0][1]
        parameters = [
            audited for audited, each in pairs if makes_zeros(each.penalty) and audited.divisor
        ]
        if parameters and applied.how in {"proximal", "decoupled"}:
            divisor = parameters[0].divisor or ""
            has_gradient = all(
                each.penalty.why_not("gradient") is None
                for audited in parameters
                for each in audited.penalties
            )
            yield warning(
                "zero-denominator",
                parameters,
                f"{construct_all(parameters)} can set {ZEROED[divisor]} of "
                f"{enumerate_names(parameters)} to exactly 0, and {divisor} divides by its size: "
                "0/0 makes every output NaN",
                float(_count_entries(parameters)),
                remedies.change_how(snapshot, optimizer, applied, "coupled")
                if has_gradient
                else remedies.LEAVE_OUT,
            )


def find_penalty_lost_in_rounding(snapshot: Snapshot) -> Iterator[Finding]:
    for optimizer, pairs in by_regularizer(snapshot):
        reasons = {}
        for audited, applied in pairs:
            _, group = audited.held_by[0]
            how = "coupled" if applied.how == "loss" else applied.how
            scale = applied.scale(group) or "lr"
            reasons[audited] = lost_in_rounding(
                applied.penalty, audited.tensor, group, optimizer, how, scale
            )
        parameters = [audited for audited, reason in reasons.items() if reason is not None]
        if parameters:
            first, others = parameters[0], parameters[1:]
            and_so = f" (and so {is_or_are(others)} {enumerate_names(others)})" if others else ""
            yield warning(
                "penalty-lost-in-rounding",
                parameters,
                f"{first.name} {reasons[first]}{and_so}",
                torch.finfo(first.tensor.dtype).eps / 2,
                remedies.use_single_precision(snapshot, optimizer),
            )


def find_zero_weights(snapshot: Snapshot) -> Iterator[Finding]:
    weights = [each for each in snapshot.parameters if each.kind == "weight"]
    zero = [  # a single process may print an audit, and it has only a part of a sharded weight
        each
        for each in weights
        if each.tensor.numel()
        and not (is_sharded(each.tensor) or each.tensor.is_meta)
        and not int(torch.count_nonzero(each.tensor.detach()))
    ]
    penalized = [each for each in zero if each.penalties]
    if weights and len(zero) == len(weights):
        too_strong = f"; {construct_all(zero)} may be too strong" if penalized else ""
        yield warning(
            "all-weights-zero",
            zero,
            f"all {_count_entries(zero)} weights are exactly 0, so the model gives the same output "
            f"for every input{too_strong}",
            float(_count_entries(zero)),
            remedies.reset_weights(snapshot),
        )
    elif penalized:
        yield note(
            "whole-weight-zero",
            penalized,
            f"{enumerate_names(penalized)} {is_or_are(penalized)} exactly 0 in every entry: if "
            f"this is not how training begins, {construct_all(penalized)} is too strong there",
            float(_count_entries(penalized)),
            "# nothing to mend in a layer that begins at 0; else a smaller lam for these names",
        )


ABOUT_ZEROS: tuple[Check, ...] = (
    find_no_exact_zeros,
    find_zero_denominator,
    find_penalty_lost_in_rounding,
    find_zero_weights,
)


def find_average_without_zeros(model: nn.Module, bound: BoundModel) -> Iterator[Finding]:
    """Where the model is an average of the one that the regularizer penalizes."""
    averages, lost, names = parameters_by_name(model), 0, []
    for part in bound.parts:
        average = find_counterpart(part, averages)
        if average is not None and average is not part.parameter:
            trained, averaged = (gather_shards(w.detach()) for w in (part.parameter, average))
            missing = (trained == 0) & (averaged != 0)
            lost += int(torch.count_nonzero(missing))
            names += [part.name] * bool(missing.any())
    if lost:
        yield Finding(
            "average-without-zeros",
            "warning",
            tuple(names),
            f"{lost} weights are exactly 0 in the trained model but not in this average of it: an "
            "average over steps is 0 only where every step was",
            float(lost),
            "regularizer.copy_zeros_to(model)",
        )


def is_average_of(model: nn.Module, trained: nn.Module) -> bool:
    """Whether `model` has parameters of the same names and shapes, and shares none of them."""
    averages, others = parameters_by_name(model), parameters_by_name(trained)
    shapes = {name.removeprefix("module."): tensor.shape for name, tensor in averages.items()}
    shares = any(tensor is other for tensor in averages.values() for other in others.values())
    return not shares and all(shapes.get(name) == t.shape for name, t in others.items())


def _count_entries(parameters: Sequence[AuditedParameter]) -> int:
    return sum(each.tensor.numel() for each in parameters)
