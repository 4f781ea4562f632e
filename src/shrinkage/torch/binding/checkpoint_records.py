"""Records of what a regularizer needs to resume: numbers and text for each parameter group.

A record refers to parameters by their places in the group, as torch's own state does, so that their
names may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from shrinkage.torch.binding.bindings import Binding, BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.facts.own_step import Group
from shrinkage.user_warning import warn_user

START = "shrinkage_start"  # in a parameter's own state: the reference of its Toward("start")
OCCASIONAL = ("how", "held", "target")  # what `_more_of` adds
Record = dict[str, Any]


def save_state(bound: BoundModel) -> dict[str, Any]:
    """Save factor, step, penalties as text, starts of weights, and fill of momentum buffers."""
    return {
        "factor": bound.factor,
        "step": bound.steps,
        "penalties": {binding.name: binding.text for binding in bound.bindings},
        "starts": {name: start.clone() for name, start in bound.starts.items()},
        **_save_occasional(bound),
        **bound.momentum.state_dict(),
    }


def load_state(bound: BoundModel, saved: Mapping[str, Any]) -> None:
    """Resume from `saved`, or change nothing where a part of it is missing.

    The present penalties stay, and a difference is warned of.
    """
    present = save_state(bound)
    missing = [key for key in present if key not in saved and key not in OCCASIONAL]
    if missing:
        raise ValueError(
            f"state has no {missing[0]!r}: it was not made by Regularizer.state_dict()"
        )
    _warn_of_other_penalties(present["penalties"], saved["penalties"])
    _warn_of_another_how(bound, saved)
    bound.factor = saved["factor"]
    bound.steps = int(saved["step"])
    bound.momentum.load_state_dict(saved)
    _resume_zeros(bound, saved)
    bound.unknown_starts.clear()
    for name, start in bound.starts.items():
        if name in saved["starts"]:
            start.copy_(saved["starts"][name])  # in place: the penalties hold it


def _save_occasional(bound: BoundModel) -> Record:
    """What only some states hold."""
    more: Record = {} if bound.host is None else {"how": bound.host.how}
    if bound.held is not None:
        more["held"] = True
    if bound.target is not None:
        more["target"] = bound.target.state()
    return more


def find_places(bound: BoundModel, group: Group) -> dict[int, tuple[Binding, BoundParameter]]:
    """The penalized parameters of a group by their places in it."""
    place_of = {id(parameter): place for place, parameter in enumerate(group["params"])}
    return {
        place_of[id(part.parameter)]: (binding, part)
        for binding in bound.bindings
        for part in binding.parts
        if id(part.parameter) in place_of
    }


def make_record(bound: BoundModel, number: int, group: Group) -> Record | None:
    """Record what is needed to resume in that group; None if nothing in it is penalized."""
    places = find_places(bound, group)
    if not places:
        return None
    momentum = bound.momentum
    filled = {place: momentum.buffers.get(part.name) for place, (_, part) in places.items()}
    return {
        "step": bound.steps,
        "factor": bound.factor,
        "penalties": _group_by_value(
            {place: binding.text for place, (binding, _) in places.items()}
        ),
        **_save_occasional(bound),
        "momentum": _group_by_value({place: share for place, share in filled.items() if share}),
        "first_lr": momentum.first_lrs[number] if number < len(momentum.first_lrs) else None,
    }


def concerns(record: Record, bound: BoundModel, group: Group) -> bool:
    """Whether a record mentions a parameter that this model penalizes."""
    return not find_places(bound, group).keys().isdisjoint(_ungroup(record["penalties"]))


def resume(
    bound: BoundModel, optimizer: Optimizer, records: Sequence[tuple[Group, Record]]
) -> None:
    """Resume from these records, and warn where the penalties differ from the saved ones."""
    first = records[0][1]
    _compare_penalties(bound, records)
    _warn_of_another_how(bound, first)
    _warn_of_lost_starts(bound, optimizer)
    bound.factor = first["factor"]
    bound.steps = int(first["step"])
    momentum, by_group = bound.momentum, {id(group): record for group, record in records}
    momentum.buffers.clear()
    for number, group in enumerate(optimizer.param_groups):
        record = by_group.get(id(group), {})
        places = find_places(bound, group)
        for place, share in _ungroup(record.get("momentum", {})).items():
            if place in places:
                momentum.buffers[places[place][1].name] = float(share)
        if record.get("first_lr") is not None and number < len(momentum.first_lrs):
            momentum.first_lrs[number] = float(record["first_lr"])
    _load_starts(bound, optimizer)
    _resume_zeros(bound, first)


def _resume_zeros(bound: BoundModel, saved: Mapping[str, Any]) -> None:
    if saved.get("held", False):
        bound.hold_zeros(of_loaded_weights=True)
    else:
        bound.release()
    if bound.target is None:
        bound.loaded_target = saved.get("target")
    elif saved.get("target") is not None:
        bound.target.load(saved["target"])


def store_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """Store the starts of parameters in the state that a step has made for them."""
    if not bound.starts:
        return
    for part in _parts_with_starts(bound):
        if part.moves and optimizer.state[part.parameter] is not None:
            optimizer.state[part.parameter][START] = bound.starts[part.name]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            # A look-up makes an entry: distributed checkpoints need all parameters, or none.
            optimizer.state[parameter]


def remove_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """Remove what `store_starts` stored."""
    for part in _parts_with_starts(bound):
        state_of(optimizer, part).pop(START, None)


def _load_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    """Load the starts; one that has never moved takes its start at the next step."""
    for part in _parts_with_starts(bound):
        start, state = bound.starts[part.name], state_of(optimizer, part)
        if START in state:
            start.copy_(state[START])  # in place: the penalties hold it
            state[START] = start
            bound.unknown_starts.discard(part.name)
        elif not _has_moved(state):
            bound.unknown_starts.add(part.name)


def _warn_of_lost_starts(bound: BoundModel, optimizer: Optimizer) -> None:
    states = ((part, state_of(optimizer, part)) for part in _parts_with_starts(bound))
    lost = [part.name for part, state in states if _has_moved(state) and START not in state]
    if lost:
        warn_user(
            f"the state of {type(optimizer).__name__} does not hold where {lost[0]} started: "
            'Toward("start") takes where the weights were when the Regularizer was made',
        )


def _has_moved(state: Mapping[str, Any]) -> bool:
    return bool(state) and int(state.get("step", 1)) > 0


def _parts_with_starts(bound: BoundModel) -> Iterator[BoundParameter]:
    return (part for part in bound.parts if part.name in bound.starts)


def state_of(optimizer: Optimizer, part: BoundParameter) -> dict[str, Any]:
    """The optimizer's state for one parameter; empty where it has none, or not in this process."""
    return optimizer.state.get(part.parameter) or {}


