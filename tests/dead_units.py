"""Units that are dead in all tensors that write them, and an experiment on whether they can go.

Which tensors write a unit is read off the ties of the analysis. Whether it can go is found out
without the analysis, from the modules at work.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.fx import Node

from shrinkage.compact import Compacted
from shrinkage.compact.constants import Constants
from shrinkage.compact.graph import Graph, find_rule, operation, read_program, shape
from shrinkage.compact.keeping import KEEPS, Axis, KeepSets
from shrinkage.compact.operations.convolutions import CONVOLUTIONS, read_convolution
from shrinkage.compact.operations.pointwise import register_pointwise
from shrinkage.compact.operations.recurrent import GATES, read_cells
from shrinkage.compact.verification import Sample, map_tensors, run

CONVOLVING = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSING = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
WEIGHTED = (*CONVOLVING, *TRANSPOSING, nn.Linear, nn.Embedding, nn.RNNBase)
SHARE = 1 / 3


@dataclass
class Ties(KeepSets):
    """Which indices of which axes belong together, whatever is kept."""

    starts: dict[Axis, int] = field(default_factory=dict)
    pairs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    split: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def numbers(self, node: Node, axis: int) -> np.ndarray:
        """One number for each index of an axis."""
        place = (node, axis % len(shape(node)))
        if place not in self.starts:
            self.starts[place], self.size = self.size, self.size + shape(node)[place[1]]
        return self.starts[place] + np.arange(shape(node)[place[1]])

    def kept(self, node: Node, axis: int) -> np.ndarray:
        return np.ones(shape(node)[axis], dtype=bool)

    def need(self, *_: object) -> None:
        pass

    def need_all(self, *_: object, **__: object) -> None:
        pass

    def tie(self, first: Node, axis: int, second: Node, other: int) -> None:
        self.pairs.append((self.numbers(first, axis), self.numbers(second, other)))

    def tie_at(
        self, first: Node, axis: int, at: np.ndarray, second: Node, other: int, there: np.ndarray
    ) -> None:
        self.pairs.append((self.numbers(first, axis)[at], self.numbers(second, other)[there]))

    def tie_product(self, parts: Sequence[Axis], whole: Sequence[Axis]) -> None:
        """Axes that are merged go by the first; one that is split is left alone, as heads are."""
        parts, whole = ([a for a in side if shape(a[0])[a[1]] > 1] for side in (parts, whole))
        if len(whole) == 1 and parts:
            first, merged = self.numbers(*parts[0]), self.numbers(*whole[0])
            self.pairs.append((np.repeat(first, len(merged) // len(first)), merged))
        else:
            self.split += [self.numbers(*axis) for axis in parts]


@dataclass(frozen=True)
class Unit:
    """What is dead together: (name, axis, index) of the parameters that write it."""

    written: tuple[tuple[str, int, int], ...]

    def sources(self, model: nn.Module) -> Iterator[tuple[str, int]]:
        """Modules that write the unit, and the channel of their output."""
        for name, _, index in self.written:
            path, _, parameter = name.rpartition(".")
            module = model.get_submodule(path)
            if isinstance(module, nn.RNNBase):
                of_last_layer = parameter.startswith(f"weight_hh_l{module.num_layers - 1}")
                if of_last_layer and index < module.hidden_size:
                    yield path, index + module.hidden_size * parameter.endswith("reverse")
            elif isinstance(module, nn.Embedding):
                continue  # whose rows are not those of the batch
            elif isinstance(module, (*WEIGHTED, *NORMS)) and parameter == "weight":
                yield path, index


def output_axis(model: nn.Module, name: str) -> int | None:
    """The axis of a weight that counts units, None of a parameter that is no such weight."""
    path, _, parameter = name.rpartition(".")
    module = model.get_submodule(path)
    if not isinstance(module, WEIGHTED) or not parameter.startswith("weight"):
        return None
    if isinstance(module, TRANSPOSING) and module.groups > 1:
        return -1  # none
    return 1 if isinstance(module, (*TRANSPOSING, nn.Embedding)) else 0


def find_units(model: nn.Module, sample: Sample) -> list[Unit]:
    """All units of a model that are neither inputs nor outputs, those in groups as one of each."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # export says so where a model sets attributes
        graph = read_program(torch.export.export(model, *sample), model)
    register_pointwise(graph)
    ties = Ties(graph, Constants(values=dict(graph.tensors)), model)
    for node in graph.nodes:
        if all(source in ties.constants.values for source in node.all_input_nodes):
            ties.constants.values[node] = torch.ones(shape(node))  # computed of weights
        if rule := KEEPS.get(operation(node).removesuffix("_"), find_rule(KEEPS, node)):
            rule(ties, node)  # the program is as it was exported, with operations in place
    _tie_groups(ties, graph)
    held = {
        (node, axis): ties.numbers(node, axis)
        for node in graph.names
        for axis in range(len(shape(node)))
    }
    ends = [
        ties.numbers(node, axis)
        for node in (*graph.inputs, *graph.outputs)
        for axis in range(len(shape(node)))
    ]
    one, two = (np.concatenate(side) for side in zip(*ties.pairs, strict=True))
    pairs = coo_array((np.ones(len(one)), (one, two)), (ties.size, ties.size))
    labels = connected_components(pairs, directed=False)[1]
    excluded = set(labels[np.concatenate([*ends, *ties.split])].tolist())
    members: dict[int, list[tuple[str, int, int]]] = {}
    parameters = dict(model.named_parameters())
    for (node, axis), numbers in held.items():
        if (name := graph.names[node]) in parameters:
            wanted = output_axis(model, name)
            if wanted is None or wanted == axis:
                for index, label in enumerate(labels[numbers].tolist()):
                    members.setdefault(label, []).append((name, axis, index))
    return [
        Unit(tuple(written))
        for label, written in members.items()
        if label not in excluded and any(output_axis(model, name) == a for name, a, _ in written)
    ]


