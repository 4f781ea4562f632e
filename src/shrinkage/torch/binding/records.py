"""What a regularizer needs to go on, as numbers and text about the places of a parameter group.

A record speaks of places in its group, as torch's own state does, so the same script finds its
parameters again under whatever names.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from shrinkage.torch.binding.bound import Binding, Part
from shrinkage.torch.binding.checkpoint import warn_of_other_penalties
from shrinkage.torch.binding.core import BoundModel
from shrinkage.torch.facts.own_step import Group

START = "shrinkage_start"  # in a parameter's own state: the reference of its Toward("start")
Record = dict[str, Any]


def places_of(bound: BoundModel, group: Group) -> dict[int, tuple[Binding, Part]]:
    """Where in the group the penalized parameters are."""
    place_of = {id(parameter): place for place, parameter in enumerate(group["params"])}
    return {
        place_of[id(part.parameter)]: (binding, part)
        for binding in bound.bindings
        for part in binding.parts
        if id(part.parameter) in place_of
    }


def record_of(bound: BoundModel, number: int, group: Group) -> Record | None:
    """What this regularizer needs of the group with that number; None if it has nothing there."""
    places = places_of(bound, group)
    if not places:
        return None
    memory = bound.momentum
    filled = {place: memory.buffers.get(part.name) for place, (_, part) in places.items()}
    return {
        "step": bound.steps,
        "factor": bound.factor,
        "penalties": _by_value({place: one.text for place, (one, _) in places.items()}),
        "momentum": _by_value({place: share for place, share in filled.items() if share}),
        "first_lr": memory.first_lrs[number] if number < len(memory.first_lrs) else None,
    }


def is_about(record: Record, bound: BoundModel, group: Group) -> bool:
    """Whether it speaks of a parameter that this regularizer penalizes."""
    return not places_of(bound, group).keys().isdisjoint(_by_place(record["penalties"]))


def go_on(bound: BoundModel, optimizer: Optimizer, found: Sequence[tuple[Group, Record]]) -> None:
    """Let the regularizer go on from its records, and warn where the penalties are others now."""
    _warn_of_other_penalties(bound, found)
    _warn_of_lost_starts(bound, optimizer)
    first = found[0][1]
    bound.factor = first["factor"]
    bound.steps = int(first["step"])
    memory, records = bound.momentum, {id(group): record for group, record in found}
    memory.buffers.clear()
    for number, group in enumerate(optimizer.param_groups):
        record = records.get(id(group), {})
        places = places_of(bound, group)
        for place, share in _by_place(record.get("momentum", {})).items():
            if place in places:
                memory.buffers[places[place][1].name] = float(share)
        if record.get("first_lr") is not None and number < len(memory.first_lrs):
            memory.first_lrs[number] = float(record["first_lr"])
    _take_starts(bound, optimizer)


def keep_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """After a step: where parameters started joins the state that the step has made for them."""
    if not bound.starts:
        return
    for part in _with_starts(bound):
        if part.moves and optimizer.state[part.parameter] is not None:
            optimizer.state[part.parameter][START] = bound.starts[part.name]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]  # distributed checkpoints want all in the state, or none


def drop_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """Take back what `keep_starts` kept."""
    for part in _with_starts(bound):
        state_of(optimizer, part).pop(START, None)


def _take_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """A parameter that has never moved starts where its next step does."""
    for part in _with_starts(bound):
        start, state = bound.starts[part.name], state_of(optimizer, part)
        if START in state:
            start.copy_(state[START])  # in place: the penalties hold it
            state[START] = start
            bound.unknown_starts.discard(part.name)
        elif not _has_moved(state):
            bound.unknown_starts.add(part.name)


def _warn_of_lost_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    states = ((part, state_of(optimizer, part)) for part in _with_starts(bound))
    lost = [part.name for part, state in states if _has_moved(state) and START not in state]
    if lost:
        warnings.warn(
            f"the state of {type(optimizer).__name__} does not hold where {lost[0]} started: "
            'Toward("start") takes where the weights were when the Regularizer was made',
            stacklevel=5,
        )


def _has_moved(state: Mapping[str, Any]) -> bool:
    return bool(state) and int(state.get("step", 1)) > 0


def _with_starts(bound: BoundModel) -> Iterator[Part]:
    return (part for part in bound.parts if part.name in bound.starts)


def state_of(optimizer: Optimizer, part: Part) -> dict[str, Any]:
    """The optimizer's state for one parameter; empty where it has none, or not in this process."""
    return optimizer.state.get(part.parameter) or {}


def _warn_of_other_penalties(bound: BoundModel, found: Sequence[tuple[Group, Record]]) -> None:
    names = {id(one.candidate.parameter): one.owner.name for one in bound.selected}
    now: dict[str, str] = {}
    saved: dict[str, str] = {}
    for group, record in found:
        name_of = {
            place: names.get(id(parameter), f"parameter {place}")
            for place, parameter in enumerate(group["params"])
        }
        for place, (binding, _) in places_of(bound, group).items():
            now[name_of[place]] = binding.text
        for place, text in _by_place(record["penalties"]).items():
            saved[name_of.get(place, f"parameter {place}")] = text
    warn_of_other_penalties(now, saved)


def _by_value(values: Mapping[int, object]) -> dict[str, list[int]]:
    """The places of each value: most parameters have the same."""
    found: dict[str, list[int]] = {}
    for place, value in values.items():
        found.setdefault(str(value), []).append(place)
    return found


def _by_place(places: Mapping[str, Sequence[int]]) -> dict[int, str]:
    return {place: value for value, several in places.items() for place in several}
