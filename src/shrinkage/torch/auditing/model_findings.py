"""The checks on the model itself: what no choice of optimizer or strength will mend.

Each check is a function of the picture that yields a finding for each thing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from shrinkage.torch.auditing.findings import Check, Finding, are, listed, names_of, written
from shrinkage.torch.auditing.snapshot import Picture, Subject
from shrinkage.torch.binding.averages import find_counterpart, tensors_of
from shrinkage.torch.models.normalized import parametrization_of
from shrinkage.torch.tensors.kinds import gather_shards, is_sharded

# Parametrizations through which a zero of the parameter is a zero of the weight, or a gain of it
TRANSPARENT = {"Product", "Gate", "_WeightNorm", "_SpectralNorm"}


def nothing_trained(picture: Picture) -> Iterator[Finding]:
    if picture.subjects and not any(one.is_trained for one in picture.subjects):
        yield Finding(
            "nothing is trained",
            "warning",
            names_of(picture.subjects),
            f"all {len(picture.subjects)} parameters are frozen (requires_grad is False): no step "
            "moves any of them, and no penalty acts",
            float(len(picture.subjects)),
            "model.requires_grad_(True)  # or only for the parameters that are meant to learn",
        )


def penalty_on_frozen(picture: Picture) -> Iterator[Finding]:
    regularizer = picture.regularizer
    if regularizer is None or not any(one.is_trained for one in picture.subjects):
        return
    chosen = [one for one in regularizer.selected if one.penalty is not None]
    if chosen and not regularizer.active_parts:
        names = tuple(one.owner.name for one in chosen)
        yield Finding(
            "penalty on frozen parameters alone",
            "warning",
            names,
            f"all {len(names)} penalized parameters are frozen (requires_grad is False), so the "
            "penalty acts on nothing",
            float(len(names)),
            "for one in regularizer.selected:\n"
            "    if one.penalty is not None: one.candidate.parameter.requires_grad_(True)",
        )


def all_weights_zero(picture: Picture) -> Iterator[Finding]:
    weights = [one for one in picture.subjects if one.kind == "weight"]
    zero = [one for one in weights if _is_zero(one)]
    if weights and len(zero) == len(weights):
        entries = sum(one.parameter.numel() for one in zero)
        why = f"; {written(zero)} may be too strong" if any(one.pulls for one in zero) else ""
        yield Finding(
            "every weight is zero",
            "warning",
            names_of(zero),
            f"all {entries} weights are exactly 0, so the model gives the same output for every "
            f"input{why}",
            float(entries),
            _begin_again(picture),
        )
        return
    dead = [one for one in zero if one.pulls]
    if dead:
        yield Finding(
            "a whole weight is zero",
            "note",
            names_of(dead),
            f"{listed(dead)} {are(dead)} exactly 0 in every entry: if this is not how training "
            f"begins, {written(dead)} is too strong there",
            float(sum(one.parameter.numel() for one in dead)),
            "# nothing to mend in a layer that begins at 0; else a smaller lam for these names",
        )


def penalty_before_a_parametrization(picture: Picture) -> Iterator[Finding]:
    found: dict[str, list[Subject]] = {}
    for subject in picture.subjects:
        kind = parametrization_of(subject.candidate.owners[0])
        if subject.pulls and kind is not None and kind not in TRANSPARENT:
            found.setdefault(kind.lstrip("_"), []).append(subject)
    for kind, subjects in found.items():
        places = [_place(one) for one in subjects]
        yield Finding(
            "penalty before a parametrization",
            "warning",
            names_of(subjects),
            f"{written(subjects)} acts on {listed(subjects)}, from which the parametrization "
            f"{kind} makes the weight that the layer uses: that one may have other sizes "
            "and other zeros than what is penalized",
            float(len(subjects)),
            "# leave them out by a None in the mapping, or take the parametrization off:\n"
            f"for path, key in {places!r}:\n"
            "    module = model.get_submodule(path)\n"
            "    torch.nn.utils.parametrize.remove_parametrizations(module, key)",
        )


def penalty_for_each_backward(picture: Picture) -> Iterator[Finding]:
    subjects = [one for one in picture.subjects if any(pull.how == "loss" for pull in one.pulls)]
    if subjects:
        yield Finding(
            "penalty() acts at each backward()",
            "note",
            names_of(subjects),
            "a penalty in the loss acts once for each backward(): under gradient accumulation over "
            "n micro-batches n times a step, unless the loop divides the loss by n, which "
            "transformers' Trainer does not for a loss that counts its own items",
            float(len(subjects)),
            "# nothing to mend without accumulation; else divide penalty() by n, or attach it as\n"
            '# "coupled", which adds it once a step',
        )


OF_THE_MODEL: tuple[Check, ...] = (
    nothing_trained,
    penalty_on_frozen,
    all_weights_zero,
    penalty_before_a_parametrization,
    penalty_for_each_backward,
)


def find_lost_zeros(picture: Picture) -> Iterator[Finding]:
    """What is said where the model is an average of the one that the regularizer penalizes."""
    regularizer = picture.regularizer
    if regularizer is None:
        return
    others, lost, names = tensors_of(picture.model), 0, []
    for binding in regularizer.bindings:
        for part in binding.parts:
            other = find_counterpart(part, others)
            if other is not None and other is not part.parameter:
                missing = (gather_shards(part.parameter.detach()) == 0) & (
                    gather_shards(other.detach()) != 0
                )
                lost += int(torch.count_nonzero(missing))
                names += [part.name] * bool(missing.any())
    if lost:
        yield Finding(
            "an average without zeros",
            "warning",
            tuple(names),
            f"{lost} weights are exactly 0 in the trained model but not in this average of it: an "
            "average over steps is 0 only where every step was",
            float(lost),
            "regularizer.copy_zeros_to(model)",
        )


def is_average_of(model: nn.Module, regularizer_model: nn.Module) -> bool:
    """Whether it has the other's parameters by name and shape, and none of its own."""
    mine, other = tensors_of(model), tensors_of(regularizer_model)
    shapes = {name.removeprefix("module."): tensor.shape for name, tensor in mine.items()}
    is_same = any(one is tensor for one in mine.values() for tensor in other.values())
    return not is_same and all(shapes.get(name) == t.shape for name, t in other.items())


def _is_zero(subject: Subject) -> bool:
    w = subject.parameter.detach()
    if is_sharded(w) or w.is_meta or not w.numel():  # one process alone may print what is found
        return False
    return not int(torch.count_nonzero(w))


def _place(subject: Subject) -> tuple[str, str]:
    """The path of the module that a parametrized weight serves, and its name there."""
    owner = subject.candidate.owners[0]
    return owner.path.partition("parametrizations.")[0].rstrip("."), owner.key


def _begin_again(picture: Picture) -> str:
    lines = [
        "for module in model.modules():",
        '    if hasattr(module, "reset_parameters"): module.reset_parameters()',
    ]
    if picture.regularizer is not None:
        lines.insert(0, "regularizer.factor *= 0.1  # a weaker penalty")
    return "\n".join(lines)