def _tie_groups(ties: Ties, graph: Graph) -> None:
    """Let the units at one place in all groups of a convolution, or cells, die together."""
    for node in graph.nodes:
        if operation(node) in GATES:
            first, *others = (cell.parameters[1] for cell in read_cells("", node.args))
            ties.pairs += [(ties.numbers(first, 1), ties.numbers(other, 1)) for other in others]
        if operation(node) in CONVOLUTIONS:
            conv = read_convolution(node)
            for tensor, size in ((conv.source, conv.inputs), (node, conv.outputs)):
                if conv.groups > 1 and conv.inputs * conv.outputs > 1:
                    by_group = ties.numbers(tensor, 1).reshape(conv.groups, size)
                    ties.pairs += [(by_group[0], other) for other in by_group[1:]]


def plant(model: nn.Module, units: Sequence[Unit], seed: int = 0) -> list[Unit]:
    """Set all that writes a third of the units to 0; returns these units."""
    chosen = torch.rand(len(units), generator=torch.Generator().manual_seed(seed)) < SHARE
    dead = [unit for unit, is_chosen in zip(units, chosen.tolist(), strict=True) if is_chosen]
    places: dict[tuple[str, int], list[int]] = {}
    for unit in dead:
        for name, axis, index in unit.written:
            places.setdefault((name, axis), []).append(index)
    with torch.no_grad():
        for (name, axis), at in places.items():
            model.get_parameter(name).index_fill_(axis, torch.tensor(at), 0.0)
    return dead


