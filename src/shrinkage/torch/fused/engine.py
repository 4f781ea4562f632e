"""Sort the parameters of one optimizer into batches, and step them.

`benchmarks/step.py`, the rows of 161 mixed tensors: one call steps all that one loop can step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shrinkage.torch.binding.clipping import clipped_share, is_any_clipped, scales_strength
from shrinkage.torch.fused.batch import (
    INNER,
    STATE,
    Batch,
    States,
    fits,
    is_count,
    is_cut,
    spec_of,
)
from shrinkage.torch.fused.parameters import Entry, is_plain
from shrinkage.torch.fused.report import BY_TORCH, ONE_PASS, EngineReport, SteppedParameter
from shrinkage.torch.fused.rule import UpdateRule
from shrinkage.torch.tensors.kinds import PLAIN, is_dense

if TYPE_CHECKING:
    from shrinkage.kernels.kind import Kind

TALLEST = 1 << 18  # rows; with more, copies of even a few columns take much memory


class Engine:
    """The batches of one optimizer, and the parameters left to torch operations."""

    def __init__(self, rule: UpdateRule, entries: Sequence[Entry]) -> None:
        self.rule, self.entries = rule, entries
        self.batches: list[Batch] = []
        self.others: list[Entry] = list(entries)  # left to torch operations
        self._is_sorted = False
        self._is_clipped = False

    def step(self, states: States) -> list[Entry]:
        """Step all parameters that fit a compiled loop; return the others."""
        if not (self._is_sorted and self._is_current(states)):
            self._sort(states)
        if self._is_clipped or is_any_clipped():
            self._read_clipping()
        for batch in self.batches:
            batch.write_options()
            if self._is_clipped:
                batch.write_strengths()
        for batch in self.batches:
            batch.advance_counts()
        for batch in self.batches:
            batch.launch()
        return self.others

    def describe(self, states: States) -> EngineReport:
        """How each parameter is stepped, or will be in the first step, and why."""
        fused = {id(entry) for batch in self.batches for entry in batch.entries}
        rows = []
        for entry in self.entries:
            obstacle = find_obstacle_in_tensors(entry)
            if obstacle is None and entry.shares_memory:
                obstacle = "it shares memory with another parameter"
            elif obstacle is None and entry.parameter in states:
                obstacle = find_obstacle(self.rule, states, entry)
            if self._is_sorted:
                is_fused, obstacle = id(entry) in fused, obstacle or "only since the last step"
            else:
                is_fused = obstacle is None
            dtype = str(entry.parameter.dtype).removeprefix("torch.")
            how = "no penalty" if entry.how == "none" else entry.how
            why = f"{self.rule.name}, {how}, {dtype}" if is_fused else str(obstacle)
            step = ONE_PASS if is_fused else BY_TORCH
            rows.append(SteppedParameter(entry.name, step, why))
        return EngineReport(tuple(rows))

    def forget_unused_state(self, states: States) -> None:
        """After a step that failed, remove state that was made for it and that no step has used."""
        for entry in self.entries:
            if entry.is_new_state:
                entry.is_new_state = False
                for name in (*self.rule.state_names(entry.group), self.rule.count_name):
                    states[entry.parameter].pop(name, None)

    def _read_clipping(self) -> None:
        """Read for every entry by what factor its gradient was clipped."""
        self._is_clipped = is_any_clipped()
        for entry in self.entries:
            takes_part = scales_strength(
                entry.how, entry.group.get("scale"), is_sgd=self.rule.is_euclidean
            )
            entry.clip = clipped_share(entry.parameter) if takes_part else 1.0

    def _is_current(self, states: States) -> bool:
        """Whether every parameter still belongs to its batch, or to none."""
        moved = False
        for batch in self.batches:
            if not batch.revalidate(states):
                return False
            moved = moved or batch.moved
        if moved and find_overlaps(self.batches):
            return False
        for entry in self.others:
            check_memory(states, entry)
        for entry in self.others:
            if not entry.shares_memory and find_obstacle(self.rule, states, entry) is None:
                return False
        return True

    def _sort(self, states: States) -> None:
        """Sort every entry into a batch, or to the others."""
        self._is_sorted = False  # until all of it is done
        for entry in self.entries:
            entry.shares_memory = False
            entry.update_plan()
            check_memory(states, entry)
        while True:
            batches: list[Batch] = []
            others: list[Entry] = []
            members: dict[Kind, list[Entry]] = {}
            for entry in self.entries:
                if entry.shares_memory or find_obstacle(self.rule, states, entry) is not None:
                    others.append(entry)
                else:
                    kind = entry.kind(self.rule.update(entry.group))
                    members.setdefault(kind, []).append(entry)
            for kind, entries in members.items():
                batch = Batch(self.rule, kind, entries)
                if batch.revalidate(states):
                    batches.append(batch)
                else:  # meanwhile another thread has set a gradient that does not fit
                    others += entries
            overlapping = find_overlaps(batches)
            if not overlapping:
                self.batches, self.others, self._is_sorted = batches, others, True
                return
            for entry in overlapping:
                entry.shares_memory = True


def check_memory(states: States, entry: Entry) -> None:
    """Refuse a parameter whose weights, gradient or state lost their memory.

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


