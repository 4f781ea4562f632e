"""Findings about the model itself, which no choice of optimizer or strength can mend.

Each check is a function of the snapshot that yields a finding for each thing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from shrinkage.torch.auditing.finding import (
    Check,
    Finding,
    construct_all,
    enumerate_names,
    group_by,
    warning,
)
from shrinkage.torch.auditing.snapshot import Snapshot
from shrinkage.torch.models.effective import parametrization_class

# Parametrizations through which a zero of the parameter is a zero of the weight, or a gain of it
TRANSPARENT = {"Product", "Gate", "_WeightNorm", "_SpectralNorm"}


def find_nothing_trained(snapshot: Snapshot) -> Iterator[Finding]:
    parameters = snapshot.parameters
    if parameters and not any(each.is_trained for each in parameters):
        yield warning(
            "nothing-trained",
            parameters,
            f"all {len(parameters)} parameters are frozen (requires_grad is False): no step "
            "moves any of them, and no penalty acts",
            float(len(parameters)),
            "model.requires_grad_(True)  # or only for the parameters that are meant to learn",
        )


def find_penalty_on_frozen(snapshot: Snapshot) -> Iterator[Finding]:
    bound = snapshot.bound
    if bound is None or not any(each.is_trained for each in snapshot.parameters):
        return
    penalized = [each for each in bound.selected if each.penalty is not None]
    if penalized and not bound.active_parts:
        yield Finding(
            "penalty-on-frozen",
            "warning",
            tuple(each.owner.name for each in penalized),
            f"all {len(penalized)} penalized parameters are frozen (requires_grad is False), so "
            "the penalty acts on nothing",
            float(len(penalized)),
            "for one in regularizer.selected:\n"
            "    if one.penalty is not None: one.candidate.parameter.requires_grad_(True)",
        )


def find_penalty_before_parametrization(snapshot: Snapshot) -> Iterator[Finding]:
    penalized = (each for each in snapshot.parameters if each.penalties)
    by_kind = group_by(penalized, lambda each: parametrization_class(each.candidate.owners[0]))
    for kind, parameters in by_kind.items():
        if kind is None or kind in TRANSPARENT:
            continue
        owners = [each.candidate.owners[0] for each in parameters]
        places = [
            (owner.path.partition("parametrizations.")[0].rstrip("."), owner.key)
            for owner in owners
        ]
        yield warning(
            "penalty-before-parametrization",
            parameters,
            f"{construct_all(parameters)} acts on {enumerate_names(parameters)}, from which the "
            f"parametrization {kind.lstrip('_')} makes the weight that the layer uses: that one "
            "may have other sizes and other zeros than what is penalized",
            float(len(parameters)),
            "# leave them out by a None in the mapping, or take the parametrization off:\n"
            f"for path, key in {places!r}:\n"
            "    module = model.get_submodule(path)\n"
            "    torch.nn.utils.parametrize.remove_parametrizations(module, key)",
        )


ABOUT_MODELS: tuple[Check, ...] = (
    find_nothing_trained,
    find_penalty_on_frozen,
    find_penalty_before_parametrization,
)
