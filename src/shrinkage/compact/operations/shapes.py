"""Operations that put the same entries elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import KeepSets, keeps

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


@keeps("permute", "transpose", "t")
def keep_permuted(sets: KeepSets, node: Node) -> None:
    source, rank = source_of(node), len(shape(node))
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
    source = source_of(node)
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
    source = source_of(node)
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
    source = source_of(node)
    new = len(shape(node)) - len(shape(source))
    for axis, size in enumerate(shape(node)):
        if axis < new:
            sets.need(node, axis, "it is the same for all indices of an axis")
            continue
        length = shape(source)[axis - new]
        for start in range(0, size, length):
            at = np.arange(length)
            sets.tie_at(source, axis - new, at, node, axis, start + at)


@keeps("flip", "roll")
def keep_turned(sets: KeepSets, node: Node) -> None:
    """Axes along which the entries move keep everything."""
    source, rank = source_of(node), len(shape(node))
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
    source = source_of(node)
    for axis, (before, after) in enumerate(zip(shape(source), shape(node), strict=True)):
        if before == after:
            sets.tie(node, axis, source, axis)
        else:
            sets.need(node, axis, "it is padded")
            sets.need(source, axis, "it is padded")


@keeps("pixel_shuffle")
def keep_shuffled(sets: KeepSets, node: Node) -> None:
    """Channel c of the result is made of r² channels in a row."""
    source = source_of(node)
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


def source_of(node: Node) -> Node:
    """The tensor that an operation is called on."""
    source = node.args[0]
    assert isinstance(source, Node)
    return source
