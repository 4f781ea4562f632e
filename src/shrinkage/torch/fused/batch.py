"""An optimizer's step with the penalty inside, in one pass over memory on a CPU.

`benchmarks/step.py`, the row "L1" on every model. Parameters that one compiled loop steps form a
batch, with a table of the addresses of weights, gradients and state. Each step checks every tensor
again: its type, device, strides, address and the size of its storage. Where one does not fit, torch
operations step the parameter (`reference`), with the same result.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from shrinkage.kernels import launch, threads
from shrinkage.kernels.kind import Kind
from shrinkage.kernels.pieces import cut
from shrinkage.kernels.records import PARAMETER, Records, make_job
from shrinkage.kernels.step_counts import compile_counts
from shrinkage.torch.fused.guards import MemoryGuard, addresses_of, make_guard
from shrinkage.torch.fused.parameters import Entry
from shrinkage.torch.fused.rule import State, UpdateRule
from shrinkage.torch.tensors.kinds import PLAIN, storage_bytes

SERIAL = 1 << 17  # entries: waking threads takes longer than stepping these
STATE = ("first", "second", "third")  # fields of a record, in the order of an optimizer's names
States = MutableMapping[Tensor, State]

INNER = {torch.float32: torch.float32, torch.float64: torch.float64, torch.bfloat16: torch.float32}
ITEMSIZES = {torch.float32: 4, torch.float64: 8}


class TensorSpec(NamedTuple):
    """The type, shape and strides that a loop expects of a parameter's tensors."""

    dtype: torch.dtype  # of weights and gradient
    inner: torch.dtype  # of the state
    shape: torch.Size
    strides: tuple[int, ...]


def fits(tensor: Any, dtype: torch.dtype, spec: TensorSpec) -> bool:
    """Whether a loop can read a tensor's memory entry by entry beside that of its parameter."""
    return (
        type(tensor) in PLAIN
        and tensor.layout is torch.strided
        and tensor.is_cpu
        and tensor.dtype is dtype
        and tensor.shape == spec.shape
        and tensor.stride() == spec.strides
        and not tensor.is_neg()
        and has_all_memory(tensor)
    )


def has_all_memory(tensor: Tensor) -> bool:
    """Whether its storage is large enough: it can be cut, and a functorch tensor has none."""
    held = storage_bytes(tensor)
    return held is not None and _bytes_claimed(tensor) <= held


def is_cut(tensor: Any) -> bool:
    """Whether its storage is smaller than its shape says, as after ``resize_(0)`` on it."""
    if type(tensor) not in PLAIN or tensor.layout is not torch.strided:  # a shard has its own
        return False
    held = storage_bytes(tensor) if tensor.numel() else None
    return held is not None and _bytes_claimed(tensor) > held


def _bytes_claimed(tensor: Tensor) -> int:
    return int(tensor.storage_offset() + tensor.numel()) * tensor.itemsize


def is_count(count: Any) -> bool:
    """Whether a count of steps can be raised in memory."""
    return (
        type(count) is Tensor
        and count.is_cpu
        and count.dtype in ITEMSIZES
        and count.numel() == 1
        and has_all_memory(count)
    )


def spec_of(parameter: Tensor) -> TensorSpec:
    """The type, shape and strides that the tensors of a parameter must have now."""
    inner = INNER[parameter.dtype]
    return TensorSpec(parameter.dtype, inner, parameter.shape, parameter.stride())