def _compare_penalties(bound: BoundModel, records: Sequence[tuple[Group, Record]]) -> None:
    names = {id(selected.candidate.parameter): selected.owner.name for selected in bound.selected}
    present: dict[str, str] = {}
    saved: dict[str, str] = {}
    for group, record in records:
        name_of = {
            place: names.get(id(parameter), f"parameter {place}")
            for place, parameter in enumerate(group["params"])
        }
        for place, (binding, _) in find_places(bound, group).items():
            present[name_of[place]] = binding.text
        for place, text in _ungroup(record["penalties"]).items():
            saved[name_of.get(place, f"parameter {place}")] = text
    _warn_of_other_penalties(present, saved)


def _warn_of_other_penalties(present: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Warn where penalties, by name and as text, are not those of the saved run."""
    changed = sorted(key for key in {*present, *saved} if present.get(key) != saved.get(key))
    if changed:
        name = changed[0]
        warn_user(
            f"the saved run had other penalties, for example {name}: {saved.get(name, 'none')} "
            f"then, {present.get(name, 'none')} now; the present ones are kept",
        )


def _warn_of_another_how(bound: BoundModel, saved: Mapping[str, Any]) -> None:
    how = None if bound.host is None else bound.host.how
    if how is not None and saved.get("how", how) != how:
        warn_user(
            f'the saved run applied its penalties by how="{saved["how"]}", and this one does by '
            f'how="{how}", which is kept',
        )


def _group_by_value(values: Mapping[int, object]) -> dict[str, list[int]]:
    """The places of each value, since most parameters have the same one."""
    places: dict[str, list[int]] = {}
    for place, value in values.items():
        places.setdefault(str(value), []).append(place)
    return places


def _ungroup(places: Mapping[str, Sequence[int]]) -> dict[int, str]:
    return {place: value for value, several in places.items() for place in several}
