"""LSTM, GRU and RNN: hidden units of several layers, in one or two directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import EQUAL, Family, KeepSets, keeps
from shrinkage.compact.operations.pointwise import FILLED

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
CANDIDATE = {"lstm": 2, "gru": 2, "rnn_tanh": 0, "rnn_relu": 0}  # the rows of new content: g, n


@dataclass(frozen=True)
class Cell:
    """One layer in one direction; `parameters` are the weights and biases as torch orders them."""

    layer: int
    direction: int
    parameters: list[Any]


def read_cells(name: str, args: Any) -> list[Cell]:
    """The cells of a call of torch's LSTM or GRU, whose third argument holds all parameters."""
    parameters, directions = args[2], 2 if args[7] else 1
    size = 4 if args[3] else 2
    return [
        Cell(number // directions, number % directions, list(parameters[start : start + size]))
        for number, start in enumerate(range(0, len(parameters), size))
    ]


def is_known(args: Any) -> bool:
    """Whether a call has all parameters apart, and none that projects hidden units."""
    size = 4 if args[3] else 2
    return bool(len(args[2]) == size * args[4] * (2 if args[7] else 1))


def silent_units(name: str, cell: Cell) -> np.ndarray:
    """Units that are 0 at all times if they start there: nothing ever enters them."""
    units = cell.parameters[1].shape[1]
    silent = np.ones(units, dtype=bool)
    for tensor in cell.parameters[:2]:
        rows = tensor.reshape(GATES[name], units, -1)[CANDIDATE[name]]
        silent &= (rows == 0).all(-1).numpy()
    if len(cell.parameters) > 2:
        into, hidden = (b.reshape(GATES[name], units)[CANDIDATE[name]] for b in cell.parameters[2:])
        none = (into == 0) & (hidden == 0) if name == "gru" else into + hidden == 0
        silent &= none.numpy()
    return silent


@varies(*GATES)
def varies_of_recurrence(call: Call) -> Masks:
    """Silent units of the last layer are 0."""
    masks = tuple(torch.ones_like(part, dtype=torch.bool) for part in call.result)
    states = call.args[1] if isinstance(call.args[1], list | tuple) else [call.args[1]]
    starts_at_0 = all(isinstance(s, Tensor) and not s.any() for s in states)
    if (
        isinstance(call.args[3], bool)
        and starts_at_0
        and is_known(call.args)
        and not call.masks[1][0].any()
    ):
        name = operation(call.node)
        last = [cell for cell in read_cells(name, call.args) if cell.layer == call.args[4] - 1]
        silent = np.concatenate([silent_units(name, cell) for cell in last])
        masks[0][..., torch.from_numpy(silent)] = False
    return masks


@keeps(*GATES)
def keep_recurrence(sets: KeepSets, node: Node) -> None:
    """A hidden unit is needed where a gate that is kept or the next layer has a weight for it."""
    args: Any = node.args
    states = args[1] if isinstance(args[1], list | tuple) else [args[1]]
    is_plain = isinstance(args[3], bool) and is_known(args)
    results = {int(part.args[1]): part for part in node.users}  # type: ignore[arg-type]
    for part in (*results.values(), args[0], *(s for s in states if operation(s) not in FILLED)):
        rank = len(shape(part))
        beside = [rank - 1] if is_plain and part in (results.get(0), args[0]) else []
        sets.need_all(part, f"{sets.graph.where(node)} hands it on", beside=beside)
    if not is_plain:
        for tensor in node.all_input_nodes:
            sets.need_all(tensor, f"{sets.graph.where(node)} is of a kind that is not known")
        return
    cells = read_cells(operation(node), args)
    zero_start = all(operation(state) in FILLED for state in states)
    for cell in cells:
        _keep_cell(sets, node, cell, results, zero_start)
        _keep_input(sets, node, cell, [c for c in cells if c.layer == cell.layer - 1])


def _keep_cell(
    sets: KeepSets, node: Node, cell: Cell, results: dict[int, Node], starts_at_0: bool
) -> None:
    name = operation(node)
    hidden, units = cell.parameters[1], shape(cell.parameters[1])[1]
    at = np.arange(units)
    for tensor in cell.parameters:
        for gate in range(GATES[name]):
            sets.tie_at(hidden, 1, at, tensor, 0, gate * units + at)
    weight = sets.constants.values[hidden]
    used = (weight != 0).numpy()[np.tile(sets.kept(hidden, 1), GATES[name])].any(0)
    values = Cell(cell.layer, cell.direction, [sets.constants.values[p] for p in cell.parameters])
    silent = silent_units(name, values) if starts_at_0 else np.zeros(units, dtype=bool)
    sets.need(hidden, 1, f"{sets.graph.where(node)} uses it", used & ~silent)
    if any(number in results for number in (1, 2)):  # the last states, of all layers in one tensor
        sets.need(hidden, 1, f"{sets.graph.where(node)} hands on its last state")
    if cell.layer == int(node.args[4]) - 1 and 0 in results:  # type: ignore[arg-type]
        sets.tie_at(hidden, 1, at, results[0], -1, cell.direction * units + at)


def _keep_input(sets: KeepSets, node: Node, cell: Cell, below: list[Cell]) -> None:
    """Relate what enters a cell to the model's tensor or to the cells of the layer below."""
    args: Any = node.args
    weight, hidden = cell.parameters[:2]
    size = shape(weight)[1]
    rows = np.tile(sets.kept(hidden, 1), GATES[operation(node)])
    used = (sets.constants.values[weight] != 0).numpy()[rows].any(0)
    if not below:
        sets.tie(weight, 1, args[0], -1)
        silent = sets.constants.along(args[0], len(shape(args[0])) - 1, size).is_zero
    else:
        silent = np.zeros(size, dtype=bool)
        for start, source in _placed(below):
            units = shape(source.parameters[1])[1]
            sets.tie_at(
                source.parameters[1], 1, np.arange(units), weight, 1, start + np.arange(units)
            )
            values = [sets.constants.values[p] for p in source.parameters]
            states = args[1] if isinstance(args[1], list | tuple) else [args[1]]
            if all(operation(state) in FILLED for state in states):
                made = silent_units(operation(node), Cell(0, 0, values))
                silent[start : start + units] = made
    sets.need(weight, 1, f"{sets.graph.where(node)} uses it", used & ~silent)


def _placed(cells: list[Cell]) -> Iterator[tuple[int, Cell]]:
    start = 0
    for cell in cells:
        yield start, cell
        start += shape(cell.parameters[1])[1]


def _equal_cells(sets: KeepSets, node: Node) -> Iterable[Family]:
    """All cells have one number of hidden units."""
    args: Any = node.args
    if isinstance(args[3], bool) and is_known(args):
        hidden = [cell.parameters[1] for cell in read_cells(operation(node), args)]
        yield [((tensor, 1), np.arange(shape(tensor)[1])[None]) for tensor in hidden]


for _name in GATES:
    EQUAL[_name] = _equal_cells