class Batch:
    """Parameters that one compiled loop steps, with the table of their addresses."""

    def __init__(self, rule: UpdateRule, kind: Kind, entries: Sequence[Entry]) -> None:
        self.rule, self.kind, self.entries = rule, kind, entries
        self.names = rule.state_names(entries[0].group)
        self.specs = [spec_of(entry.parameter) for entry in entries]
        plans = [entry.plan for entry in entries if entry.plan is not None]
        self.table: Records = np.zeros(len(entries), PARAMETER)
        self.table["size"] = [entry.parameter.numel() for entry in entries]
        self.table["width"] = [plan.width for plan in plans]
        self.table["span"] = [plan.span for plan in plans]
        self.table["a"], self.table["b"] = zip(*(plan.constants for plan in plans), strict=True)
        self._gradient_column = self.table["gradient"]
        self.itemsize = ITEMSIZES[self.specs[0].inner]  # of the state
        self.size = int(self.table["size"].sum())
        self.pieces = cut(self.table, kind.is_half, torch.get_num_threads())
        self._job = make_job(self.table, self.pieces)
        self._counters = self._job.view(np.int64).data  # of the next piece, and of those done
        self.job: int = self._job.ctypes.data
        self.weights: list[Tensor] = [entry.parameter for entry in entries]
        self.addresses, self.gradients = [0] * len(entries), [0] * len(entries)  # of both
        self.states: list[list[tuple[str, Tensor, int]]] = [[] for _ in entries]
        self._guard: MemoryGuard | None = None
        self.held: list[Tensor] = []  # gradients, which must not be freed while the loop reads them
        self.has_new_state = False  # whether a parameter has state that was made for this step
        self.moved = False  # whether the last check found weights or state at another address
        self._groups = _runs(self.entries)
        self._written: list[dict[str, float]] = [{} for _ in self._groups]
        self.work = launch.compile_loop(kind)
        self._count = compile_counts(kind.update) if self.names else None

    def revalidate(self, states: States) -> bool:
        """Read every address again; return False where a tensor does not fit any more."""
        self.moved = False
        gradients: list[Any] = [weights.grad for weights in self.weights]
        if self._guard is not None and self._guard.holds(states, gradients):
            self.held = gradients
            addresses = addresses_of(gradients)
            if addresses != self.gradients:
                self.gradients = self._gradient_column[:] = addresses
            return True
        self._guard = None
        if not self._revalidate_each(states):
            return False
        self._guard = make_guard(states, self.weights, self.held, self.states)
        return True

    def _revalidate_each(self, states: States) -> bool:
        self.held = []
        for row, (weights, spec) in enumerate(zip(self.weights, self.specs, strict=True)):
            gradient = weights.grad
            if gradient is None:
                address = 0
            elif (
                weights.requires_grad
                and fits(gradient, spec.dtype, spec)
                and (self._is_unchanged(states, row) or self._resolve(states, row))
            ):
                address = gradient.data_ptr()
                self.held.append(gradient)
            else:
                return False
            if address != self.gradients[row]:
                self.gradients[row] = self._gradient_column[row] = address
        return True

    def _is_unchanged(self, states: States, row: int) -> bool:
        """Whether weights and state are the same tensors at the same addresses as before.

        The device is not checked again: it cannot change while the address stays.
        """
        parameter, spec = self.entries[row].parameter, self.specs[row]
        if (
            parameter.data_ptr() != self.addresses[row]
            or parameter.dtype is not spec.dtype
            or parameter.shape != spec.shape
            or parameter.stride() != spec.strides
            or not has_all_memory(parameter)
        ):
            return False
        if not self.names:
            return True
        state = states[parameter]
        for name, tensor, address in self.states[row]:
            if state.get(name) is not tensor or tensor.data_ptr() != address:
                return False
            if name != self.rule.count_name and not fits(tensor, spec.inner, spec):
                return False
        return True

    def _resolve(self, states: States, row: int) -> bool:
        """Look up weights and state again; return False where one does not fit."""
        entry, spec = self.entries[row], self.specs[row]
        parameter, place = entry.parameter, self.table[row]
        if not fits(parameter, spec.dtype, spec):
            return False
        used: list[tuple[str, Tensor, int]] = []
        if self.names:
            state = states[parameter]
            self.rule.prepare(entry, state)
            for field, name in zip(STATE, self.names, strict=False):
                if not fits(state[name], spec.inner, spec):
                    return False
                place[field] = state[name].data_ptr()
                used.append((name, state[name], int(place[field])))
            place["is_new_buffer"] = entry.is_new_state
            self.has_new_state = self.has_new_state or entry.is_new_state
            count = state.get(self.rule.count_name)
            place["count"] = 0
            if count is not None:
                if not is_count(count):
                    return False
                place["count_is_double"] = count.dtype is torch.float64
                place["count"] = count.data_ptr()
                used.append((self.rule.count_name, count, int(place["count"])))
        self.addresses[row] = place["weights"] = parameter.data_ptr()
        self.states[row] = used
        self.moved = True
        return True

    def write_options(self) -> None:
        """Write the present options of every group to its rows of the table."""
        for place, (entry, rows) in enumerate(self._groups):
            numbers, written = self.rule.numbers(entry), self._written[place]
            if numbers != written:
                for field, value in numbers.items():
                    if value != written.get(field):
                        self.table[field][rows] = value
                self._written[place] = numbers

    def write_strengths(self) -> None:
        """Write each parameter's strength, for a step before which gradients were clipped."""
        self.table["factor"] = [entry.factor for entry in self.entries]
        self._written = [{} for _ in self._groups]

    def advance_counts(self) -> None:
        """Count a step for all parameters that have a gradient."""
        self._counters[0] = 0
        # autograd then refuses to go back through graphs that hold the old weights.
        moving = self.weights
        if len(self.held) < len(self.weights):
            moving = [weights for weights in self.weights if weights.grad is not None]
        increment_version(moving)
        if self._count is not None:
            self._count(self.job)

    def launch(self) -> None:
        """Run all pieces on up to torch.get_num_threads() threads; small batches on one."""
        piece_count = len(self.pieces)
        team = 1 if self.size < SERIAL else min(torch.get_num_threads(), piece_count)
        try:
            threads.run(self.work, self.job, team)
        finally:
            done, self._counters[1] = self._counters[1], 0
            # An interruption before the first piece leaves new state as it was.
            if done and self.has_new_state:
                self.has_new_state = False
                for entry in self.entries:
                    entry.is_new_state = False
        if done < piece_count:
            raise MemoryError(
                f"there was no memory left for a step of {self.entries[0].name} and what goes with "
                "it: its counts of steps are one ahead, and some weights have moved"
            )


def _runs(entries: Sequence[Entry]) -> list[tuple[Entry, slice]]:
    """Runs of entries that share a group and so its numbers, each with its first entry."""
    runs, begin = [], 0
    for _, members in groupby(entries, key=lambda entry: (id(entry.group), id(entry.bound))):
        count = len(list(members))
        runs.append((entries[begin], slice(begin, begin + count)))
        begin += count
    return runs