def find_obstacle(rule: UpdateRule, states: States, entry: Entry) -> str | None:
    """What keeps a parameter out of the compiled loops as it is now; None where nothing does.

    Makes the state of a parameter with a gradient.
    """
    obstacle = find_obstacle_in_tensors(entry)
    if obstacle is not None or entry.parameter.grad is None:
        return obstacle
    w, names = entry.parameter, rule.state_names(entry.group)
    if not names:
        return None
    spec, state = spec_of(w), states[w]
    rule.prepare(entry, state)
    count = state.get(rule.count_name)
    if not (count is None or is_count(count)):
        return "its count of steps is not one float on a CPU"
    if not all(fits(state.get(name), spec.inner, spec) for name in names):
        return "its state has another type or layout"
    return None


def find_obstacle_in_tensors(entry: Entry) -> str | None:
    """The same for its weights and gradient only."""
    w, gradient = entry.parameter, entry.parameter.grad
    obstacle = _find_obstacle_in_kind(entry, w) or _find_obstacle_in_layout(entry, w)
    if obstacle is not None:
        return obstacle
    spec = spec_of(w)
    if not fits(w, spec.dtype, spec):
        return "its memory is not its own, or not all there"
    if gradient is not None and not fits(gradient, spec.dtype, spec):
        return "its gradient has another type or layout"
    return None


def _find_obstacle_in_kind(entry: Entry, w: Tensor) -> str | None:
    if entry.plan is None:
        return "no loop for its penalty"
    if not is_plain(entry.group):
        return "differentiable or capturable is set"
    if type(w) not in PLAIN:
        return f"no loop for a {type(w).__name__}"
    if w.dtype not in INNER:
        return f"no loop for {w.dtype}"
    if w.layout is not torch.strided or not w.is_cpu:
        return "not a dense tensor on a CPU"
    if not w.requires_grad:
        return "frozen"
    if w.is_inference():
        return "made in inference mode"
    return None


def _find_obstacle_in_layout(entry: Entry, w: Tensor) -> str | None:
    assert entry.plan is not None
    if not w.numel():
        return "it has no entries"
    if not is_dense(w):
        return "gaps or repetitions in its memory"
    if entry.plan.width and not w.is_contiguous():
        return "its groups are not contiguous"
    if entry.plan.span and w.numel() // entry.plan.span > TALLEST:
        return "its columns are too tall"
    return None


def find_overlaps(batches: Sequence[Batch]) -> list[Entry]:
    """The entries whose weights or state overlap in memory with another's."""
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
    overlapping: list[Entry] = []
    end, last = 0, None
    for start, stop, entry in places:
        if start < end:
            overlapping += [entry] if last is None else [entry, last]
        if stop > end:
            end, last = stop, entry
    return overlapping