def tag(model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer whose state has the number of its unit for each weight."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for name, parameter in model.named_parameters():
        axis = output_axis(model, name)
        if axis is not None and axis >= 0:
            size = [len(n) if a == axis else 1 for a, n in enumerate(map(range, parameter.shape))]
            numbers = torch.arange(parameter.shape[axis], dtype=torch.int32).reshape(size)
            optimizer.state[parameter] = {"unit": numbers.expand(parameter.shape).clone()}
    return optimizer


def find_gone(model: nn.Module, small: Compacted, units: Sequence[Unit]) -> list[bool]:
    """Which units have no weight left in the smaller model."""
    assert small.optimizer is not None
    left: dict[str, set[int]] = {}
    for name, parameter in small.model.named_parameters():
        state = small.optimizer.state.get(parameter, {})
        if "unit" in state:
            left[name] = set(state["unit"].unique().tolist())
    return [
        not any(
            index in left[name]
            for name, axis, index in unit.written
            if name in left and output_axis(model, name) == axis
        )
        for unit in units
    ]


def find_removable(model: nn.Module, sample: Sample, units: Sequence[Unit]) -> list[bool]:
    """By experiment, which dead units could go.

    Each unit has a row of a batch, in which numbers are added to it wherever a module writes it.
    Layers that get something else than without these numbers are given what they get without them.
    A unit can go if the outputs are then the same, and what the layers got in its place is 0 for
    every input, or one number where nothing is padded: they can do without that input. If anything
    else looks at the unit, such as a normalization, other inputs of a layer change with it.
    """
    if not units:
        return []
    model = copy.deepcopy(model).double().eval()

    def as_batch(rows: int, noise: float) -> Sample:
        def repeat(tensor: Tensor) -> Tensor:
            first = tensor[:1].double() if tensor.is_floating_point() else tensor[:1]
            batch = first.repeat(rows, *[1] * (tensor.ndim - 1))
            if not noise:
                return batch
            if batch.is_floating_point():
                return batch + noise * torch.randn_like(batch)
            return torch.stack([row[torch.randperm(len(row))] for row in batch])

        return map_tensors(sample, repeat)

    seen = Watch(model)
    with seen.reading():
        run(model, as_batch(4, 1.0))
    constants = {call: [_constant(module, x)] for call, (module, x) in seen.inputs.items()}
    seen = Watch(model)
    with seen.reading():
        expected = run(model, as_batch(1, 0.0))
    with seen.disturbing(units):
        found = run(model, as_batch(len(units), 0.0))
    same = np.ones(len(units), dtype=bool)
    for one, two in zip(found, expected, strict=True):
        rows = (one - two).reshape(len(units), -1).abs().amax(1)
        same &= (rows <= 1e-9 * two.abs().max()).numpy()
    for call, changed in seen.changed.items():
        same &= ~(changed & ~constants[call][0]).any(1).numpy()
    return same.tolist()


def _constant(module: nn.Module, inputs: Tensor) -> Tensor:
    """Which channels that enter a layer are a number that it could do without."""
    by_channel = inputs.movedim(_channel_axis(module), 0).reshape(_width(module, inputs), -1)
    low, high = by_channel.amin(1), by_channel.amax(1)
    is_padded = isinstance(module, TRANSPOSING) or (
        isinstance(module, CONVOLVING) and module.padding not in (0, (0,), (0, 0), (0, 0, 0))
    )
    is_zero = (low == 0) & (high == 0)
    return is_zero if is_padded else is_zero | (high - low <= 1e-12 * high.abs())


def _channel_axis(module: nn.Module) -> int:
    return 1 if isinstance(module, (*CONVOLVING, *TRANSPOSING, *NORMS)) else -1


def _width(module: nn.Module, inputs: Tensor) -> int:
    return inputs.shape[_channel_axis(module)]


class Watch:
    """Reads what enters layers, and keeps from them what differs."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.inputs: dict[tuple[str, int], tuple[nn.Module, Tensor]] = {}
        self.changed: dict[tuple[str, int], Tensor] = {}
        self.calls: dict[str, int] = {}

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        for path, module in self.model.named_modules():
            is_depthwise = isinstance(module, CONVOLVING) and module.groups == module.in_channels
            reads = isinstance(module, WEIGHTED) and not isinstance(module, nn.Embedding)
            if reads and not (is_depthwise and module.in_channels > 1):
                yield path, module

    def reading(self) -> ExitStack:
        return self._hook(self._read, [])

    def disturbing(self, units: Sequence[Unit]) -> ExitStack:
        return self._hook(self._keep_away, units)

    def _hook(self, act: Callable[..., Any], units: Sequence[Unit]) -> ExitStack:
        self.calls = {}
        stack = ExitStack()
        for path, module in self.layers():
            hook = module.register_forward_pre_hook(
                lambda module, args, path=path: act(path, module, args)
            )
            stack.callback(hook.remove)
        places: dict[str, list[tuple[int, int]]] = {}
        for row, unit in enumerate(units):
            for path, channel in unit.sources(self.model):
                places.setdefault(path, []).append((row, channel))
        for path, at in places.items():
            hook = self.model.get_submodule(path).register_forward_hook(
                lambda module, _, output, at=at: _disturb(module, output, at, len(units))
            )
            stack.callback(hook.remove)
        return stack

    def _call(self, path: str) -> tuple[str, int]:
        self.calls[path] = self.calls.get(path, 0) + 1
        return path, self.calls[path]

    def _read(self, path: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.inputs[self._call(path)] = (module, args[0].detach().clone())

    def _keep_away(self, path: str, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        call = self._call(path)
        without = self.inputs[call][1]
        rows = len(args[0]) // len(without)
        if not rows or len(args[0]) % len(without):
            return args
        without = without.repeat(rows, *[1] * (without.ndim - 1))
        differs = (args[0] - without).abs() > 1e-9 * without.abs().max()
        by_channel = differs.movedim(_channel_axis(module), 0)
        width = len(by_channel)
        self.changed[call] = by_channel.reshape(width, rows, -1).any(2).T
        return (without, *args[1:])


def _disturb(module: nn.Module, output: Any, at: list[tuple[int, int]], units: int) -> Any:
    if isinstance(output, tuple):  # of an LSTM
        return (_disturb(module, output[0], at, units), *output[1:])
    if len(output) % units:
        return output  # of something else than the inputs
    output = output.clone()
    by_row = output.reshape(units, -1, *output.shape[1:])  # windows of a row lie together
    for row, channel in at:
        part = by_row[row].select(_channel_axis(module) % output.ndim, channel)
        part += 3 * torch.randn_like(part)
    return by_row.reshape(output.shape)
