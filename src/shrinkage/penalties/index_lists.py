"""Groups as lists of indices into the flattened array."""

from __future__ import annotations

from collections import Counter
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, final

import array_api_compat
import numpy as np

from shrinkage.penalties.arrays import Array, Namespace

Indices = np.ndarray[Any, np.dtype[np.int64]]


@final
class IndexLists(tuple[tuple[int, ...], ...]):
    """Lists of indices that were checked, with a hash that is computed once.

    A step asks for what follows from its lists many times, and a tuple hashes every index anew.
    """

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexLists, (tuple(self),)  # without the hash, which another machine may not share


class Places(NamedTuple):
    """Index lists as rectangular arrays of flat indices.

    A place after a group's last entry has the index that follows the array's own, where a 0 is
    appended; an entry in no group has one after those of `members`, where the array is appended.
    """

    members: Array  # (groups, longest): the entries of each group
    sizes: Indices  # (groups, 1): how many these are
    slots: Indices  # (entries,): where each entry of the array stands among `members`
    is_ragged: bool  # the groups differ in size
    is_partial: bool  # some entries are in no group


def check_index_lists(lists: tuple[tuple[int, ...], ...]) -> None:
    """Refuse lists that are empty or overlap, and indices below 0.

    Raises
    ------
    ValueError
    """
    flat = [index for indices in lists for index in indices]
    if any(not indices for indices in lists):
        raise ValueError("groups has an empty list of indices; leave it out")
    if min(flat) < 0:
        raise ValueError(f"groups must hold indices >= 0, got {min(flat)}")
    if len(set(flat)) != len(flat):
        repeated = next(index for index, times in Counter(flat).items() if times > 1)
        raise ValueError(f"groups must not overlap, but index {repeated} stands in two places")


def gather(xp: Namespace, a: Array, places: Places) -> Array:
    """The entries of each group of `a`, and 0 after its last, (groups, longest)."""
    flat = xp.reshape(a, (-1,))
    if places.is_ragged:
        zero = xp.zeros((1,), dtype=a.dtype, device=array_api_compat.device(a))
        flat = xp.concat([flat, zero])
    indices = xp.reshape(places.members, (-1,))
    return xp.reshape(xp.take(flat, indices, axis=0), tuple(places.members.shape))


@lru_cache(maxsize=256)
def find_places(lists: tuple[tuple[int, ...], ...], size: int) -> Places:
    """The places of an array with this many entries.

    Raises
    ------
    ValueError
        If an index lies beyond it.
    """
    largest = max([max(indices) for indices in lists])
    if largest >= size:
        raise ValueError(f"groups has index {largest}, but the array has {size} entries")
    members = np.full((len(lists), max(map(len, lists))), size, dtype=np.int64)
    for row, indices in enumerate(lists):
        members[row, : len(indices)] = indices
    real = members < size
    slots = members.size + np.arange(size, dtype=np.int64)
    slots[members[real]] = np.flatnonzero(real)
    entries = sum(map(len, lists))
    sizes = real.sum(axis=1, keepdims=True)
    return Places(members, sizes, slots, entries < members.size, entries < size)
