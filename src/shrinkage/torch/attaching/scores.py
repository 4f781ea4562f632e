"""What zeros of a binding are worth: ``w²/(2·s)`` by the optimizer's own step s, over the price.

An L0 with the factor f makes zero what has ``w²/(2·s·lam) ≤ f``; a count of groups what has
``Σ w²/(2·s)/price ≤ f``. So the k smallest of these numbers are what the count makes zero at the
factor that leaves N − k entries, and the k-th of them is that factor. Under other penalties the
price is the group's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import array_api_compat.torch as xp
import torch
from torch import Tensor

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import terms
from shrinkage.penalties.layout import Groups, lay_out, restore
from shrinkage.torch.binding.bindings import Binding, Reading
from shrinkage.torch.tensors.kinds import (
    OwnStep,
    gather_shards,
    is_sharded,
    local_shard,
    real_dtype,
    sum_over_shards,
)
from shrinkage.torch.tensors.smallest import BINS, TOP, bits_of
from shrinkage.torch.tensors.updates import limited_prox

SAMPLE = 1 << 17  # entries, whose share of zeros is within 0.1 points of that of all
LEAST_STEP = 1e-30  # what does not move is ranked by size, after what does


def zero_making_terms(penalty: Penalty) -> list[Penalty]:
    """The terms of a penalty whose strength decides how many zeros there are."""
    return [
        term
        for term in terms(penalty)
        if term.traits.makes_zeros and not term.is_zero and not term.traits.is_indicator
    ]


@dataclass(frozen=True, eq=False)
class Units:
    """What of a binding becomes zero together: its entries, or the groups of its penalty."""

    binding: Binding
    groups: Groups | None  # None: each entry alone
    price: Penalty  # the term that says what a living unit costs

    @cached_property
    def total(self) -> int:
        """How many there are, over all processes."""
        if self.groups is None:
            return self._array.numel()
        return self.price.group_zeros(gather_shards(self._array))[1]

    def count_zeros(self) -> int:
        """How many are zero now, over all processes."""
        return self._count_zeros_in(self._array)

    def zeros_after(self, readings: Sequence[Reading | None]) -> Callable[[float], float]:
        """How many a single prox would leave zero, however far it moves them, by its factor.

        Of many entries a sample is looked at, the same one in each step.
        """
        penalty, (reading, *others) = self.binding.penalty, readings
        if others or reading is None or not penalty.traits.is_separable:
            whole = OwnStep(self.binding.read_step(readings).step, math.inf)
            array = self._array
            return lambda factor: self._count_zeros_in(limited_prox(array, penalty, whole, factor))
        (read_step, state), w = reading, self._array
        here, size = _sample(w), local_shard(w).numel()
        alike = {key: v for key, v in state.items() if v.shape == w.shape}
        if all(key in alike or value.numel() == 1 for key, value in state.items()):
            step = read_step(state | {key: _sample(value) for key, value in alike.items()}).step
        else:
            step = read_step(state).step
            step = _sample(step) if isinstance(step, Tensor) and step.shape == w.shape else step
        own = OwnStep(step, math.inf)

        def count(factor: float) -> float:
            left = limited_prox(here, penalty, own, factor)
            share = 1.0 - int(torch.count_nonzero(left)) / max(left.numel(), 1)
            return int(sum_over_shards(torch.tensor([round(share * size)]), w))

        return count

    def _count_zeros_in(self, w: Tensor) -> int:
        if self.groups is not None:
            return self.price.group_zeros(gather_shards(w))[0]
        part = local_shard(w)
        zeros = torch.tensor([part.numel() - int(torch.count_nonzero(part))])
        return int(sum_over_shards(zeros, w))

    @property
    def _array(self) -> Tensor:
        return self.binding.read_array().detach()

    def scores(self, readings: Sequence[Reading | None]) -> Tensor:
        """The number of each unit, float32; of groups all, of entries those of this process."""
        w, step = self._array, self.binding.read_step(readings).step
        if self.groups is None:
            w = local_shard(w)
            step = local_shard(step) if isinstance(step, Tensor) else step
        moves = step.clamp(min=LEAST_STEP) if isinstance(step, Tensor) else max(step, LEAST_STEP)
        dtype = torch.promote_types(real_dtype(w), torch.float32)
        squares = w.abs().to(dtype).square() / moves
        if self.groups is None:
            price: Any = self.price._price(1.0)
        else:
            grouped = lay_out(xp, gather_shards(squares), self.groups)
            squares = grouped.values.sum(dim=grouped.members, keepdim=True)
            price = self.price._price(grouped.sizes)
        worth: Tensor = squares / (2.0 * price)
        return worth.to(torch.float32).reshape(-1)

    def zero_(self, mask: Tensor) -> None:
        """Set units to 0; the mask is of the shape of what `scores` gave."""
        w = self._array
        if self.groups is not None:
            nowhere = torch.zeros(w.shape, device=mask.device)
            grouped = lay_out(xp, nowhere, self.groups)
            size = grouped.values.shape
            shape = [1 if axis in grouped.members else size[axis] for axis in range(len(size))]
            spread = mask.float().view(shape).expand(size)
            mask = _take_local_part(restore(xp, grouped, spread, nowhere) > 0, w)
        self.binding.zero_(mask.view(local_shard(w).shape))


def _sample(w: Tensor) -> Tensor:
    """The entries of this process as a vector, or SAMPLE of them that are drawn the same always."""
    vector = local_shard(w).reshape(-1)
    if vector.numel() <= SAMPLE:
        return vector
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(vector.numel(), (SAMPLE,), generator=generator)
    return vector[places.to(w.device)]


def _take_local_part(mask: Tensor, of: Tensor) -> Tensor:
    """The part of a whole mask that belongs to this process's part of a tensor."""
    if not is_sharded(of):
        return mask
    from torch.distributed.tensor import DTensor, Replicate

    mesh: Any = of.device_mesh  # type: ignore[attr-defined]
    whole = DTensor.from_local(mask, mesh, [Replicate()] * mesh.ndim, run_check=False)
    part: Tensor = whole.redistribute(mesh, of.placements).to_local()  # type: ignore[attr-defined]
    return part


class ScoredUnits:
    """The units of one binding as a pool of numbers, by torch operations."""

    def __init__(self, units: Units, readings: Sequence[Reading | None], most: int) -> None:
        self.units, self.most = units, most
        self._bits = bits_of(units.scores(readings))
        self._mask = self._candidates = torch.empty(0)
        self.is_full = False  # whether its limit keeps units that are among the smallest

    @property
    def sharded_like(self) -> Tensor:
        """Group scores are the same in every process, so these are spread over none."""
        whole = self.units.groups is not None
        return self._bits if whole else self.units._array

    def histogram(self) -> Tensor:
        counts = torch.bincount(self._bits >> TOP, minlength=BINS)
        return counts.cpu()

    def take_below(self, bin: int) -> Tensor:
        self._mask = self._bits < (bin << TOP)
        is_candidate = (self._bits >= (bin << TOP)) & (self._bits <= (bin << TOP | (1 << TOP) - 1))
        self._candidates = is_candidate.nonzero()[:, 0]
        return self._bits[self._candidates].cpu()

    def take(self, mask: Tensor) -> None:
        self._mask[self._candidates[mask.to(self._candidates.device)]] = True
        self.units.zero_(self._mask)
