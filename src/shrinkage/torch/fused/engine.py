"""The parameters of one optimizer, sorted into batches, and stepped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shrinkage.torch.binding.clipping import is_any_clipped, scales_strength, share_of
from shrinkage.torch.fused.batch import (
    INNER,
    PLAIN,
    STATE,
    Batch,
    Stepped,
    fits,
    is_count,
    is_cut,
    is_dense,
    wanted,
)
from shrinkage.torch.fused.parameters import Entry, is_plain

if TYPE_CHECKING:
    from shrinkage.kernels.how import Kind

TALLEST = 1 << 18  # rows: of more, copies of even a few columns take much memory


class OnePass:
    """The batches of one optimizer."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.batches: list[Batch] = []
        self.others: list[Entry] = list(entries)  # left to torch operations
        self._is_sorted = False
        self._is_clipped = False

    def step(self, optimizer: Stepped) -> list[Entry]:
        """Step what can be; the entries that are left."""
        if not (self._is_sorted and self._holds(optimizer)):
            self._sort(optimizer)
        self._clip(optimizer)
        for batch in self.batches:
            batch.tell(optimizer)
            if self._is_clipped:
                batch.tell_clipped()
        for batch in self.batches:
            batch.count(optimizer)
        for batch in self.batches:
            batch.go()
        return self.others

    def _clip(self, optimizer: Stepped) -> None:
        """Tell every entry by what its gradient was clipped."""
        was_clipped, self._is_clipped = self._is_clipped, is_any_clipped()
        if not (was_clipped or self._is_clipped):
            return
        for entry in self.entries:
            takes_part = scales_strength(optimizer, entry.how, entry.group.get("scale"))
            entry.clip = share_of(entry.parameter) if takes_part else 1.0

    def _holds(self, optimizer: Stepped) -> bool:
        """Whether every parameter is still where it belongs."""
        for batch in self.batches:
            if not batch.look(optimizer):
                return False
        if any(batch.moved for batch in self.batches) and sharing(self.batches):
            return False
        for entry in self.others:
            check_memory(optimizer, entry)
        return not any(can_join(optimizer, one) for one in self.others if not one.shares)

    def _sort(self, optimizer: Stepped) -> None:
        """Every entry into a batch, or to the others."""
        self._is_sorted = False  # until all of it is done
        for entry in self.entries:
            entry.shares = False
            entry.take_form()
            check_memory(optimizer, entry)
        while True:
            batches: list[Batch] = []
            others: list[Entry] = []
            members: dict[Kind, list[Entry]] = {}
            for entry in self.entries:
                if entry.shares or not can_join(optimizer, entry):
                    others.append(entry)
                else:
                    members.setdefault(optimizer._kind(entry), []).append(entry)
            for kind, entries in members.items():
                names = optimizer._names(entries[0].group)
                batch = Batch(kind, entries, names)
                if batch.look(optimizer):
                    batches.append(batch)
                else:  # another thread has given a gradient that does not fit meanwhile
                    others += entries
            found = sharing(batches)
            if not found:
                self.batches, self.others, self._is_sorted = batches, others, True
                return
            for entry in found:
                entry.shares = True


def check_memory(optimizer: Stepped, entry: Entry) -> None:
    """Refuse a parameter of which the weights, the gradient or the state lost their memory.

    Raises
    ------
    RuntimeError
        Before anything has moved.
    """
    w, gradient = entry.parameter, entry.parameter.grad
    if gradient is None:
        return
    state = optimizer.state.get(w, {})
    for what, tensor in (("", w), ("the gradient of ", gradient), *_parts_of(state)):
        if is_cut(tensor):
            raise RuntimeError(
                f"{what}{entry.name} has less memory than its shape says: its storage was cut; "
                "give it back its memory before step(), or leave the gradient None"
            )


def _parts_of(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{name} in the state of ", tensor) for name, tensor in state.items())


def can_join(optimizer: Stepped, entry: Entry) -> bool:
    """Whether a parameter can be stepped by a compiled loop as it is now."""
    w, gradient = entry.parameter, entry.parameter.grad
    if (
        entry.form is None
        or type(w) not in PLAIN
        or w.dtype not in INNER
        or w.layout is not torch.strided
        or not (w.is_cpu and w.requires_grad and w.numel() and is_dense(w))
        or w.is_inference()
        or (entry.form.width and not w.is_contiguous())
        or (entry.form.span and not _has_columns(entry, w))
        or not is_plain(entry.group)
    ):
        return False
    want = wanted(w)
    if not fits(w, want.dtype, want):
        return False
    if gradient is None:
        return True
    if not fits(gradient, want.dtype, want):
        return False
    optimizer._prepare(entry)
    names, state = optimizer._names(entry.group), optimizer.state
    if not names:
        return True
    counts = state[w].get(optimizer._counts)
    return (counts is None or is_count(counts)) and all(
        fits(state[w].get(name), want.inner, want) for name in names
    )


def _has_columns(entry: Entry, w: Tensor) -> bool:
    """Whether the loop for groups across rows serves it."""
    assert entry.form is not None
    return w.numel() // entry.form.span <= TALLEST


def sharing(batches: Sequence[Batch]) -> list[Entry]:
    """The entries whose weights or state have memory in common with another's."""
    places = []
    for batch in batches:
        for entry, place in zip(batch.entries, batch.table, strict=True):
            size = entry.parameter.numel()
            width = entry.parameter.element_size()
            for field in ("weights", *STATE):
                if start := int(place[field]):
                    bytes_each = width if field == "weights" else batch.itemsize
                    places.append((start, start + size * bytes_each, entry))
    places.sort(key=lambda place: place[:2])
    found: list[Entry] = []
    end, last = 0, None
    for start, stop, entry in places:
        if start < end:
            found += [entry] if last is None else [entry, last]
        if stop > end:
            end, last = stop, entry
    return found
