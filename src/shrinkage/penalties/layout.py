"""Which entries of an array form a group."""

from __future__ import annotations

import hashlib
import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import array_api_compat
import numpy as np

from shrinkage.penalties.arrays import Array, Namespace, limited_entries, namespace
from shrinkage.penalties.index_lists import (
    IndexLists,
    Places,
    check_index_lists,
    find_places,
    gather,
)


@final
@dataclass(frozen=True)
class Layout:
    """Groups of entries: look at the array as shape `view`; indices along `axes` name a group.

    ``Layout(None, (0,))`` on a matrix: one group a row. ``Layout((4, 8, 5), (1,))`` on a (32, 5)
    matrix: 8 groups, each of rows j, 8 + j, 16 + j and 24 + j.
    """

    view: tuple[int, ...] | None
    axes: tuple[int, ...]


Groups = str | int | tuple[Any, ...] | Layout
BLOCKS = re.compile(r"[1-9]\d*x[1-9]\d*")
HEADS = re.compile(r"(?:(out|in):)?heads:(?:([1-9]\d*)x)?([1-9]\d*)")


class Heads(NamedTuple):
    """The heads of attention along one axis: `parts` times over, `size` entries each time."""

    side: str | None  # "out" or "in"; None where it is not written
    parts: int | None  # None where it is not written
    size: int

    def layout(self, shape: tuple[int, ...], axis: int) -> Layout:
        """One group a head, all its entries along `axis` together."""
        parts = self.parts or 1
        if shape[axis] % (parts * self.size):
            written = "".join([f"{self.side}:" * bool(self.side), "heads:", f"{parts}x"])
            written = f"{written.removesuffix('1x')}{self.size}"
            along = "columns" if axis else "rows"
            raise ValueError(
                f'groups="{written}" does not divide the {shape[axis]} {along} of {shape}'
            )
        heads = shape[axis] // (parts * self.size)
        view = (*shape[:axis], parts, heads, self.size, *shape[axis + 1 :])
        return Layout(view, (axis + 1,))


def heads_in(groups: object) -> Heads | None:
    """Read "heads:64", "in:heads:64" or "out:heads:3x64"; None for everything else."""
    match = HEADS.fullmatch(groups) if isinstance(groups, str) else None
    if match is None:
        return None
    return Heads(match[1], int(match[2]) if match[2] else None, int(match[3]))


@final
@dataclass(frozen=True)
class Grouped:
    """An array laid out so that each group's members lie along the axes `members`."""

    values: Array
    members: tuple[int, ...]  # none where every entry is a group
    sizes: Array  # entries of each group: a number, or (groups, 1)
    shape: tuple[int, ...]  # of the array that was laid out
    places: Places | None  # of index lists, the members in the library of `values`


def checked_groups(groups: object) -> Groups:
    """`groups` in its hashable form.

    Raises
    ------
    TypeError
        If it is neither text, nor a number, nor a sequence.
    ValueError
        If it is none of "out", "in", "2x2", "heads:64", an axis, axes, index lists.
    """
    if isinstance(groups, Layout | IndexLists):
        return groups
    if isinstance(groups, np.ndarray):
        groups = groups.tolist()
    if isinstance(groups, str):
        if groups in {"out", "in"} or heads_in(groups) or BLOCKS.fullmatch(groups):
            return groups
    elif _is_index(groups):
        return operator.index(groups)  # type: ignore[arg-type]
    elif isinstance(groups, Sequence) and len(groups):
        if all(map(_is_index, groups)):
            axes = tuple(map(operator.index, groups))
            return axes[0] if len(axes) == 1 else axes
        if all(map(_are_indices, groups)):
            lists = IndexLists(tuple(map(operator.index, indices)) for indices in groups)
            check_index_lists(lists)
            return lists
    error = ValueError if isinstance(groups, Sequence) else TypeError
    raise error(
        'groups must be "out", "in", an axis (0), axes ((0, 1)), blocks ("2x2"), heads '
        f'("heads:64", "in:heads:64") or lists of indices, got {groups!r}'
    )


