"""An optimizer's step with the penalty inside, in one pass over memory on a CPU.

Parameters that one compiled loop serves form a batch, with a table of the addresses of weights,
gradients and state. At each step every tensor is looked at anew: its type, device, strides and
address. Where one does not fit, the parameter is left to torch operations (`stepwise`), which come
to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from shrinkage.kernels import launch, threads
from shrinkage.kernels.column_sums import LEAST, block_width
from shrinkage.kernels.how import Kind
from shrinkage.kernels.intrinsics import CHUNK
from shrinkage.kernels.records import PARAMETER, PIECE, Records, make_job
from shrinkage.kernels.step_counts import counter
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.fused.guards import Glance, addresses_of, glance_at

if TYPE_CHECKING:
    from shrinkage.torch.fused.parameters import Entry

SERIAL = 1 << 17  # entries: waking threads takes longer than stepping these
LENGTH = 1 << 15  # entries of a piece: short ones let all threads end at about the same time
STATE = ("first", "second", "third")  # fields of a record, in the order of an optimizer's names

PLAIN = (nn.Parameter, Tensor)
INNER = {torch.float32: torch.float32, torch.float64: torch.float64, torch.bfloat16: torch.float32}
ITEMSIZES = {torch.float32: 4, torch.float64: 8}


class Wanted(NamedTuple):
    """What a parameter's tensors must be like, so that their memory can be stepped through."""

    dtype: torch.dtype  # of weights and gradient
    inner: torch.dtype  # of the state
    shape: torch.Size
    strides: tuple[int, ...]


def fits(tensor: Any, dtype: torch.dtype, wanted: Wanted) -> bool:
    """Whether a tensor's memory can be stepped through beside that of its parameter."""
    return (
        type(tensor) in PLAIN
        and tensor.layout is torch.strided
        and tensor.is_cpu
        and tensor.dtype is dtype
        and tensor.shape == wanted.shape
        and tensor.stride() == wanted.strides
        and not tensor.is_neg()
        and is_backed(tensor)
    )


def is_backed(tensor: Tensor) -> bool:
    """Whether all of its memory is there: a storage can be cut, a functorch tensor has none."""
    held = _bytes_held(tensor)
    return held is not None and _bytes_claimed(tensor) <= held


def is_cut(tensor: Any) -> bool:
    """Whether its storage is smaller than its shape says, as after ``resize_(0)`` on it."""
    if type(tensor) not in PLAIN or tensor.layout is not torch.strided:  # a shard has its own
        return False
    held = _bytes_held(tensor) if tensor.numel() else None
    return held is not None and _bytes_claimed(tensor) > held


def _bytes_held(tensor: Tensor) -> int | None:
    """The size of its storage; None where it has none, as under functorch."""
    try:
        return int(tensor.untyped_storage().nbytes())
    except (RuntimeError, NotImplementedError):
        return None


def _bytes_claimed(tensor: Tensor) -> int:
    return int(tensor.storage_offset() + tensor.numel()) * tensor.itemsize


def is_count(count: Any) -> bool:
    """Whether a count of steps can be raised in memory."""
    return (
        type(count) is Tensor
        and count.is_cpu
        and count.dtype in ITEMSIZES
        and count.numel() == 1
        and is_backed(count)
    )


def wanted(parameter: Tensor) -> Wanted:
    """What the tensors of that parameter must be like now."""
    inner = INNER[parameter.dtype]
    return Wanted(parameter.dtype, inner, parameter.shape, parameter.stride())


def is_dense(tensor: Tensor) -> bool:
    """Whether its entries fill one stretch of memory, in any order, and none is there twice."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


class Stepped(Protocol):
    """An optimizer as the loops see it."""

    @property
    def _counts(self) -> str:
        """What counts steps in its state; "" where nothing does."""

    @property
    def state(self) -> Any:
        """torch's: for each parameter a dictionary."""

    def _names(self, group: Group) -> tuple[str, ...]:
        """What the loops read or change in the state, beside counts."""

    def _kind(self, entry: Entry) -> Kind:
        """Which compiled loop steps a parameter."""

    def _prepare(self, entry: Entry) -> None:
        """The parameter's state, where it is not there yet."""

    def _numbers(self, entry: Entry) -> dict[str, float]:
        """What the loops need of its group, by the names of `PARAMETER`."""


