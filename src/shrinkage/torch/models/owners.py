"""The places of a model's parameters: the modules that own each, and its names there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from shrinkage.torch.models.parameter_kinds import NO_DECAY, Request, is_marked, kind_of, request_of
from shrinkage.torch.private import own_children, own_parameters

WRAPPED = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
WRAPPERS = {"DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "AveragedModel"}


@dataclass(frozen=True)
class Owner:
    """A place of a parameter: the module that owns it, and its names there."""

    name: str  # without the prefixes of wrappers
    path: str  # with them, as model.named_parameters() has it
    alias: str  # "fc.weight" for "fc.parametrizations.weight.original1"; else the name
    module: nn.Module
    key: str  # the module's name for it: "weight"
    kind: str  # "weight", "bias" or another kind in words
    ancestors: tuple[nn.Module, ...] = ()  # the modules that hold `module`, the outermost first
    asks_no_decay: bool = False

    @property
    def names(self) -> tuple[str, str, str]:
        return self.name, self.alias, self.path


@dataclass(frozen=True)
class Candidate:
    """A parameter with all of its places; a tied one has several."""

    parameter: torch.Tensor
    owners: tuple[Owner, ...]

    @property
    def name(self) -> str:
        return self.owners[0].name


def candidates(model: nn.Module) -> list[Candidate]:
    """Every parameter of `model` once, in the model's order, under all of its names."""
    by_id: dict[int, tuple[torch.Tensor, list[Owner]]] = {}
    for owner, parameter in _find_owners(model, "", "", (), ()):
        by_id.setdefault(id(parameter), (parameter, []))[1].append(owner)
    for _, owners in by_id.values():
        if any(owner.asks_no_decay for owner in owners):  # one place speaks for all of them
            owners[:] = [
                replace(owner, kind=NO_DECAY if owner.kind == "weight" else owner.kind)
                for owner in owners
            ]
    return [Candidate(parameter, tuple(owners)) for parameter, owners in by_id.values()]


def parameters_by_name(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters of a model under each of their names, without and with wrappers' prefixes."""
    return {
        name: candidate.parameter
        for candidate in candidates(model)
        for owner in candidate.owners
        for name in owner.names
    }


def modules_by_name(
    module: nn.Module, prefix: str = "", above: tuple[nn.Module, ...] = ()
) -> Iterator[tuple[str, nn.Module, tuple[nn.Module, ...]]]:
    """Every module at each of its places: its prefix, "fc." without wrappers, and its holders.

    Wrappers have the prefix of what they wrap.
    """
    if module in above:
        return
    yield prefix, module, above
    for key, child in own_children(module).items():
        if child is not None:
            inner = prefix if _wraps(module, key) else f"{prefix}{key}."
            yield from modules_by_name(child, inner, (*above, module))


class Modules:
    """The modules of a model, each once, with the modules that hold it and its prefix."""

    def __init__(self, model: nn.Module) -> None:
        self._places: dict[int, tuple[str, nn.Module, tuple[nn.Module, ...]]] = {}
        for place in modules_by_name(model):
            self._places.setdefault(id(place[1]), place)

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for _, module, _ in self._places.values())

    def prefix(self, module: nn.Module) -> str:
        return self._places[id(module)][0]

    def ancestors(self, module: nn.Module) -> tuple[nn.Module, ...]:
        return self._places[id(module)][2]


def unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """The model inside its wrappers, and their part of the names: "module." under DDP."""
    prefix = ""
    while key := next((key for key in own_children(model) if _wraps(model, key)), None):
        model, prefix = model.get_submodule(key), f"{prefix}{key}."
    return model, prefix


def _wraps(module: nn.Module, key: str) -> bool:
    return key in WRAPPED or (key == "module" and type(module).__name__ in WRAPPERS)


def _find_owners(
    module: nn.Module,
    prefix: str,
    path: str,
    above: tuple[nn.Module, ...],
    requests: tuple[Request, ...],
) -> Iterator[tuple[Owner, torch.Tensor]]:
    """Every place of every parameter below `module`, tied ones at each of their places."""
    if module in above:  # a module that holds itself
        return
    request = request_of(module, prefix, path)
    requests = (*requests, request) if request else requests

    def place(
        parameter: torch.Tensor, key: str, inner: str, alias: str, kind: str
    ) -> tuple[Owner, torch.Tensor]:
        names = prefix + inner, path + inner, prefix + alias
        asks = is_marked(parameter) or any(request.includes(*names) for request in requests)
        return Owner(*names, module, key, kind, above, asks), parameter

    for key, parameter in own_parameters(module).items():
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(
                f"{prefix}{key} has no shape yet; run the model once, then build the Regularizer"
            )
        if parameter is not None:
            yield place(parameter, key, key, key, kind_of(module, key, parameter))
    for key, child in own_children(module).items():
        if child is None:
            continue
        if key == "parametrizations" and nn.utils.parametrize.is_parametrized(module):
            for original in _find_originals(module, child):
                yield place(*original)
        else:
            inner = prefix if _wraps(module, key) else f"{prefix}{key}."
            yield from _find_owners(child, inner, f"{path}{key}.", (*above, module), requests)


def _find_originals(
    module: nn.Module, lists: nn.Module
) -> Iterator[tuple[torch.Tensor, str, str, str, str]]:
    """The original parameters of parametrized tensors, as owned by the parametrized module."""
    for key, steps in lists.named_children():
        assert isinstance(steps, nn.utils.parametrize.ParametrizationList)
        weight_norm = type(steps[0]).__name__ == "_WeightNorm"
        for name, parameter in steps.named_parameters():
            inner = f"parametrizations.{key}.{name}"
            is_gain = weight_norm and name == "original0"
            kind = "a weight-norm gain" if is_gain else kind_of(module, key, parameter)
            yield parameter, key, inner, inner if is_gain else key, kind
