"""Kinds of tensors: dense, real, and spread over processes; and the step of a prox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

PLAIN = (nn.Parameter, Tensor)  # types that override no operation


class OwnStep(NamedTuple):
    """The optimizer's step s for each entry, and the farthest that a prox may move one.

    Where an entry's gradient was always tiny, s is enormous and meaningless. At the minimum the
    prox undoes the optimizer's own move, so a limit of twice the largest steady move of that
    optimizer never takes effect there. Before, it keeps the prox from setting weights to 0 that
    have had no gradient yet.

    Attributes
    ----------
    step : float or tensor of the parameter's shape
        s, of 0 or more: with a constant gradient g the optimizer moves an entry by s·g.
    limit : float or tensor
        The farthest that a prox may move an entry in one step; `math.inf` where s is bounded.

    Examples
    --------
    >>> OwnStep(0.1, float("inf")).step
    0.1
    """

    step: float | Tensor
    limit: float | Tensor


def is_dense(tensor: Tensor) -> bool:
    """Whether its entries fill a contiguous range of memory, in any order, each once."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def storage_bytes(tensor: Tensor) -> int | None:
    """The size of its storage; None where it has none, as under torch.func."""
    try:
        return int(tensor.untyped_storage().nbytes())
    except (RuntimeError, NotImplementedError):
        return None


def is_sharded(value: Tensor) -> bool:
    """Whether it is spread over processes (DTensor, as under FSDP)."""
    return type(value).__name__ == "DTensor"


def gather_shards(value: Tensor) -> Tensor:
    """The whole tensor, from all processes that hold a part of it."""
    return value.full_tensor() if is_sharded(value) else value  # type: ignore[attr-defined]


def local_shard(value: Tensor) -> Tensor:
    """The part that this process holds, without communication."""
    return value.to_local() if is_sharded(value) else value  # type: ignore[attr-defined]


def stack_scalars(values: Sequence[Tensor]) -> Tensor:
    """Scalars of any device and type as one vector, on the first one's device."""
    gathered = [gather_shards(value) for value in values]
    dtype, device = widest_dtype(value.dtype for value in gathered), gathered[0].device
    return torch.stack([value.to(device=device, dtype=dtype) for value in gathered])


def widest_dtype(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The narrowest type that holds all of `dtypes`."""
    first, *others = dtypes
    for dtype in others:
        first = torch.promote_types(first, dtype)
    return first


def real_dtype(w: Tensor) -> torch.dtype:
    """The type of its real part."""
    return w.real.dtype if w.is_complex() else w.dtype


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