class Batch:
    """Parameters that one compiled loop serves, with the table of their addresses."""

    def __init__(self, kind: Kind, entries: Sequence[Entry], names: Sequence[str]) -> None:
        self.kind, self.entries, self.names = kind, entries, names
        self.wanted = [wanted(entry.parameter) for entry in entries]
        forms = [entry.form for entry in entries if entry.form is not None]
        self.table: Records = np.zeros(len(entries), PARAMETER)
        self.table["size"] = [entry.parameter.numel() for entry in entries]
        self.table["width"] = [form.width for form in forms]
        self.table["span"] = [form.span for form in forms]
        self.table["a"], self.table["b"] = zip(*(form.constants for form in forms), strict=True)
        self._gradient_column = self.table["gradient"]
        self.itemsize = ITEMSIZES[self.wanted[0].inner]  # of the state
        self.size = int(self.table["size"].sum())
        self.pieces = cut(self.table, kind.is_half, torch.get_num_threads())
        self._job = make_job(self.table, self.pieces)
        self._turn, self._done = self._job["turn"], self._job["done"]
        self.job: int = self._job.ctypes.data
        self.weights: list[Tensor] = [entry.parameter for entry in entries]
        self.addresses, self.gradients = [0] * len(entries), [0] * len(entries)  # of both
        self.states: list[list[tuple[str, Tensor, int]]] = [[] for _ in entries]
        self._glance: Glance | None = None
        self.held: list[Tensor] = []  # gradients, which nobody may free while they are read
        self.begins = False  # whether one has state that was made for this step
        self.moved = False  # whether weights or state were elsewhere when last looked at
        self._groups = _runs(self.entries)
        self._told: list[dict[str, float]] = [{} for _ in self._groups]
        self.work = launch.loop(kind)

    def look(self, optimizer: Stepped) -> bool:
        """Read every address anew; False where a tensor does not fit any more."""
        self.moved = False
        gradients: list[Any] = [weights.grad for weights in self.weights]
        if self._glance is not None and self._glance.shows_no_change(optimizer.state, gradients):
            self.held = gradients
            addresses = addresses_of(gradients)
            if addresses != self.gradients:
                self.gradients = self._gradient_column[:] = addresses
            return True
        self._glance = None
        if not self._look_at_each(optimizer):
            return False
        self._glance = glance_at(optimizer.state, self.weights, self.held, self.states)
        return True

    def _look_at_each(self, optimizer: Stepped) -> bool:
        self.held = []
        for row, (weights, want) in enumerate(zip(self.weights, self.wanted, strict=True)):
            gradient = weights.grad
            if gradient is None:
                address = 0
            elif (
                weights.requires_grad
                and fits(gradient, want.dtype, want)
                and (self._rests(optimizer, row) or self._find(optimizer, row))
            ):
                address = gradient.data_ptr()
                self.held.append(gradient)
            else:
                return False
            if address != self.gradients[row]:
                self.gradients[row] = self._gradient_column[row] = address
        return True

    def _rests(self, optimizer: Stepped, row: int) -> bool:
        """Whether weights and state are the same, in the same place, as when they were found.

        Memory of one address has one device, so that of the weights is not asked again.
        """
        parameter, want = self.entries[row].parameter, self.wanted[row]
        if (
            parameter.data_ptr() != self.addresses[row]
            or parameter.dtype is not want.dtype
            or parameter.shape != want.shape
            or parameter.stride() != want.strides
            or not is_backed(parameter)
        ):
            return False
        if not self.names:
            return True
        state = optimizer.state[parameter]
        for name, tensor, address in self.states[row]:
            if state.get(name) is not tensor or tensor.data_ptr() != address:
                return False
            if name != optimizer._counts and not fits(tensor, want.inner, want):
                return False
        return True

    def _find(self, optimizer: Stepped, row: int) -> bool:
        """Find weights and state, which may have moved; False where one does not fit."""
        entry, want = self.entries[row], self.wanted[row]
        parameter, place = entry.parameter, self.table[row]
        if not fits(parameter, want.dtype, want):
            return False
        found: list[tuple[str, Tensor, int]] = []
        if self.names:
            optimizer._prepare(entry)
            state = optimizer.state[parameter]
            for field, name in zip(STATE, self.names, strict=False):
                if not fits(state[name], want.inner, want):
                    return False
                place[field] = state[name].data_ptr()
                found.append((name, state[name], int(place[field])))
            place["begins"] = entry.begins
            self.begins = self.begins or entry.begins
            count = state.get(optimizer._counts)
            place["count"] = 0
            if count is not None:
                if not is_count(count):
                    return False
                place["count_is_double"] = count.dtype is torch.float64
                place["count"] = count.data_ptr()
                found.append((optimizer._counts, count, int(place["count"])))
        self.addresses[row] = place["weights"] = parameter.data_ptr()
        self.states[row] = found
        self.moved = True
        return True

    def tell(self, optimizer: Stepped) -> None:
        """The present numbers of every group to its rows."""
        for place, (entry, rows) in enumerate(self._groups):
            numbers = optimizer._numbers(entry)
            if numbers != self._told[place]:
                for field, value in numbers.items():
                    if value != self._told[place].get(field):
                        self.table[field][rows] = value
                self._told[place] = numbers

    def tell_clipped(self) -> None:
        """The strengths of a step before which gradients were clipped: each parameter's own."""
        self.table["factor"] = [entry.factor for entry in self.entries]
        self._told = [{} for _ in self._groups]

    def count(self, optimizer: Stepped) -> None:
        """A step more to all counts."""
        self._turn[0] = 0
        # Graphs that hold a weight as it was will refuse to go back through it, as after any step.
        moving = self.weights
        if len(self.held) < len(self.weights):
            moving = [weights for weights in self.weights if weights.grad is not None]
        increment_version(moving)
        if self.names:
            counter(self.kind.update)(self.job)

    def go(self) -> None:
        """All pieces, by as many threads as torch has and are worth waking."""
        few = self.size < SERIAL
        team = 1 if few else min(torch.get_num_threads(), len(self.pieces))
        try:
            threads.run(self.work, self.job, team)
        finally:
            done, self._done[0] = int(self._done[0]), 0
            if done and self.begins:  # an interruption before the first piece leaves it as it was
                self.begins = False
                for entry in self.entries:
                    entry.begins = False
        if done < len(self.pieces):
            raise MemoryError(
                f"there was no memory left for a step of {self.entries[0].name} and what goes with "
                "it: its counts of steps are one ahead, and some weights have moved"
            )


