"""One check of all tensors of a batch together, in place of a check of each tensor.

`benchmarks/step.py`, the tiny model: without it a step of five small tensors takes 1.4 to 1.8 times
as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any

from torch import Tensor, UntypedStorage

from shrinkage.torch import private

States = Mapping[Tensor, Mapping[str, Tensor]]  # the optimizer's, by parameter
Parts = Sequence[Sequence[tuple[str, Tensor, int]]]  # name, tensor and address of what is used


def make_guard(
    states: States, weights: Sequence[Tensor], gradients: Sequence[Tensor], parts: Parts
) -> MemoryGuard | None:
    """Make a guard of tensors that fit; None where one has no gradient or torch has no guards."""
    if private.TensorGuards is None or len(gradients) < len(weights):
        return None
    return MemoryGuard(states, weights, gradients, parts)


class MemoryGuard:
    """The properties that weights, state and gradients had when each was checked and fitted.

    Parameters
    ----------
    states : mapping
        The optimizer's state: for each parameter a dictionary.
    weights, gradients : sequence of Tensor
        Of the parameters, in the same order.
    parts : sequence of sequence
        The tensors that are used of each parameter's state.
    """

    def __init__(
        self, states: States, weights: Sequence[Tensor], gradients: Sequence[Tensor], parts: Parts
    ) -> None:
        used = [(w, *part) for w, of_one in zip(weights, parts, strict=True) for part in of_one]
        self._places = [(states[w], name) for w, name, _, _ in used]
        state = [tensor for _, _, tensor, _ in used]
        self._objects = [*states, *states.values(), *state]
        self._kept = [*weights, *state]
        self._addresses = addresses_of(self._kept)
        self._offsets, self._sizes = offsets_of(gradients), sizes_of([*self._kept, *gradients])
        self._guards = private.TensorGuards(
            *self._kept, *gradients, dynamic_dims_sizes=None, dynamic_dims_strides=None
        )

    def holds(self, states: States, gradients: Sequence[Any]) -> bool:
        """Whether all tensors and addresses are the same, and new gradients fit as the old ones."""
        tensors = [*self._kept, *gradients]
        if not (
            self._guards.check(*tensors)
            and addresses_of(self._kept) == self._addresses
            and offsets_of(gradients) == self._offsets
            and sizes_of(tensors) == self._sizes
        ):
            return False
        state = [of_one.get(name) for of_one, name in self._places]
        objects = [*states, *states.values(), *state]
        return len(objects) == len(self._objects) and all(map(is_, objects, self._objects))


def addresses_of(tensors: Sequence[Any]) -> list[int]:
    return list(map(Tensor.data_ptr, tensors))


def offsets_of(tensors: Sequence[Any]) -> list[Any]:
    """The offset of each in its storage."""
    return list(map(Tensor.storage_offset, tensors))


def sizes_of(tensors: Sequence[Any]) -> list[int]:
    """The bytes of their storages: one can be cut while its tensor still has the old shape."""
    return list(map(UntypedStorage.nbytes, map(Tensor.untyped_storage, tensors)))
