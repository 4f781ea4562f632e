"""Which entries of an array form a group."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import array_api_compat
import numpy as np

from shrinkage.penalties.arrays import Array, Namespace


@final
@dataclass(frozen=True)
class Layout:
    """Groups of entries: look at the array as shape `view`; indices along `axes` name a group.

    ``Layout(None, (0,))`` on a matrix: one group a row. ``Layout((4, 8, 5), (1,))`` on a (32, 5)
    matrix: 8 groups, each of rows j, 8 + j, 16 + j and 24 + j.
    """

    view: tuple[int, ...] | None
    axes: tuple[int, ...]


@final
@dataclass(frozen=True)
class Grouped:
    """An array laid out so that each group's members lie along `members`."""

    values: Array
    members: tuple[int, ...]
    sizes: Array  # entries of each group: a number, or (groups, 1)
    shape: tuple[int, ...]  # of the array that was laid out
    positions: Array | None  # index lists: where each laid-out entry came from; -1 is padding


Groups = str | int | tuple[Any, ...] | Layout


def checked_groups(groups: object) -> Groups:
    """`groups` in its hashable form.

    Raises
    ------
    ValueError
        If it is none of "out", "in", "2x2", an axis, axes, index lists.
    """
    if isinstance(groups, Layout) or (isinstance(groups, int) and not isinstance(groups, bool)):
        return groups
    if isinstance(groups, str):
        if groups in {"out", "in"} or re.fullmatch(r"[1-9]\d*x[1-9]\d*", groups):
            return groups
    elif isinstance(groups, Sequence) and len(groups):
        if all(isinstance(axis, int) for axis in groups):
            return tuple(groups)
        if all(isinstance(indices, Sequence | np.ndarray) for indices in groups):
            lists = tuple(tuple(int(index) for index in indices) for indices in groups)
            _check_index_lists(lists)
            return lists
    raise ValueError(
        'groups must be "out", "in", an axis (0), axes ((0, 1)), blocks ("2x2") or lists of '
        f"indices, got {groups!r}"
    )


def _check_index_lists(lists: tuple[tuple[int, ...], ...]) -> None:
    flat = [index for indices in lists for index in indices]
    if any(not indices for indices in lists):
        raise ValueError("groups has an empty list of indices; leave it out")
    if any(index < 0 for index in flat):
        raise ValueError(f"groups must hold indices >= 0, got {min(flat)}")
    if len(set(flat)) != len(flat):
        repeated = next(index for index in flat if flat.count(index) > 1)
        raise ValueError(f"groups must not overlap, but index {repeated} stands in two places")


def resolve(groups: Groups, shape: tuple[int, ...]) -> Layout:
    """The layout of an array of `shape`, for everything but index lists.

    Raises
    ------
    ValueError
        If the array has no such axis, or the blocks do not fit it.
    """
    if isinstance(groups, Layout):
        return groups
    if len(shape) < 2 and (isinstance(groups, str) or groups == 0 or groups == (0,)):
        return Layout((math.prod(shape),), (0,))  # every entry is a group
    if isinstance(groups, str) and "x" in groups:
        rows, columns = (int(size) for size in groups.split("x"))
        if shape[0] % rows or shape[1] % columns:
            raise ValueError(f'groups="{groups}" does not divide an array of shape {shape}')
        blocks = (shape[0] // rows, rows, shape[1] // columns, columns)
        return Layout((*blocks, *shape[2:]), (0, 2))
    if isinstance(groups, str):
        return Layout(None, (0 if groups == "out" else 1,))
    axes = (groups,) if isinstance(groups, int) else groups
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"groups={groups!r}: an array of shape {shape} has no axis {axis}")
    return Layout(None, tuple(sorted({axis % len(shape) for axis in axes})))


def lay_out(xp: Namespace, w: Array, groups: Groups) -> Grouped:
    """`w` with its groups apart."""
    shape = tuple(w.shape)
    if isinstance(groups, tuple) and isinstance(groups[0], tuple):
        positions, sizes = _padded(groups, math.prod(shape))
        device = array_api_compat.device(w)
        where = xp.asarray(positions, device=device)
        values = _gather(xp, xp.reshape(w, (-1,)), where)
        sizes = xp.asarray(sizes, dtype=xp.abs(values[:0]).dtype, device=device)
        return Grouped(values, (1,), sizes, shape, where)
    layout = resolve(groups, shape)
    values = w if layout.view is None else xp.reshape(w, layout.view)
    members = tuple(axis for axis in range(values.ndim) if axis not in layout.axes)
    size = math.prod(values.shape[axis] for axis in members)
    return Grouped(values, members, float(size), shape, None)


def like(xp: Namespace, grouped: Grouped, a: Array) -> Array:
    """Another array of the same shape as the one that was laid out, laid out in the same way."""
    if grouped.positions is None:
        return xp.reshape(a, tuple(grouped.values.shape))
    return _gather(xp, xp.reshape(a, (-1,)), grouped.positions)


def restore(xp: Namespace, grouped: Grouped, values: Array, elsewhere: Array) -> Array:
    """`values` back in the array's shape; entries of no group are taken from `elsewhere`."""
    if grouped.positions is None:
        return xp.reshape(values, grouped.shape)
    flat = xp.reshape(elsewhere, (-1,))
    size = flat.shape[0]
    extended = xp.concat((flat, xp.reshape(values, (-1,))))
    positions = xp.reshape(grouped.positions, (-1,))
    slots = xp.arange(positions.shape[0], device=array_api_compat.device(positions))
    real = positions >= 0
    source = np.arange(size)
    source[np.asarray(positions[real])] = size + np.asarray(slots[real])
    where = xp.asarray(source, device=array_api_compat.device(flat))
    return xp.reshape(xp.take(extended, where, axis=0), grouped.shape)


def _gather(xp: Namespace, flat: Array, positions: Array) -> Array:
    """flat[positions], 0 where a position is -1."""
    taken = xp.take(flat, xp.reshape(xp.where(positions < 0, 0, positions), (-1,)), axis=0)
    return xp.where(positions < 0, 0.0, xp.reshape(taken, tuple(positions.shape)))


@lru_cache(maxsize=256)
def _padded(
    lists: tuple[tuple[int, ...], ...], size: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Index lists as one (groups, longest) array padded with -1, and their lengths (groups, 1)."""
    largest = max(index for indices in lists for index in indices)
    if largest >= size:
        raise ValueError(f"groups has index {largest}, but the array has {size} entries")
    positions = np.full((len(lists), max(map(len, lists))), -1, dtype=np.int64)
    for row, indices in enumerate(lists):
        positions[row, : len(indices)] = indices
    return positions, np.array([[len(indices)] for indices in lists])
