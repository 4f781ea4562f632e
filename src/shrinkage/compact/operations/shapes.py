"""Operations that put the same entries elsewhere."""

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

VIEWS = ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")
SPLITS = ("split", "split_with_sizes", "chunk", "slice", "select", "unbind", "tensor_split")


@varies(
    *VIEWS,
    *SPLITS,
    *("permute", "transpose", "t", "numpy_T", "movedim", "swapaxes", "expand", "repeat", "cat"),
    *("stack", "flip", "roll", "pixel_shuffle", "pixel_unshuffle"),
    *("reflection_pad1d", "reflection_pad2d", "replication_pad2d", "unfold", "diagonal", "tile"),
)
def varies_likewise(call: Call) -> Masks:
    """The masks go where the entries go."""
    moved: Masks = call.run(*call.masks, **call.mask_kwargs)
    return moved


@varies("constant_pad_nd")
def varies_inside(call: Call) -> Masks:
    """What is padded does not vary."""
    padded: Masks = call.run(call.masks[0], call.args[1], False)
    return padded


@varies("index", "index_select", "gather")
def varies_where_taken(call: Call) -> Masks:
    """Indices that do not vary take the masks of what they point to."""
    indices = [part for part in call.masks[1:] if not isinstance(part, int)]
    if any(mask.any() for mask in _tensors(indices)):
        return torch.ones_like(call.result, dtype=torch.bool)
    taken: Masks = call.run(call.masks[0], *call.args[1:])
    return taken


@keeps("permute", "transpose", "t")
def keep_permuted(sets: KeepSets, node: Node) -> None:
    source, rank = _source(node), len(shape(node))
    order = list(range(rank))
    if operation(node) == "permute":
        order = [int(axis) % rank for axis in node.args[1]]  # type: ignore[union-attr, arg-type]
    else:
        one, two = node.args[1:3] if operation(node) == "transpose" else (0, rank - 1)
        order[one], order[two] = order[two], order[one]  # type: ignore[index]
    for axis, from_axis in enumerate(order):
        sets.tie(node, axis, source, from_axis)


@keeps(*VIEWS)
def keep_viewed(sets: KeepSets, node: Node) -> None:
    """Axes that are merged or split: what stays is a grid."""
    source = _source(node)
    if not node.meta["val"].numel():
        sets.need_all(node, "it is empty")
        sets.need_all(source, "it is empty")
        return
    for before, after in match_axes(shape(source), shape(node)):
        if len(before) == len(after) == 1:
            sets.tie(source, before[0], node, after[0])
        elif not (before and after):  # an axis of length 1
            for tensor, axes in ((source, before), (node, after)):
                for axis in axes:
                    sets.need(tensor, axis, "it is the only one")
        else:
            sets.tie_product([(source, a) for a in before], [(node, a) for a in after])


def match_axes(
    before: tuple[int, ...], after: tuple[int, ...]
) -> Iterator[tuple[list[int], list[int]]]:
    """Which axes of a tensor become which axes when it is viewed in another shape.

    Groups of axes with the same number of entries; axes of length 1 belong to any.

    >>> list(match_axes((2, 12, 5), (2, 3, 4, 5)))
    [([0], [0]), ([1], [1, 2]), ([2], [3])]
    """
    first = second = 0
    while first < len(before) or second < len(after):
        ins, outs = [first] if first < len(before) else [], [second] if second < len(after) else []
        first, second = first + len(ins), second + len(outs)
        size_in = before[ins[0]] if ins else 1
        size_out = after[outs[0]] if outs else 1
        while size_in != size_out:
            if size_in < size_out:
                ins.append(first)
                size_in *= before[first]
                first += 1
            else:
                outs.append(second)
                size_out *= after[second]
                second += 1
        yield ins, outs


