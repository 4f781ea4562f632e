"""Which indices of each axis of each tensor have to stay: the least sets that satisfy all rules.

Every axis of every tensor of the graph, parameters included, has a set of indices to keep. An
operation relates the sets of its tensors; the sets only grow, until no rule adds anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import nn
from torch.fx import Node

from shrinkage.compact.constants import Constants
from shrinkage.compact.graph import Graph, find_rule, operation, shape

Axis = tuple[Node, int]
IntArray = np.ndarray
Family = Sequence[tuple[Axis, np.ndarray]]  # positions (parts, size): each part keeps as many


@dataclass
class KeepSets:
    """The sets, each as an array of reasons: 0 where an index may go, else why it stays.

    Attributes
    ----------
    graph, constants, model
        What the rules look at.
    reasons : dict of (Node, axis) to int array
        Numbers of `causes`.
    causes : dict of str to int
        Sentences and their numbers.
    """

    graph: Graph
    constants: Constants
    model: nn.Module
    reasons: dict[Axis, IntArray] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=lambda: {"": 0})
    spaces: dict[Axis, Axis] = field(default_factory=dict)
    changed: set[Node] = field(default_factory=set)

    def __getitem__(self, axis: Axis) -> IntArray:
        if axis not in self.reasons:
            node, number = axis
            self.reasons[axis] = np.zeros(shape(node)[number], dtype=np.int32)
        return self.reasons[axis]

    def kept(self, node: Node, axis: int) -> np.ndarray:
        """Which indices stay, as booleans."""
        return self[node, axis % len(shape(node))] > 0

    def need(self, node: Node, axis: int, why: str, which: np.ndarray | None = None) -> None:
        """Keep the indices of a boolean array, or all of them."""
        place = (node, axis % len(shape(node)))
        number = self.causes.setdefault(why, len(self.causes))
        wanted = np.ones(shape(node)[axis], dtype=bool) if which is None else which
        self._grow(place, np.where(wanted, number, 0))

    def need_all(self, node: Node, why: str, *, beside: Iterable[int] = ()) -> None:
        """Keep every index of every axis, but for the axes `beside`."""
        for axis in set(range(len(shape(node)))) - set(beside):
            self.need(node, axis, why)

    def tie(self, first: Node, axis: int, second: Node, other: int) -> None:
        """Keep the same indices along two axes of one length."""
        one, two = (first, axis % len(shape(first))), (second, other % len(shape(second)))
        self._grow(one, self[two])
        self._grow(two, self[one])
        self.join(one, two)

    def tie_at(
        self, first: Node, axis: int, at: np.ndarray, second: Node, other: int, there: np.ndarray
    ) -> None:
        """Keep position ``at[i]`` of one axis where position ``there[i]`` of another is kept."""
        one, two = (first, axis % len(shape(first))), (second, other % len(shape(second)))
        for (source, taken), (target, put) in (
            ((one, at), (two, there)),
            ((two, there), (one, at)),
        ):
            reasons = np.zeros_like(self[target])
            np.maximum.at(reasons, put, self[source][taken])
            self._grow(target, reasons)
        self.join(one, two)

    def tie_product(self, parts: Sequence[Axis], whole: Sequence[Axis]) -> None:
        """Keep what two ways to split the same entries into axes can both keep.

        What stays has to be a grid along the axes of each side.
        """
        for source, target in ((parts, whole), (whole, parts)):
            grid = self._grid(source)
            sizes = [len(self[axis]) for axis in target]
            for number, axis in enumerate(target):
                others = tuple(other for other in range(len(sizes)) if other != number)
                self._grow(axis, grid.reshape(sizes).max(axis=others))
        for axis in (*parts, *whole):
            self.join(axis, parts[0])

    def join(self, one: Axis, two: Axis) -> None:
        """Note that two axes belong to one space: what is kept in one decides on the other."""
        self.spaces[self.space(one)] = self.space(two)

    def space(self, axis: Axis) -> Axis:
        """The axis that stands for all axes of a space."""
        while (above := self.spaces.get(axis, axis)) != axis:
            self.spaces[axis] = self.spaces.get(above, above)
            axis = above
        return axis

    def _grid(self, axes: Sequence[Axis]) -> IntArray:
        grid = np.ones((), dtype=np.int32)
        for axis in axes:
            reasons = self[axis]
            both = np.maximum(grid[..., None], reasons)
            grid = np.where((grid[..., None] > 0) & (reasons > 0), both, 0)
        return grid

    def _grow(self, axis: Axis, reasons: IntArray) -> None:
        have = self[axis]
        new = (have == 0) & (reasons != 0)
        if new.any():
            have[new] = reasons[new]
            self.changed.add(axis[0])


Rule = Callable[[KeepSets, Node], None]
KEEPS: dict[str, Rule] = {}
DEMANDING: set[str] = set()
EQUAL: dict[str, Callable[[KeepSets, Node], Iterable[Family]]] = {}


def keeps(*operations: str, demands: bool = False) -> Callable[[Rule], Rule]:
    """Register how some operations relate the sets of their tensors.

    Rules of operations that demand something for reasons of their own go first, so that theirs is
    the reason that is told.
    """

    def register(rule: Rule) -> Rule:
        KEEPS.update(dict.fromkeys(operations, rule))
        DEMANDING.update(operations if demands else ())
        return rule

    return register


def find_keep_sets(graph: Graph, constants: Constants, model: nn.Module) -> KeepSets:
    """The least sets with which the outputs are the same."""
    sets = KeepSets(graph, constants, model)
    for node in graph.outputs:
        sets.need_all(node, "it is an output of the model")
    for node in graph.inputs:
        sets.need_all(node, "it is an input of the model")
    for node in graph.tensors:
        if node not in graph.names:
            sets.need_all(node, "it is part of a tensor that the model makes anew")
    for node in graph.nodes:
        rule = find_rule(KEEPS, node)
        if operation(node) in DEMANDING or rule is None:
            (rule or keep_everything)(sets, node)
    sets.changed.update(graph.nodes)
    return _complete(sets)


def keep_more(sets: KeepSets, frozen: Iterable[tuple[str, int]]) -> KeepSets:
    """The least sets that hold others and all of some axes: names of parameters, with an axis."""
    reasons = {axis: numbers.copy() for axis, numbers in sets.reasons.items()}
    more = replace(sets, reasons=reasons, causes=dict(sets.causes), spaces=dict(sets.spaces))
    named = {name: node for node, name in sets.graph.names.items()}
    for name, axis in frozen:
        more.need(named[name], axis, "without it the outputs differ, or the model does not run")
    return _complete(more)


def _complete(sets: KeepSets) -> KeepSets:
    """Let the sets grow until all rules hold."""
    _settle(sets)
    while _equalize(sets) or _fill_empty(sets):
        _settle(sets)
    return sets


def _settle(sets: KeepSets) -> None:
    """Apply the rules until nothing changes."""
    order = {node: number for number, node in enumerate(sets.graph.nodes)}
    queue: deque[Node] = deque()
    waiting: set[Node] = set()
    while queue or sets.changed:
        touched = {t for node in sets.changed for t in (node, *node.users, *node.all_input_nodes)}
        for each in sorted(touched & order.keys(), key=order.__getitem__, reverse=True):
            if each not in waiting:
                waiting.add(each)
                queue.append(each)
        sets.changed.clear()
        if queue:
            node = queue.popleft()
            waiting.discard(node)
            (find_rule(KEEPS, node) or keep_everything)(sets, node)


def keep_everything(sets: KeepSets, node: Node) -> None:
    """The rule of an operation that is not known."""
    why = f"{sets.graph.where(node)} is not known to the analysis"
    results = node.users if isinstance(node.meta.get("val"), list | tuple) else (node,)
    for tensor in (*results, *node.all_input_nodes):
        sets.need_all(tensor, why)


def _equalize(sets: KeepSets) -> bool:
    """Give the parts that have to be of one size as many indices as the largest has, at least one.

    Constants come first, since they need no inputs.
    """
    for node in sets.graph.nodes:
        families = EQUAL.get(operation(node))
        for family in families(sets, node) if families else ():
            most = max(1, *(int((sets[axis][at] > 0).sum(1).max()) for axis, at in family))
            for (tensor, axis), at in family:
                kept = sets.kept(tensor, axis)
                constant = sets.constants.along(tensor, axis, len(kept)).is_constant
                rank = np.where(kept, 2, np.where(constant, 0, 1))[at]
                best = np.take_along_axis(at, rank.argsort(1, kind="stable"), 1)
                spare = best[np.arange(at.shape[1]) < most - kept[at].sum(1, keepdims=True)]
                if len(spare):
                    why = f"{sets.graph.where(node)} needs parts of one size"
                    sets.need(tensor, axis, why, np.isin(np.arange(len(kept)), spare))
    return bool(sets.changed)


def _fill_empty(sets: KeepSets) -> bool:
    """Keep one index of an axis that would be empty: a constant one, which needs no inputs."""
    for (node, axis), reasons in list(sets.reasons.items()):
        if len(reasons) and not reasons.any():
            constant = sets.constants.along(node, axis, len(reasons)).is_constant
            first = np.arange(len(reasons)) == int(np.argmax(constant))
            sets.need(node, axis, "a layer keeps at least one unit", first)
            break
    return bool(sets.changed)
