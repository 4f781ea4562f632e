"""The checks on what a regularizer's penalties do beside an optimizer."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence

import torch
from torch.optim import Optimizer

from shrinkage.torch.attaching.hooks import at_work
from shrinkage.torch.auditing.findings import (
    Check,
    Finding,
    are,
    constructed,
    listed,
    names_of,
    own,
    written,
)
from shrinkage.torch.auditing.optimizer_findings import (
    by_a_regularizer,
    in_single_precision,
    without_decay,
)
from shrinkage.torch.auditing.snapshot import Picture, Pull, Subject
from shrinkage.torch.binding.core import Host
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.binding.sparsity import makes_zeros
from shrinkage.torch.facts.own_step import rule_for
from shrinkage.torch.facts.precision import lost_in_rounding
from shrinkage.torch.facts.weight_decay import steady_step
from shrinkage.torch.models.selection import each_name_alone


def attached_elsewhere(picture: Picture) -> Iterator[Finding]:
    for attachment in _attached_elsewhere(picture):
        names = tuple(name for name, _ in attachment.bound.named_parameters())
        here = picture.variable(picture.optimizers[0])
        yield Finding(
            "attached to another optimizer",
            "warning",
            names,
            f"the regularizer is attached to another {type(attachment.optimizer).__name__} than "
            f"this one, so none of its {len(names)} penalties acts in these steps",
            float(len(names)),
            f'regularizer.detach()\nregularizer.attach({here}, how="{attachment.how}")',
        )


def _attached_elsewhere(picture: Picture) -> list[Host]:
    """That of the regularizer, and those of parameters that get no penalty in these steps."""
    given = None if picture.regularizer is None else picture.regularizer.host
    bare = {id(one.parameter) for one in picture.subjects if one.holders and not one.pulls}
    if any(_penalizes(one, bare) for one in at_work):
        gc.collect()  # where nobody has either any more, they still hold each other
    found: list[Host] = [one for one in at_work if one is given or _penalizes(one, bare)]
    if given is not None and given not in found:
        found.append(given)  # inside an optimizer
    there = [id(one) for one in picture.optimizers]
    return [one for one in found if id(one.optimizer) not in there]


def _penalizes(attachment: Host, parameters: set[int]) -> bool:
    return any(id(part.parameter) in parameters for part in attachment.bound.parts)


def penalized_twice(picture: Picture) -> Iterator[Finding]:
    subjects = [one for one in picture.subjects if len(one.pulls) > 1]
    if subjects:
        ways = " and ".join(
            f"{constructed(pull.written)} ({pull.how})" for pull in subjects[0].pulls
        )
        yield Finding(
            "penalized twice",
            "warning",
            names_of(subjects),
            f"{listed(subjects)} {are(subjects)} penalized {len(subjects[0].pulls)} times: {ways}",
            float(len(subjects[0].pulls)),
            "# leave penalty() out of the loss, for what is attached acts already\n"
            "regularizer = None",
        )


def decay_twice(picture: Picture) -> Iterator[Finding]:
    for optimizer, subjects in _decaying_beside(picture, squared=True):
        again = 2.0 * subjects[0].square
        yield Finding(
            "decay twice",
            "warning",
            names_of(subjects),
            f"{own(optimizer, subjects)} decays {listed(subjects)}, and {written(subjects)} does "
            f"it again, as weight_decay={again:g} would",
            again,
            without_decay(picture, optimizer),
        )


def decay_beside_a_penalty(picture: Picture) -> Iterator[Finding]:
    for optimizer, subjects in _decaying_beside(picture, squared=False):
        strength, joins = subjects[0].decay.strength, subjects[0].decay.joins_gradient
        what = (
            f"which adds ½·{strength:g}·Σw² to what is solved"
            if joins
            else "outside the gradient: what is solved is then not data loss + Ω"
        )
        yield Finding(
            "decay beside a penalty",
            "note" if joins else "warning",
            names_of(subjects),
            f"{own(optimizer, subjects)} acts beside {written(subjects)} on {listed(subjects)}, "
            f"{what}",
            strength,
            by_a_regularizer(picture, optimizer),
        )


def no_exact_zeros(picture: Picture) -> Iterator[Finding]:
    for first, optimizer, pulled in _by_regularizer(picture):
        if first.how not in {"loss", "coupled"}:
            continue
        smooth = [one for one, pull in pulled if makes_zeros(pull.penalty) and not one.divided]
        if smooth:
            yield Finding(
                "no exact zeros",
                "warning",
                names_of(smooth),
                f"{written(smooth)} brings {listed(smooth)} near 0, but by gradients (how="
                f'"{first.how}") none of the {_entries(smooth)} entries stays exactly there',
                float(_entries(smooth)),
                _another_way(picture, optimizer, first, _way_to_zeros(optimizer, smooth)),
            )


def zeros_that_are_divided_by(picture: Picture) -> Iterator[Finding]:
    for first, optimizer, pulled in _by_regularizer(picture):
        if first.how not in {"proximal", "decoupled"}:
            continue
        zeroed = [one for one, pull in pulled if makes_zeros(pull.penalty) and one.divided]
        if zeroed:
            what = "a row" if zeroed[0].divided == "weight norm" else "the whole"
            yield Finding(
                "zeros that are divided by",
                "warning",
                names_of(zeroed),
                f"{written(zeroed)} can set {what} of {listed(zeroed)} to exactly 0, and "
                f"{zeroed[0].divided} divides by its size: 0/0 makes every output NaN",
                float(_entries(zeroed)),
                _without_zeros(picture, optimizer, first, zeroed),
            )


def rounded_away(picture: Picture) -> Iterator[Finding]:
    for _, optimizer, pulled in _by_regularizer(picture):
        found = [(one, said) for one, pull in pulled if (said := _lost(one, pull)) is not None]
        if found:
            subjects, (first, said) = [one for one, _ in found], found[0]
            others = f" (and so {are(subjects[1:])} {listed(subjects[1:])})" if subjects[1:] else ""
            yield Finding(
                "penalty lost in rounding",
                "warning",
                names_of(subjects),
                f"{first.name} {said}{others}",
                torch.finfo(first.parameter.dtype).eps / 2,
                in_single_precision(picture, optimizer),
            )


def scaled_by_momentum(picture: Picture) -> Iterator[Finding]:
    for pull, optimizer, pulled in _by_regularizer(picture):
        group = pulled[0][0].holders[0][1]
        steady = steady_step(optimizer, group, 1.0)
        scale = group.get("scale") if pull.attachment is None else pull.attachment.scale
        is_scaled = pull.how == "decoupled" and scale == "lr"
        if is_scaled and steady and steady != 1.0:
            zeroes = any(makes_zeros(one.penalty) for _, one in pulled)
            held = [one for one, _ in pulled]
            yield Finding(
                "strength scaled by momentum",
                "note",
                names_of(held),
                f"decoupled under momentum={group['momentum']:g}, {written(held)} on "
                f"{listed(held)} rests where {1 / steady:.3g} times the strength would",
                1.0 / steady,
                _another_way(picture, optimizer, pull, "proximal" if zeroes else "coupled"),
            )


def tied_under_two_names(picture: Picture) -> Iterator[Finding]:
    regularizer = picture.regularizer
    if regularizer is None:
        return
    for subject in picture.subjects:
        if len(subject.candidate.owners) < 2:
            continue
        alone = each_name_alone(subject.candidate, regularizer.penalties, regularizer.on)
        if len({repr(penalty) for penalty in alone.values()}) > 1:
            words = {name: constructed(penalty) for name, penalty in alone.items()}
            got = next((constructed(one.written) for one in subject.pulls), "None")
            yield Finding(
                "tied, with a penalty for each name",
                "warning",
                (subject.name,),
                f"one parameter has the names {' and '.join(words)}, which ask for "
                f"{' and '.join(words.values())}: it gets {got} under all of them",
                float(len(words)),
                "# if that is meant, say so by its whole name, first in the mapping:\n"
                f'# {{"{subject.name}": {got}, ...}}',
            )


def penalty_on_no_weights(picture: Picture) -> Iterator[Finding]:
    bare = [
        one
        for one in picture.subjects
        if one.is_trained
        and one.kind != "weight"
        and any(pull.regularizer is None for pull in one.pulls)
    ]
    if bare:
        optimizer, _ = bare[0].holders[0]
        yield Finding(
            "penalty on biases and gains",
            "warning",
            names_of(bare),
            f"a bare penalty in {type(optimizer).__name__} reaches every parameter, also "
            f"{len(bare)} that {are(bare)} no weight{'s' * (len(bare) > 1)}: {listed(bare)}",
            float(len(bare)),
            _for_weights_alone(picture, optimizer),
        )


OF_THE_PENALTY: tuple[Check, ...] = (
    attached_elsewhere,
    penalized_twice,
    penalty_on_no_weights,
    decay_twice,
    decay_beside_a_penalty,
    no_exact_zeros,
    zeros_that_are_divided_by,
    rounded_away,
    scaled_by_momentum,
    tied_under_two_names,
)


def _by_regularizer(
    picture: Picture,
) -> list[tuple[Pull, Optimizer, list[tuple[Subject, Pull]]]]:
    """The first pull, the optimizer, and the held parameters with theirs, for each regularizer."""
    found: dict[int, tuple[Pull, Optimizer, list[tuple[Subject, Pull]]]] = {}
    for subject in picture.subjects:
        for pull in subject.pulls if subject.holders else ():
            optimizer, _ = subject.holders[0]
            found.setdefault(id(pull.regularizer), (pull, optimizer, []))[2].append((subject, pull))
    return list(found.values())


def _decaying_beside(picture: Picture, *, squared: bool) -> list[tuple[Optimizer, list[Subject]]]:
    """Penalized parameters that their optimizer decays too, by optimizer and strengths."""
    found: dict[tuple[Optimizer, float, float], list[Subject]] = {}
    for subject in picture.subjects:
        if (
            subject.pulls
            and subject.holders
            and subject.decay.strength
            and bool(subject.square) == squared
        ):
            key = subject.holders[0][0], subject.decay.strength, subject.square
            found.setdefault(key, []).append(subject)
    return [(optimizer, subjects) for (optimizer, _, _), subjects in found.items()]


def _for_weights_alone(picture: Picture, optimizer: Optimizer) -> str:
    """The lines that give a bare penalty inside an optimizer to the weights alone."""
    name, groups = picture.variable(optimizer), optimizer.param_groups
    if not _has_penalty_in_groups(optimizer):
        return f"{name}.penalty = Regularizer(model, {name}.penalty)"
    lines = (
        f'regularizer = Regularizer(model, {name}.param_groups[0]["penalty"])\n'
        f'for group in {name}.param_groups: group["penalty"] = regularizer'
    )
    if len(picture.optimizers) == 1 and all(
        group["penalty"] == groups[0]["penalty"] for group in groups
    ):
        return lines
    return "# with a Regularizer for the parameters of each penalty:\n# " + lines.replace(
        "\n", "\n# "
    )


def _has_penalty_in_groups(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, SelfClipping) and optimizer.has_penalty_in_groups


def _another_way(picture: Picture, optimizer: Optimizer, pull: Pull, how: str) -> str:
    """The lines by which a penalty goes another way."""
    if _has_penalty_in_groups(optimizer) and pull.how != "loss":
        return f'for group in {picture.variable(optimizer)}.param_groups: group["how"] = "{how}"'
    if isinstance(optimizer, SelfClipping) and not optimizer.has_penalty_in_groups:
        return "# give these None in the mapping of the Regularizer"
    return _attach_anew(picture, optimizer, pull, how)


def _without_zeros(
    picture: Picture, optimizer: Optimizer, first: Pull, subjects: Sequence[Subject]
) -> str:
    """The lines by which a penalty comes near 0 only; without a gradient it has no such way."""
    if any(pull.penalty.why_no_gradient() for one in subjects for pull in one.pulls):
        return "# give these None in the mapping of the Regularizer"
    return _another_way(picture, optimizer, first, "coupled")


def _attach_anew(picture: Picture, optimizer: Optimizer, pull: Pull, how: str) -> str:
    line = f'regularizer.attach({picture.variable(optimizer)}, how="{how}")'
    if pull.how != "loss":
        return f"regularizer.detach()\n{line}"
    if len(picture.optimizers) > 1:
        line = f"# with a Regularizer for the parameters of each optimizer: {line}"
    return f"{line}  # and leave penalty() out of the loss"


def _lost(subject: Subject, pull: Pull) -> str | None:
    """What a 16-bit parameter cannot hold of a penalty, or None if it can."""
    optimizer, group = subject.holders[0]
    scale = None if pull.attachment is None else pull.attachment.scale
    how = "coupled" if pull.how == "loss" else pull.how
    return lost_in_rounding(pull.penalty, subject.parameter, group, optimizer, how, scale or "lr")


def _way_to_zeros(optimizer: Optimizer, subjects: Sequence[Subject]) -> str:
    """ "proximal" where that is possible, else "decoupled"."""
    penalties = [pull.penalty for one in subjects for pull in one.pulls]
    try:
        rule_for(optimizer)
    except ValueError:
        return "decoupled"
    plain = isinstance(optimizer, torch.optim.SGD)
    if any(one.why_no_prox() or (not plain and one.why_no_metric()) for one in penalties):
        return "decoupled"
    return "proximal"


def _entries(subjects: Sequence[Subject]) -> int:
    return sum(one.parameter.numel() for one in subjects)