def cut(table: Records, copies: bool, threads: int) -> Records:
    """Pieces of parameters, at whole chunks, rows or columns, enough for all threads."""
    pieces: list[tuple[float, ...]] = []
    for index, (entries, width, span) in enumerate(table[["size", "width", "span"]].tolist()):
        if span:  # a range of every row, for there the groups are side by side
            rows, end = entries // span, span
            share = -(-int(table["size"].sum()) // (2 * threads * rows))
            unit = width if width > 1 else LEAST
            most = block_width(rows, width, span, copies)
            length = most if threads == 1 else min(-(-share // unit) * unit, most)
        else:
            end, unit = entries, width or CHUNK
            length = max(1, LENGTH // unit) * unit
        for low in range(0, end, length):
            pieces.append((index, low, min(low + length, end), 0.0, 0.0, 0.0, 0.0, 0.0))
    return np.array(pieces, PIECE)


def _runs(entries: Sequence[Entry]) -> list[tuple[Entry, slice]]:
    """Neighbours of one group, by the first of them: their numbers are the same."""
    runs, begin = [], 0
    for _, members in groupby(entries, key=lambda entry: (id(entry.group), id(entry.regularizer))):
        count = len(list(members))
        runs.append((entries[begin], slice(begin, begin + count)))
        begin += count
    return runs
