"""The parameters of one optimizer, sorted into batches, and stepped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shrinkage.kernels import launch
from shrinkage.torch.binding.clipping import is_any_clipped, scales_strength, share_of
from shrinkage.torch.fused.batch import (
    INNER,
    Batch,
    States,
    fits,
    is_count,
    is_cut,
    wanted,
)
from shrinkage.torch.fused.parameters import Entry, is_plain
from shrinkage.torch.fused.rule import UpdateRule
from shrinkage.torch.tensors.kinds import PLAIN, is_dense

if TYPE_CHECKING:
    from shrinkage.kernels.launch import Kind

TALLEST = 1 << 18  # rows: of more, copies of even a few columns take much memory


class OnePass:
    """The batches of one optimizer."""

    def __init__(self, rule: UpdateRule, entries: Sequence[Entry]) -> None:
        self.rule, self.entries = rule, entries
        self.batches: list[Batch] = []
        self.others: list[Entry] = list(entries)  # left to torch operations
        self._is_sorted = False
        self._is_clipped = False

    def step(self, states: States) -> list[Entry]:
        """Step what can be; the entries that are left."""
        if not (self._is_sorted and self._holds(states)):
            self._sort(states)
        self._clip()
        for batch in self.batches:
            batch.tell()
            if self._is_clipped:
                batch.tell_clipped()
        for batch in self.batches:
            batch.count()
        for batch in self.batches:
            batch.go()
        return self.others

    def _clip(self) -> None:
        """Tell every entry by what its gradient was clipped."""
        was_clipped, self._is_clipped = self._is_clipped, is_any_clipped()
        if not (was_clipped or self._is_clipped):
            return
        for entry in self.entries:
            takes_part = scales_strength(
                entry.how, entry.group.get("scale"), is_sgd=self.rule.is_euclidean
            )
            entry.clip = share_of(entry.parameter) if takes_part else 1.0

    def _holds(self, states: States) -> bool:
        """Whether every parameter is still where it belongs."""
        for batch in self.batches:
            if not batch.look(states):
                return False
        if any(batch.moved for batch in self.batches) and sharing(self.batches):
            return False
        for entry in self.others:
            check_memory(states, entry)
        return not any(can_join(self.rule, states, one) for one in self.others if not one.shares)

    def _sort(self, states: States) -> None:
        """Every entry into a batch, or to the others."""
        self._is_sorted = False  # until all of it is done
        for entry in self.entries:
            entry.shares = False
            entry.take_form()
            check_memory(states, entry)
        while True:
            batches: list[Batch] = []
            others: list[Entry] = []
            members: dict[Kind, list[Entry]] = {}
            for entry in self.entries:
                if entry.shares or not can_join(self.rule, states, entry):
                    others.append(entry)
                else:
                    members.setdefault(
                        entry.kind(self.rule.name, self.rule.variant(entry.group)), []
                    ).append(entry)
            for kind, entries in members.items():
                batch = Batch(self.rule, kind, entries)
                if batch.look(states):
                    batches.append(batch)
                else:  # another thread has given a gradient that does not fit meanwhile
                    others += entries
            found = sharing(batches)
            if not found:
                self.batches, self.others, self._is_sorted = batches, others, True
                return
            for entry in found:
                entry.shares = True


def check_memory(states: States, entry: Entry) -> None:
    """Refuse a parameter of which the weights, the gradient or the state lost their memory.

    Raises
    ------
    RuntimeError
        Before anything has moved.
    """
    w, gradient = entry.parameter, entry.parameter.grad
    if gradient is None:
        return
    state = states.get(w, {})
    for what, tensor in (("", w), ("the gradient of ", gradient), *_parts_of(state)):
        if is_cut(tensor):
            raise RuntimeError(
                f"{what}{entry.name} has less memory than its shape says: its storage was cut; "
                "give it back its memory before step(), or leave the gradient None"
            )


def _parts_of(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{name} in the state of ", tensor) for name, tensor in state.items())


def can_join(rule: UpdateRule, states: States, entry: Entry) -> bool:
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
    names = rule.state_names(entry.group)
    if not names:
        return True
    state = states[w]
    rule.prepare(entry, state)
    counts = state.get(rule.count_name)
    return (counts is None or is_count(counts)) and all(
        fits(state.get(name), want.inner, want) for name in names
    )


def _has_columns(entry: Entry, w: Tensor) -> bool:
    """Whether the loop for groups across rows serves it."""
    assert entry.form is not None
    return w.numel() // entry.form.span <= TALLEST


def sharing(batches: Sequence[Batch]) -> list[Entry]:
    """The entries whose weights or state have memory in common with another's."""
    places = []
    for batch in batches:
        for entry, addresses in zip(batch.entries, batch.table.tolist(), strict=True):
            size = entry.parameter.numel()
            width = entry.parameter.element_size()
            for column in launch.WRITTEN:
                if addresses[column]:
                    bytes_each = width if column == launch.WEIGHTS else batch.itemsize
                    start = addresses[column]
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
