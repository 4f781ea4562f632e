"""An optimizer's step with the penalty inside, in one pass over memory on a CPU.

Parameters that one compiled loop serves form a batch, with a table of the addresses of weights,
gradients and state. At each step every tensor is looked at anew: its type, device, strides and
address. Where one does not fit, the parameter is left to torch operations (`inside`), which come to
the same result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage.kernels import driving
from shrinkage.kernels.compiling import CHUNK
from shrinkage.kernels.counting import NARROW_COUNT, WIDE_COUNT, counter
from shrinkage.kernels.driving import Kind
from shrinkage.kernels.formulas import ABSOLUTE, Formula, formula_of
from shrinkage.kernels.loops import NUMBERS, SIGN, A, B
from shrinkage.penalties import GroupLasso, Penalty
from shrinkage.penalties.layout import resolve

if TYPE_CHECKING:
    from shrinkage.torch.inside.entries import Entry
    from shrinkage.torch.inside.optimizer import Inside

PIECE = 1 << 16  # entries: the least for one turn of a thread
TURNS = 12  # of each thread, so that all end at about the same time
Table = np.ndarray[Any, np.dtype[np.int64]]

PLAIN = (nn.Parameter, Tensor)
INNER = {torch.float32: torch.float32, torch.float64: torch.float64, torch.bfloat16: torch.float32}
LIKE: dict[torch.dtype, np.ndarray[Any, Any]] = {
    torch.float32: np.empty(0, np.float32),
    torch.float64: np.empty(0, np.float64),
}


class Form(NamedTuple):
    """A penalty on one parameter, in the terms of the compiled loops."""

    formula: Formula | None
    constants: tuple[float, float]
    width: int  # of the rows that are its groups; 0 where there are none


def form_of(penalty: Penalty | None, shape: tuple[int, ...]) -> Form | None:
    """The compiled form of a penalty on weights of that shape, or None where there is none."""
    if penalty is None:
        return Form(None, (0.0, 0.0), 0)
    scalar = formula_of(penalty)
    if scalar is not None:
        return Form(*scalar, 0)
    absolute, square, rest = penalty.split()
    if absolute or square or len(rest) != 1 or not isinstance(rest[0], GroupLasso):
        return None
    group = rest[0]
    if isinstance(group.groups, tuple) and isinstance(group.groups[0], tuple):
        return None  # lists of indices
    layout = resolve(group.groups, shape)
    view, axes = layout.view or shape, layout.axes
    if axes != tuple(range(len(axes))):
        return None
    width = math.prod(view[len(axes) :])
    strength = group.lam * (width**0.5 if group.weight == "sqrt" else 1.0)
    if width == 1:
        return Form(ABSOLUTE, (strength, 0.0), 0)
    return Form(None, (0.0, strength), width) if width else None


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


class Batch:
    """Parameters that one compiled loop serves, with the table of their addresses."""

    def __init__(self, kind: Kind, entries: Sequence[Entry], names: Sequence[str]) -> None:
        self.kind, self.entries, self.names = kind, entries, names
        self.wanted = [wanted(entry.parameter) for entry in entries]
        forms = [entry.form for entry in entries if entry.form is not None]
        self.table = np.zeros((len(entries), driving.COLUMNS), np.int64)
        self.table[:, driving.SIZE] = [entry.parameter.numel() for entry in entries]
        self.table[:, driving.WIDTH] = [form.width for form in forms]
        self.numbers = np.zeros((len(entries), NUMBERS))
        self.numbers[:, [A, B]] = [form.constants for form in forms]
        self.like = LIKE[self.wanted[0].inner]
        self.size = int(self.table[:, driving.SIZE].sum())
        self.pieces, self.turns = cut(self.table, self.size)
        self.sums = np.zeros((len(self.pieces), driving.SUMS))
        self.weights, self.gradients = [0] * len(entries), [0] * len(entries)  # addresses
        self.states: list[list[tuple[str, Tensor, int]]] = [[] for _ in entries]
        self.moved = False  # whether weights or state were elsewhere when last looked at
        self._groups = _runs(self.entries)
        self._told: list[object] = [None] * len(self._groups)
        self._loop = driving.loop(kind)

    def look(self, optimizer: Inside) -> bool:
        """Read every address anew; False where a tensor does not fit any more."""
        self.moved = False
        for row, (entry, want) in enumerate(zip(self.entries, self.wanted, strict=True)):
            gradient = entry.parameter.grad
            if gradient is None:
                address = 0
            elif (
                entry.parameter.requires_grad
                and fits(gradient, want.dtype, want)
                and not gradient.is_neg()
                and (self._rests(optimizer, row) or self._find(optimizer, row))
            ):
                address = gradient.data_ptr()
            else:
                return False
            if address != self.gradients[row]:
                self.gradients[row] = self.table[row, driving.GRADIENTS] = address
        return True

    def _rests(self, optimizer: Inside, row: int) -> bool:
        """Whether weights and state are the same, in the same place, as when they were found.

        Memory of one address has one device; for the rest, autograd holds a gradient to the type
        and the shape of its weights.
        """
        parameter, want = self.entries[row].parameter, self.wanted[row]
        if (
            parameter.data_ptr() != self.weights[row]
            or parameter.dtype is not want.dtype
            or parameter.stride() != want.strides
        ):
            return False
        if not self.names:
            return True
        state = optimizer.state[parameter]
        for name, tensor, address in self.states[row]:
            if state.get(name) is not tensor or tensor.data_ptr() != address:
                return False
        return True

    def _find(self, optimizer: Inside, row: int) -> bool:
        """Find weights and state, which may have moved; False where one does not fit."""
        entry, want = self.entries[row], self.wanted[row]
        parameter, place = entry.parameter, self.table[row]
        if not fits(parameter, want.dtype, want):
            return False
        found: list[tuple[str, Tensor, int]] = []
        if self.names:
            optimizer._prepare(entry)
            state = optimizer.state[parameter]
            for column, name in enumerate(self.names, driving.FIRST):
                if not fits(state[name], want.inner, want):
                    return False
                place[column] = state[name].data_ptr()
                found.append((name, state[name], int(place[column])))
            place[driving.FRESH] = entry.begins
            count = state.get(optimizer._counts)
            place[driving.COUNTER] = 0
            if count is not None:
                place[driving.WIDE] = count.dtype is torch.float64
                place[driving.COUNTER] = count.data_ptr()
                found.append((optimizer._counts, count, int(place[driving.COUNTER])))
        self.weights[row] = place[driving.WEIGHTS] = parameter.data_ptr()
        self.states[row] = found
        self.moved = True
        return True

    def tell(self, optimizer: Inside) -> None:
        """The present numbers of every group to its rows, and a step more to all counts."""
        for place, (entry, rows) in enumerate(self._groups):
            numbers = optimizer._numbers(entry)
            if numbers != self._told[place]:
                self._told[place] = numbers
                self.numbers[rows, SIGN : SIGN + len(numbers)] = numbers
        if self.names:
            count = counter(optimizer._update)
            count(self.table, self.numbers, WIDE_COUNT, NARROW_COUNT)
            for entry in self.entries:
                entry.begins = False

    def go(self, first: int, last: int) -> None:
        """Step the pieces from `first` to before `last`."""
        self._loop(self.table, self.numbers, self.pieces, first, last, self.sums, self.like)


def cut(table: Table, size: int) -> tuple[Table, list[tuple[int, int]]]:
    """Pieces (parameter, from, to) at whole chunks or rows, and which of them make one turn."""
    most = max(PIECE, size // (2 * TURNS))
    pieces: list[tuple[int, int, int]] = []
    turns: list[tuple[int, int]] = []
    begin = waiting = 0
    for index, (entries, width) in enumerate(table[:, [driving.SIZE, driving.WIDTH]].tolist()):
        length = max(1, most // (width or CHUNK)) * (width or CHUNK)
        for low in range(0, entries, length):
            pieces.append((index, low, min(low + length, entries)))
            waiting += pieces[-1][2] - low
            if waiting >= most:
                turns.append((begin, len(pieces)))
                begin, waiting = len(pieces), 0
    if begin < len(pieces):
        turns.append((begin, len(pieces)))
    return np.array(pieces, np.int64).reshape(-1, 3), turns


def _runs(entries: Sequence[Entry]) -> list[tuple[Entry, slice]]:
    """Neighbours of one group, by the first of them: their numbers are the same."""
    runs, begin = [], 0
    for _, members in groupby(entries, key=lambda entry: (id(entry.group), id(entry.regularizer))):
        count = len(list(members))
        runs.append((entries[begin], slice(begin, begin + count)))
        begin += count
    return runs
