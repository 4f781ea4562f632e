"""Select the parameters of a penalty by names, kinds and patterns."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from shrinkage.penalties import Penalty
from shrinkage.torch.models.effective import FACTORS_TAKEN, Effective, effective_name, matching_name
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.owners import Candidate, Owner, candidates
from shrinkage.torch.models.selector_names import On, Penalties, Selector

KINDS = {"weights": "weight", "biases": "bias"}  # of parameters, by the selector that means them
Rule = tuple[Any, Penalty | None]


@dataclass(frozen=True)
class Selected:
    """What was decided for one parameter, and why."""

    candidate: Candidate
    owner: Owner  # the one that matched, or the first
    penalty: Penalty | None
    why: str
    by: Selector | None = None  # the selector that matched


def select(model: nn.Module, penalty: Penalties, on: On | None) -> list[Selected]:
    """Decide for every parameter of `model` whether and how it is penalized.

    A selector that reaches nothing is refused.
    """
    pool = candidates(model)
    rules, reach_all = _list_rules(penalty, on)
    for selector, _ in rules:
        _check_kind(selector)
    chosen = [_decide(candidate, rules, reach_all) for candidate in pool]
    for selector, _ in rules:
        if isinstance(selector, Joint):
            _check_joint(selector, chosen)
        hits = (
            owner.name
            for candidate in pool
            for owner in candidate.owners
            if _matches(selector, owner, candidate.parameter, reach_all)
        )
        hit = next(hits, None)  # even if an earlier selector takes it
        if hit is None:
            raise ValueError(_explain_nothing(selector, pool))
        if isinstance(penalty, Mapping) and not any(each.by is selector for each in chosen):
            by = next(each.by for each in chosen if hit in {o.name for o in each.candidate.owners})
            if isinstance(by, Effective) and not isinstance(selector, Effective):
                raise ValueError(f"{_describe(selector)}: {by!r} takes {hit}; {FACTORS_TAKEN}")
            raise ValueError(
                f"{_describe(selector)} is left with nothing: earlier patterns take {hit} and all "
                "else it matches; put it before them"
            )
    return chosen


def decide_for_each_name(
    candidate: Candidate, penalty: Penalties, on: On | None
) -> dict[str, Penalty | None]:
    """The penalty that a tied parameter would get under each of its names alone.

    Empty where a selector is one of its whole names, since that selector is meant for it.
    """
    rules, reach_all = _list_rules(penalty, on)
    names = {name for owner in candidate.owners for name in (owner.name, owner.alias)}
    if any(isinstance(selector, str) and selector in names for selector, _ in rules):
        return {}
    return {
        owner.name: _decide(replace(candidate, owners=(owner,)), rules, reach_all).penalty
        for owner in candidate.owners
    }


def _list_rules(penalty: Penalties, on: On | None) -> tuple[list[Rule], bool]:
    """Selectors with their penalties, in order; and whether patterns reach everything."""
    if isinstance(penalty, Mapping):
        if on is not None and on != "all":
            raise ValueError(
                f'on={on!r} beside a mapping: its keys say what is penalized; only on="all" (they '
                "reach biases and normalizations too) goes with it"
            )
        if not penalty:
            raise ValueError(
                "the mapping of patterns to penalties is empty; give it an entry such as "
                '{"*": L1(1e-4)}, or a penalty in its place'
            )
        return list(penalty.items()), on == "all"
    selectors = on if isinstance(on, list) else [on]
    if not selectors:
        raise ValueError(f"on={on!r} selects nothing")
    return [("weights" if selector is None else selector, penalty) for selector in selectors], False


def _check_kind(selector: object) -> None:
    if isinstance(selector, Effective | Joint | str | type):
        return
    if not callable(selector) or isinstance(selector, Penalty):
        raise TypeError(
            "a selector is a pattern, a layer, a module type, a parameter or a predicate(name, "
            f"parameter, module), got {selector!r}"
        )
    try:
        signature = inspect.signature(selector)
    except ValueError:  # of a function that is not written in Python
        return
    try:
        signature.bind("", None, None)
    except TypeError:
        raise TypeError(
            "a predicate is called with the name, the parameter and the module that holds it; "
            f"{getattr(selector, '__name__', repr(selector))}{signature} cannot be"
        ) from None


def _decide(candidate: Candidate, rules: Sequence[Rule], reach_all: bool) -> Selected:
    """What the first rule that matches says of a parameter."""
    for selector, penalty in rules:
        for owner in candidate.owners:
            if _matches(selector, owner, candidate.parameter, reach_all):
                why = "" if penalty else f"{selector!r}: None"
                return Selected(candidate, owner, penalty, why, selector)
    owner = candidate.owners[0]
    return Selected(candidate, owner, None, owner.kind if owner.kind != "weight" else "no match")


def _matches(selector: Selector, owner: Owner, parameter: torch.Tensor, reach_all: bool) -> bool:
    if isinstance(selector, type):
        return isinstance(owner.module, selector)
    if isinstance(selector, Joint):
        return not set(selector.names).isdisjoint(owner.names)
    if isinstance(selector, Effective):
        return matching_name(selector, owner) is not None
    if not isinstance(selector, str):
        return bool(selector(owner.name, parameter, owner.module))
    if selector == "all":
        return True
    if selector in KINDS:
        return owner.kind == KINDS[selector]
    if selector in (owner.name, owner.alias):
        return True
    if not (fnmatchcase(owner.name, selector) or fnmatchcase(owner.alias, selector)):
        return False
    names_bias = re.search(r"(?<![a-zA-Z0-9])bias(?![a-z])", selector.rsplit(".", 1)[-1])
    return reach_all or owner.kind == "weight" or (owner.kind == "bias" and bool(names_bias))


def _check_joint(joint: Joint, chosen: Sequence[Selected]) -> None:
    """Refuse members that do not exist, that are one parameter, or that another selector takes."""
    name_by_id: dict[int, str] = {}
    for name in joint.names:
        named = [
            selected
            for selected in chosen
            if any(name in owner.names for owner in selected.candidate.owners)
        ]
        if not named:
            owners = [owner for selected in chosen for owner in selected.candidate.owners]
            nearest = list_nearest(name, [owner.name for owner in owners])
            raise ValueError(f"{joint!r}: there is no {name}; {nearest}")
        if len(named) > 1:
            several = " and ".join(selected.candidate.name for selected in named)
            raise ValueError(f"{joint!r}: {name} stands for {several}; name one of them")
        if named[0].by != joint:
            assert named[0].by is not None
            raise ValueError(
                f"{joint!r}: {_describe(named[0].by)} takes {name} before; put the Joint first, "
                "and name a parameter in one Joint alone: groups that overlap have no common prox"
            )
        other = name_by_id.setdefault(id(named[0].candidate.parameter), name)
        if other != name:
            raise ValueError(f"{joint!r}: {other} and {name} are one parameter; name it once")


def _describe(selector: Selector) -> str:
    if isinstance(selector, Effective | Joint):
        return repr(selector)
    if isinstance(selector, str):
        return f"pattern {selector!r}"
    kind = "type" if isinstance(selector, type) else "the predicate"
    return f"{kind} {getattr(selector, '__name__', repr(selector))}"


def _explain_nothing(selector: Selector, pool: Sequence[Candidate]) -> str:
    """The sentence for a selector that reaches nothing."""
    owners = [owner for candidate in pool for owner in candidate.owners]
    if not owners:
        return "the model has no parameter"
    if isinstance(selector, Effective):
        names = dict.fromkeys(filter(None, map(effective_name, owners)))
        there = f"these: {', '.join(names)}" if names else "none"
        return f"{selector!r} matches no weight that the model computes; there are {there}"
    if isinstance(selector, type):
        types = ", ".join(sorted({type(owner.module).__name__ for owner in owners}))
        return f"no module of {_describe(selector)} owns a parameter; those that do: {types}"
    if not isinstance(selector, str):
        return f"{_describe(selector)} is true for no parameter"
    if selector in KINDS:
        kind = KINDS[selector]
        return f"the model has no {kind}, only {_list_owners(owners)}; name what is meant with on="
    passed = [owner for owner in owners if fnmatchcase(owner.name, selector)]
    if passed:
        return (
            f"{_describe(selector)} matches no weight, only {_list_owners(passed)}: a bias is "
            'reached by a pattern that ends in "bias", anything else by its whole name or on="all"'
        )
    nearest = list_nearest(selector, [owner.name for owner in owners])
    return f"{_describe(selector)} matches no parameter; {nearest}"


def list_nearest(pattern: str, names: Sequence[str]) -> str:
    """A clause on the names that are most like a pattern that matches none of them."""
    bare = pattern.replace("*", "").strip(".")
    near = difflib.get_close_matches(bare, names, n=3, cutoff=0.0)
    return f"the nearest are {', '.join(near)}"


def _list_owners(owners: Sequence[Owner]) -> str:
    return ", ".join(f"{owner.name} ({owner.kind})" for owner in owners[:3])
