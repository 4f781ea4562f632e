"""Operations that take parts of an axis, or put axes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import EQUAL, Family, KeepSets, keeps
from shrinkage.compact.operations.shapes import SPLITS, source_of


@keeps(*SPLITS)
def keep_split(sets: KeepSets, node: Node) -> None:
    """Parts of an axis keep what the axis keeps there."""
    source = source_of(node)
    rank = len(shape(source))
    for part, axis, at in _parts(node):
        if operation(node) in ("select", "unbind"):
            sets.need(
                source,
                axis,
                f"{sets.graph.where(node)} takes it by its number",
                _at(source, axis, at),
            )
            rest = [a for a in range(rank) if a != axis]
            for new, old in enumerate(rest):
                sets.tie(part, new, source, old)
            continue
        for other in range(rank):
            if other != axis:
                sets.tie(part, other, source, other)
        sets.tie_at(part, axis, np.arange(len(at)), source, axis, at)


def _equal_parts(sets: KeepSets, node: Node) -> Iterable[Family]:
    """An axis that is cut into parts of one size is cut so again."""
    axis = _arguments(node)["dim"]
    sizes = [value.shape[axis] for value in node.meta["val"]]
    if len(set(sizes)) == 1 and len(sizes) > 1:
        yield [((source_of(node), axis), np.arange(sum(sizes)).reshape(len(sizes), -1))]


for _name in ("split", "chunk", "split_with_sizes"):
    EQUAL[_name] = _equal_parts


def _parts(node: Node) -> Iterator[tuple[Node, int, np.ndarray]]:
    """Each part that is used, the axis and the positions it has there."""
    source = source_of(node)
    name, sizes = operation(node), shape(source)
    arguments = _arguments(node)
    axis = arguments["dim"]
    positions = np.arange(sizes[axis])
    if name == "slice":
        end = min(int(arguments.get("end") or 2**62), 2**62) if arguments.get("end") != 0 else 0
        step = int(arguments.get("step") or 1)
        yield node, axis, positions[arguments.get("start") : end : step]
    elif name == "select":
        yield node, axis, positions[[int(arguments["index"])]]
    else:
        start = 0
        values = node.meta["val"]
        for number, value in enumerate(values):
            length = 1 if name == "unbind" else value.shape[axis]
            for part in node.users:
                if part.args[1] == number:
                    yield part, axis, positions[start : start + length]
            start += length


def _arguments(node: Node) -> dict[str, Any]:
    """The arguments of an operation that takes parts, by name."""
    given = dict(zip(_ARGUMENTS[operation(node)], node.args[1:], strict=False)) | dict(node.kwargs)
    return {**given, "dim": int(given.get("dim", 0)) % len(shape(source_of(node)))}  # type: ignore


_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "slice": ("dim", "start", "end", "step"),
    "select": ("dim", "index"),
    "unbind": ("dim",),
    "split": ("sizes", "dim"),
    "split_with_sizes": ("sizes", "dim"),
    "chunk": ("chunks", "dim"),
    "tensor_split": ("sections", "dim"),
}


@keeps("cat")
def keep_concatenated(sets: KeepSets, node: Node) -> None:
    tensors = list(node.args[0])  # type: ignore[arg-type]
    axis = int(node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)) % len(shape(node))  # type: ignore[arg-type]
    start = 0
    for tensor in tensors:
        for other in range(len(shape(tensor))):
            if other != axis:
                sets.tie(node, other, tensor, other)
        at = np.arange(shape(tensor)[axis])
        sets.tie_at(tensor, axis, at, node, axis, start + at)
        start += len(at)


@keeps("stack")
def keep_stacked(sets: KeepSets, node: Node) -> None:
    rank = len(shape(node))
    axis = int(node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)) % rank  # type: ignore[arg-type]
    sets.need(node, axis, "it is stacked")
    for tensor in node.all_input_nodes:
        for old, new in enumerate(a for a in range(rank) if a != axis):
            sets.tie(node, new, tensor, old)


@varies("index", "index_select", "gather")
def varies_where_taken(call: Call) -> Masks:
    """Indices that do not vary take the masks of what they point to."""
    indices = [part for part in call.masks[1:] if not isinstance(part, int)]
    if any(mask.any() for mask in _tensors(indices)):
        return torch.ones_like(call.result, dtype=torch.bool)
    taken: Masks = call.run(call.masks[0], *call.args[1:])
    return taken


@keeps("index")
def keep_indexed(sets: KeepSets, node: Node) -> None:
    """Leading axes that are indexed keep everything, the axes behind them what is asked for."""
    source = source_of(node)
    indices: Any = node.args[1]
    for index in _nodes(indices):
        sets.need_all(index, "it is an index")
    if any(index is None for index in indices):
        sets.need_all(node, f"{sets.graph.where(node)} indexes inner axes")
        sets.need_all(source, f"{sets.graph.where(node)} indexes inner axes")
        return
    behind = len(shape(source)) - len(indices)
    for axis in range(1, behind + 1):
        sets.tie(node, -axis, source, -axis)
    sets.need_all(node, "it is indexed", beside=range(len(shape(node)) - behind, len(shape(node))))
    sets.need_all(source, "it is indexed", beside=range(len(indices), len(shape(source))))


@keeps("index_select")
def keep_selected(sets: KeepSets, node: Node) -> None:
    source, rank = source_of(node), len(shape(node))
    axis = int(node.args[1]) % rank  # type: ignore[arg-type]
    for other in set(range(rank)) - {axis}:
        sets.tie(node, other, source, other)
    sets.need(node, axis, "it is indexed")
    sets.need(source, axis, "it is indexed")


def _at(node: Node, axis: int, positions: np.ndarray) -> np.ndarray:
    return np.isin(np.arange(shape(node)[axis]), positions)


def _nodes(nested: Any) -> Iterator[Node]:
    return (part for part in nested if isinstance(part, Node))


def _tensors(nested: Any) -> Iterator[Tensor]:
    for part in nested:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, list | tuple):
            yield from _tensors(part)
