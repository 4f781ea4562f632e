"""Zeros that are held: what is exactly 0 stays 0, whatever optimizer steps it.

The weights are set to 0 again after each step of each optimizer, by a hook that torch runs on all
of them, so it also acts on an optimizer that nothing is attached to. Optimizers that are not
subclasses of `torch.optim.Optimizer`, and updates written by hand, run no hooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol
from weakref import WeakSet

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.private import skip_compiling
from shrinkage.torch.tensors.kinds import local_shard

# Moving averages of gradients: what they hold for a held weight would move it after `release`.
MOMENTA = ("momentum_buffer", "exp_avg")


class HeldZeros:
    """Which entries are held at 0, as a mask for each parameter by its name.

    Without `parts` the zeros are taken at the next step: those of weights that are loaded until
    then.
    """

    def __init__(self, parts: Iterable[BoundParameter] = ()) -> None:
        self._masks = {part.name: _find_zeros(part) for part in parts}

    @torch.no_grad()
    def take_missing(self, parts: Iterable[BoundParameter]) -> None:
        """Hold what is 0 now in parameters that are new or have another shape."""
        for part in parts:
            mask = self._masks.get(part.name)
            if mask is None or mask.shape != local_shard(part.parameter.detach()).shape:
                self._masks[part.name] = _find_zeros(part)

    @torch.no_grad()
    def apply_(self, parts: Iterable[BoundParameter], optimizer: Optimizer) -> None:
        """Set what is held to 0 again, in the weights and in the optimizer's momentum."""
        for part in parts:
            mask = self._masks[part.name]
            w = local_shard(part.parameter.detach())
            w.masked_fill_(mask.to(w.device), 0.0)
            state = optimizer.state.get(part.parameter) or {}
            for name in MOMENTA:
                momentum = state.get(name)
                if isinstance(momentum, Tensor) and momentum.shape == part.parameter.shape:
                    momentum = local_shard(momentum)
                    momentum.masked_fill_(mask.to(momentum.device), 0.0)


class Holder(Protocol):
    """A bound model, as far as holding its zeros needs it."""

    held: HeldZeros | None

    @property
    def parts(self) -> Iterator[BoundParameter]: ...

    def refresh(self) -> None: ...


def _find_zeros(part: BoundParameter) -> Tensor:
    return local_shard(part.parameter.detach()) == 0


_holders: WeakSet[Holder] = WeakSet()
_hooks: list[Any] = []  # while there are holders: the hooks on all optimizers


def watch(holder: Holder) -> None:
    """Let every optimizer's steps hold this model's zeros from now on."""
    _holders.add(holder)
    if not _hooks:
        _hooks.append(register_optimizer_step_pre_hook(_before))
        _hooks.append(register_optimizer_step_post_hook(_after))


def stop_watching(holder: Holder) -> None:
    """Stop what `watch` began."""
    _holders.discard(holder)
    while _hooks and not _holders:
        _hooks.pop().remove()


@skip_compiling
def _before(optimizer: Optimizer, args: object, kwargs: object) -> None:
    for held, parts in _find_held(optimizer):
        held.take_missing(parts)


@skip_compiling
def _after(optimizer: Optimizer, args: object, kwargs: object) -> None:
    for held, parts in _find_held(optimizer):
        held.take_missing(parts)  # a target reached in this step has begun to hold
        held.apply_(parts, optimizer)


def _find_held(optimizer: Optimizer) -> list[tuple[HeldZeros, list[BoundParameter]]]:
    """What is held of the parameters of this optimizer."""
    stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    found = []
    for holder in list(_holders):
        if holder.held is not None:
            holder.refresh()
            parts = [part for part in holder.parts if id(part.parameter) in stepped]
            found.append((holder.held, parts))
    return found