@keeps("expand")
def keep_expanded(sets: KeepSets, node: Node) -> None:
    source = _source(node)
    new = len(shape(node)) - len(shape(source))
    for axis, size in enumerate(shape(node)):
        if axis >= new and shape(source)[axis - new] == size:
            sets.tie(node, axis, source, axis - new)
        else:
            sets.need(node, axis, "it is the same for all indices of an axis")
            if axis >= new:
                sets.need(source, axis - new, "it is the same for all indices of an axis")


@keeps("repeat", "tile")
def keep_repeated(sets: KeepSets, node: Node) -> None:
    source = _source(node)
    new = len(shape(node)) - len(shape(source))
    for axis, size in enumerate(shape(node)):
        if axis < new:
            sets.need(node, axis, "it is the same for all indices of an axis")
            continue
        length = shape(source)[axis - new]
        for start in range(0, size, length):
            at = np.arange(length)
            sets.tie_at(source, axis - new, at, node, axis, start + at)


@keeps(*SPLITS)
def keep_split(sets: KeepSets, node: Node) -> None:
    """Parts of an axis keep what the axis keeps there."""
    source = _source(node)
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
        starts = np.arange(0, sum(sizes), sizes[0])
        yield [((_source(node), axis), start + np.arange(sizes[0])) for start in starts]


for _name in ("split", "chunk", "split_with_sizes"):
    EQUAL[_name] = _equal_parts


def _parts(node: Node) -> Iterator[tuple[Node, int, np.ndarray]]:
    """Each part that is used, the axis and the positions it has there."""
    source = _source(node)
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
    return {**given, "dim": int(given.get("dim", 0)) % len(shape(_source(node)))}  # type: ignore


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


@keeps("flip", "roll")
def keep_turned(sets: KeepSets, node: Node) -> None:
    """Axes along which the entries move keep everything."""
    source, rank = _source(node), len(shape(node))
    axes = node.args[-1] if operation(node) == "flip" or len(node.args) > 2 else range(rank)
    moved = {int(axis) % rank for axis in axes}  # type: ignore[union-attr, arg-type]
    for axis in range(rank):
        sets.tie(node, axis, source, axis)
        if axis in moved:
            sets.need(node, axis, f"{sets.graph.where(node)} moves along it")


@varies("pad")
def varies_where_padded(call: Call) -> Masks:
    padded: Tensor = call.run(call.masks[0].float(), *call.args[1:3])
    return padded > 0


@keeps("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad2d")
def keep_padded(sets: KeepSets, node: Node) -> None:
    """Axes that become longer keep everything."""
    source = _source(node)
    for axis, (before, after) in enumerate(zip(shape(source), shape(node), strict=True)):
        if before == after:
            sets.tie(node, axis, source, axis)
        else:
            sets.need(node, axis, "it is padded")
            sets.need(source, axis, "it is padded")


@keeps("pixel_shuffle")
def keep_shuffled(sets: KeepSets, node: Node) -> None:
    """Channel c of the result is made of r² channels in a row."""
    source = _source(node)
    for axis in (-1, -2):
        sets.need(node, axis, "it is a place in an image")
        sets.need(source, axis, "it is a place in an image")
    channels = shape(node)[-3]
    factor = shape(source)[-3] // channels
    for offset in range(factor):
        at = np.arange(channels)
        sets.tie_at(node, -3, at, source, -3, at * factor + offset)
    for axis in range(len(shape(node)) - 3):
        sets.tie(node, axis, source, axis)


@keeps("index")
def keep_indexed(sets: KeepSets, node: Node) -> None:
    """Leading axes that are indexed keep everything, the axes behind them what is asked for."""
    source = _source(node)
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
    source, rank = _source(node), len(shape(node))
    axis = int(node.args[1]) % rank  # type: ignore[arg-type]
    for other in set(range(rank)) - {axis}:
        sets.tie(node, other, source, other)
    sets.need(node, axis, "it is indexed")
    sets.need(source, axis, "it is indexed")


def _source(node: Node) -> Node:
    """The tensor that an operation is called on."""
    source = node.args[0]
    assert isinstance(source, Node)
    return source


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