def _is_index(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _are_indices(values: object) -> bool:
    if not isinstance(values, list | tuple | range | np.ndarray):
        return False
    return set(map(type, values)) == {int} or all(map(_is_index, values))  # the first is quick


def is_index_lists(groups: object) -> bool:
    """Whether these groups are lists of indices into the flattened array."""
    return isinstance(groups, tuple) and isinstance(groups[0], tuple)


def describe_groups(groups: Groups) -> str:
    """`groups` as text; long lists of indices are shown by their number and a digest."""
    text = repr(groups)
    if isinstance(groups, tuple) and is_index_lists(groups) and len(text) > 60:
        return f"<{len(groups)} lists, {hashlib.sha256(text.encode()).hexdigest()[:8]}>"
    return text


def is_by_row(groups: Groups) -> bool:
    """Whether no group has entries in two rows (indices of axis 0)."""
    if isinstance(groups, Layout):
        return groups.view is None and 0 in groups.axes
    return groups in ("out", 0) or (isinstance(groups, tuple) and 0 in groups)


def resolve(groups: Groups, shape: tuple[int, ...]) -> Layout:
    """The layout of an array of `shape`, for everything but index lists.

    Raises
    ------
    ValueError
        If the array has no such axis, or the blocks or the view do not fit it.
    """
    if isinstance(groups, Layout):
        if groups.view is not None and math.prod(groups.view) != math.prod(shape):
            raise ValueError(f"{groups} does not fit an array of shape {shape}")
        return groups
    if len(shape) < 2 and (isinstance(groups, str) or groups in (0, -1)):
        return Layout((math.prod(shape),), (0,))  # every entry is a group
    heads = heads_in(groups)
    if heads is not None:
        return heads.layout(shape, 1 if heads.side == "in" else 0)
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
    """Reshape `w`, so that each group lies along the axes `members` of the result."""
    shape = tuple(w.shape)
    if is_index_lists(groups):
        places, device = find_places(groups, math.prod(shape)), array_api_compat.device(w)
        places = places._replace(members=xp.asarray(places.members, device=device))
        values = gather(xp, w, places)
        sizes = xp.asarray(places.sizes, dtype=xp.abs(values[:0]).dtype, device=device)
        return Grouped(values, (1,), sizes, shape, places)
    layout = resolve(groups, shape)
    view = layout.view or shape
    members = tuple([axis for axis in range(len(view)) if axis not in layout.axes])
    size = math.prod([view[axis] for axis in members])
    return Grouped(xp.reshape(w, view), members, float(size), shape, None)


def like(xp: Namespace, grouped: Grouped, a: Array) -> Array:
    """Lay out another array of the same shape in the same way."""
    if grouped.places is None:
        return xp.reshape(a, tuple(grouped.values.shape))
    return gather(xp, a, grouped.places)


def restore(xp: Namespace, grouped: Grouped, values: Array, elsewhere: Array) -> Array:
    """Bring `values` back to the array's shape, with entries of no group from `elsewhere`."""
    if grouped.places is None:
        return xp.reshape(values, grouped.shape)
    flat = xp.reshape(values, (-1,))
    if grouped.places.is_partial:
        flat = xp.concat([flat, xp.reshape(elsewhere, (-1,))])
    slots = xp.asarray(grouped.places.slots, device=array_api_compat.device(values))
    return xp.reshape(xp.take(flat, slots, axis=0), grouped.shape)


def largest(xp: Namespace, values: Array, axes: tuple[int, ...]) -> Array:
    """The largest value along `axes`, kept as axes of length 1; 0 where there is none."""
    reduce = xp.max if math.prod(values.shape) else xp.sum
    return reduce(values, axis=axes, keepdims=True)


def relative_steps(xp: Namespace, step: Array, members: tuple[int, ...]) -> Array:
    """Steps divided by the group's largest; none is 0, but too small to move its entry."""
    most = largest(xp, step, members)
    is_still = most == 0
    least = xp.finfo(step.dtype).eps ** 2
    return xp.where(is_still, 1.0, xp.maximum(step / xp.where(is_still, 1.0, most), least))


def count_zero_groups(w: Array, groups: Groups) -> tuple[int, int]:
    """How many groups of `w` are exactly zero, and how many groups there are."""
    xp = namespace(w)
    grouped = lay_out(xp, w, groups)
    is_alive = xp.any(grouped.values != 0, axis=grouped.members)
    total = math.prod(is_alive.shape)
    return total - int(xp.sum(xp.astype(is_alive, xp.int64))), total


def limited_groups(
    xp: Namespace, w: Array, target: Array, limit: float | Array, groups: Groups
) -> Array:
    """`target`, or as far from `w` towards it as `limit` allows; a group moves in proportion."""
    grouped = lay_out(xp, target - w, groups)
    size = xp.abs(grouped.values)
    allowed = limit if isinstance(limit, float) else like(xp, grouped, limit)
    is_far = size > allowed
    excess = xp.where(is_far, 1.0 - allowed / xp.where(is_far, size, 1.0), 0.0)
    share = 1.0 - largest(xp, excess, grouped.members)
    origin = like(xp, grouped, w)
    moved = xp.where(share < 1, origin + grouped.values * share, like(xp, grouped, target))
    alone = target if grouped.places is None else limited_entries(xp, w, target, limit)
    return restore(xp, grouped, moved, alone)
