"""Which parameters a penalty is for: names, kinds, patterns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from shrinkage.penalties import Penalty
from shrinkage.torch.joint import Joint

Predicate = Callable[[str, torch.Tensor, nn.Module], bool]
Selector = str | type[nn.Module] | Predicate | Joint
On = Selector | Sequence[Selector]

WRAPPED = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
WRAPPERS = {"DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "AveragedModel"}
NORMALIZATIONS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True)
class Owner:
    """A place where a parameter lives: the module it serves and what it is called."""

    name: str  # without the prefixes of wrappers
    path: str  # with them, as model.named_parameters() has it
    alias: str  # "fc.weight" for "fc.parametrizations.weight.original1"; else the name
    module: nn.Module
    key: str  # the module's name for it: "weight"
    kind: str  # "weight", or what it is instead

    @property
    def names(self) -> tuple[str, str, str]:
        return self.name, self.alias, self.path


@dataclass(frozen=True)
class Candidate:
    """A parameter with every place where it lives: several where it is tied."""

    parameter: torch.Tensor
    owners: tuple[Owner, ...]

    @property
    def name(self) -> str:
        return self.owners[0].name


@dataclass(frozen=True)
class Selected:
    """What was decided for one parameter, and why."""

    candidate: Candidate
    owner: Owner  # the one that decided; the first if none did
    penalty: Penalty | None
    why: str
    by: Selector | None = None  # what selected it


def candidates(model: nn.Module) -> list[Candidate]:
    """Every parameter of `model` once, in the model's order, under all of its names.

    Raises
    ------
    ValueError
        If a parameter has no shape yet (lazy modules).
    """
    found: dict[int, tuple[torch.Tensor, list[Owner]]] = {}
    for owner, parameter in _owners(model, "", "", ()):
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(
                f"{owner.name} has no shape yet; run the model once, then build the Regularizer"
            )
        found.setdefault(id(parameter), (parameter, []))[1].append(owner)
    return [Candidate(parameter, tuple(owners)) for parameter, owners in found.values()]


def select(
    model: nn.Module, penalty: Penalty | Mapping[Any, Penalty | None], on: On | None
) -> list[Selected]:
    """Decide for every parameter of `model` whether and how it is penalized.

    Raises
    ------
    ValueError
        If a pattern, a type or a predicate reaches nothing.
    """
    pool = candidates(model)
    rules, reach_all = _rules(penalty, on)
    used = [False] * len(rules)
    chosen = [_decide(candidate, rules, reach_all, used) for candidate in pool]
    for (selector, _), was_used in zip(rules, used, strict=True):
        if isinstance(selector, Joint):
            _check_joint(selector, chosen)
        hit = _first_hit(selector, pool, reach_all)
        if hit is None:
            raise ValueError(_nothing(selector, pool))
        if isinstance(penalty, Mapping) and not was_used:
            raise ValueError(
                f"{_named(selector)} is left with nothing: earlier patterns take {hit} and all "
                "else it matches; put it before them"
            )
    return chosen


def each_name_alone(
    candidate: Candidate, penalty: Penalty | Mapping[Any, Penalty | None], on: On | None
) -> dict[str, Penalty | None]:
    """What a tied parameter would get if it went by one of its names alone, for each of them.

    Empty where a selector is one of its whole names: then it is meant.
    """
    rules, reach_all = _rules(penalty, on)
    names = {name for owner in candidate.owners for name in (owner.name, owner.alias)}
    if any(isinstance(selector, str) and selector in names for selector, _ in rules):
        return {}
    unused = [False] * len(rules)
    return {
        owner.name: _decide(replace(candidate, owners=(owner,)), rules, reach_all, unused).penalty
        for owner in candidate.owners
    }


def _rules(
    penalty: Penalty | Mapping[Any, Penalty | None], on: On | None
) -> tuple[list[tuple[Any, Penalty | None]], bool]:
    """Selectors with their penalties, in order; and whether patterns reach everything."""
    if isinstance(penalty, Mapping):
        if on not in (None, "all"):
            raise ValueError(
                f'on={on!r} beside a mapping: its keys say what is penalized; only on="all" (they '
                "reach biases and normalizations too) goes with it"
            )
        if not penalty:
            raise ValueError("the mapping of patterns to penalties is empty")
        return list(penalty.items()), on == "all"
    selectors = on if isinstance(on, Sequence) and not isinstance(on, str) else [on]
    if not selectors:
        raise ValueError(f"on={on!r} selects nothing")
    return [("weights" if one is None else one, penalty) for one in selectors], False


def _decide(
    candidate: Candidate,
    rules: Sequence[tuple[Any, Penalty | None]],
    reach_all: bool,
    used: list[bool],
) -> Selected:
    for number, (selector, penalty) in enumerate(rules):
        for owner in candidate.owners:
            if _matches(selector, owner, candidate.parameter, reach_all):
                used[number] = True
                why = "" if penalty else f"{selector!r}: None"
                return Selected(candidate, owner, penalty, why, selector)
    owner = candidate.owners[0]
    return Selected(candidate, owner, None, owner.kind if owner.kind != "weight" else "no match")


def _matches(selector: Selector, owner: Owner, parameter: torch.Tensor, reach_all: bool) -> bool:
    if isinstance(selector, type):
        return isinstance(owner.module, selector)
    if isinstance(selector, Joint):
        return not set(selector.names).isdisjoint(owner.names)
    if not isinstance(selector, str):
        if not callable(selector):
            raise TypeError(
                "a selector is a pattern, a module type or a predicate(name, parameter, module), "
                f"got {selector!r}"
            )
        return bool(selector(owner.name, parameter, owner.module))
    if selector == "all":
        return True
    if selector in {"weights", "biases"}:
        return owner.kind == {"weights": "weight", "biases": "bias"}[selector]
    if selector in (owner.name, owner.alias):
        return True
    if not (fnmatchcase(owner.name, selector) or fnmatchcase(owner.alias, selector)):
        return False
    names_bias = re.search(r"(?<![a-zA-Z0-9])bias(?![a-z])", selector.rsplit(".", 1)[-1])
    return reach_all or owner.kind == "weight" or (owner.kind == "bias" and bool(names_bias))


def _first_hit(selector: Selector, pool: Sequence[Candidate], reach_all: bool) -> str | None:
    """The first name that a selector reaches, whatever others take before it."""
    for candidate in pool:
        for owner in candidate.owners:
            if _matches(selector, owner, candidate.parameter, reach_all):
                return owner.name
    return None


def unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """The model inside its wrappers, and their part of the names: "module." under DDP."""
    prefix = ""
    while key := next((key for key in model._modules if _wraps(model, key)), None):
        model, prefix = model.get_submodule(key), f"{prefix}{key}."
    return model, prefix


def _wraps(module: nn.Module, key: str) -> bool:
    return key in WRAPPED or (key == "module" and type(module).__name__ in WRAPPERS)


def _check_joint(joint: Joint, chosen: Sequence[Selected]) -> None:
    """Refuse members that do not exist, that are one parameter, or that another selector takes."""
    found: dict[int, str] = {}
    for name in joint.names:
        named = [
            one for one in chosen if any(name in owner.names for owner in one.candidate.owners)
        ]
        if not named:
            owners = [owner for one in chosen for owner in one.candidate.owners]
            raise ValueError(f"{joint!r}: there is no {name}; {_nearest(name, owners)}")
        if len(named) > 1:
            several = " and ".join(one.candidate.name for one in named)
            raise ValueError(f"{joint!r}: {name} stands for {several}; name one of them")
        if named[0].by != joint:
            assert named[0].by is not None
            raise ValueError(
                f"{joint!r}: {_named(named[0].by)} takes {name} before; put the Joint first, and "
                "name a parameter in one Joint alone: groups that overlap have no common prox"
            )
        other = found.setdefault(id(named[0].candidate.parameter), name)
        if other != name:
            raise ValueError(f"{joint!r}: {other} and {name} are one parameter; name it once")


def _named(selector: Selector) -> str:
    if isinstance(selector, Joint):
        return repr(selector)
    if isinstance(selector, str):
        return f"pattern {selector!r}"
    kind = "type" if isinstance(selector, type) else "the predicate"
    return f"{kind} {getattr(selector, '__name__', repr(selector))}"


def _nothing(selector: Selector, pool: Sequence[Candidate]) -> str:
    """The sentence for a selector that reaches nothing."""
    owners = [owner for candidate in pool for owner in candidate.owners]
    if not owners:
        return "the model has no parameter"
    if isinstance(selector, type):
        types = ", ".join(sorted({type(owner.module).__name__ for owner in owners}))
        return f"no module of {_named(selector)} owns a parameter; those that do: {types}"
    if not isinstance(selector, str):
        return f"{_named(selector)} is true for no parameter"
    if selector in {"weights", "biases"}:
        kind = {"weights": "weight", "biases": "bias"}[selector]
        return f"the model has no {kind}, only {_listed(owners)}; name what is meant with on="
    passed = [owner for owner in owners if fnmatchcase(owner.name, selector)]
    if passed:
        return (
            f"{_named(selector)} matches no weight, only {_listed(passed)}: a bias is reached by a "
            'pattern that ends in "bias", anything else by its whole name or on="all"'
        )
    return f"{_named(selector)} matches no parameter; {_nearest(selector, owners)}"


def _nearest(pattern: str, owners: Sequence[Owner]) -> str:
    bare = pattern.replace("*", "").strip(".")
    near = difflib.get_close_matches(bare, [owner.name for owner in owners], n=3, cutoff=0.0)
    return f"the nearest are {', '.join(near)}"


def _listed(owners: Sequence[Owner]) -> str:
    return ", ".join(f"{owner.name} ({owner.kind})" for owner in owners[:3])


def _owners(
    module: nn.Module, prefix: str, path: str, above: tuple[nn.Module, ...]
) -> Iterator[tuple[Owner, torch.Tensor]]:
    """Every place of every parameter below `module`, tied ones at each of their places."""
    if module in above:  # a module that holds itself
        return
    for key, parameter in module._parameters.items():
        if parameter is not None:
            kind = _kind(module, key, parameter)
            yield Owner(prefix + key, path + key, prefix + key, module, key, kind), parameter
    for key, child in module._modules.items():
        if child is None:
            continue
        if key == "parametrizations" and nn.utils.parametrize.is_parametrized(module):
            yield from _parametrized(module, prefix, path, child)
        else:
            inner = prefix if _wraps(module, key) else f"{prefix}{key}."
            yield from _owners(child, inner, f"{path}{key}.", (*above, module))


def _parametrized(
    module: nn.Module, prefix: str, path: str, lists: nn.Module
) -> Iterator[tuple[Owner, torch.Tensor]]:
    """The originals behind a parametrized tensor: they serve the module that shows it."""
    for key, steps in lists.named_children():
        assert isinstance(steps, nn.utils.parametrize.ParametrizationList)
        weight_norm = type(steps[0]).__name__ == "_WeightNorm"
        for name, parameter in steps.named_parameters():
            inner = f"parametrizations.{key}.{name}"
            gain = weight_norm and name == "original0"
            kind = "a weight-norm gain" if gain else _kind(module, key, parameter)
            alias = prefix + (inner if gain else key)
            yield Owner(prefix + inner, path + inner, alias, module, key, kind), parameter


def _kind(module: nn.Module, key: str, parameter: torch.Tensor) -> str:
    """ "weight", "bias", or in words what a parameter is instead."""
    is_norm = isinstance(module, NORMALIZATIONS)
    if is_norm or re.search(r"Norm([123]d)?$", type(module).__name__):
        return "a normalization's"
    if key.endswith("_g") and f"{key[:-2]}_v" in module._parameters:
        return "a weight-norm gain"
    if key == "bias" or key.startswith("bias_") or key.endswith("_bias"):
        return "bias"
    if isinstance(module, nn.PReLU):
        return "a slope"
    return "weight" if parameter.ndim >= 2 else "one-dimensional"
