"""Sums over the processes that hold the parts of a sharded tensor."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from shrinkage.torch.tensors.kinds import is_sharded, local_shard


def sum_over_shards(values: Tensor, of: Tensor) -> Tensor:
    """`values`, added up over the processes that hold different parts of a tensor."""
    axes = _sharded_axes(of)
    if not axes:
        return values
    total = values.to(local_shard(of.detach()).device, copy=True)
    for axis in axes:
        dist.all_reduce(total, group=of.device_mesh.get_group(axis))  # type: ignore[attr-defined]
    return total.to(values.device)


def spread_of(of: Tensor) -> object:
    """What is the same for tensors that are divided over the same processes."""
    axes = _sharded_axes(of)
    return (of.device_mesh, *axes) if axes else None  # type: ignore[attr-defined]


def sum_of_earlier_shards(value: int, of: Tensor) -> int:
    """The sum of `value` over the processes with earlier parts of a tensor, in a fixed order."""
    place, count = 0, 1
    for axis in _sharded_axes(of):
        mesh: Any = of.device_mesh  # type: ignore[attr-defined]
        place, count = place * mesh.size(axis) + mesh.get_local_rank(axis), count * mesh.size(axis)
    values = torch.zeros(count, dtype=torch.int64)
    values[place] = value
    return int(sum_over_shards(values, of)[:place].sum())


def _sharded_axes(of: Tensor) -> list[int]:
    """The axes of the mesh of processes along which a tensor is divided."""
    if not is_sharded(of):
        return []
    placements: Any = of.placements  # type: ignore[attr-defined]
    return [axis for axis, placement in enumerate(placements) if placement.is_shard()]
