"""Operations that mix entries along some axes: pooling, means, softmax, normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import KeepSets, keeps

AVERAGES = ("avg_pool1d", "avg_pool2d", "avg_pool3d")
POOLS = (
    *(*AVERAGES, "max_pool1d", "max_pool2d", "max_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "_adaptive_avg_pool2d"),
    *("max_pool2d_with_indices", "upsample_nearest2d", "upsample_bilinear2d", "upsample_nearest1d"),
    *("upsample_bicubic2d",),
)
REDUCTIONS = ("mean", "sum", "amax", "amin", "var", "std", "linalg_vector_norm", "prod", "any")
ALONG = ("softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum", "sort", "topk")


@varies(*(name for name in POOLS if name not in (*AVERAGES, "upsample_bicubic2d")), "mean")
def varies_where_seen(call: Call) -> Masks:
    """The same operation on the mask as numbers: what sees an entry that varies is above 0."""
    result = call.run(call.masks[0].to(torch.float32), *call.args[1:], **call.kwargs)
    if isinstance(result, Tensor):
        return result > 0
    return tuple(result[0] > 0 for _ in result)


@varies(*AVERAGES)
def varies_of_average(call: Call) -> Masks:
    """Where the zeros around an image count, an average of constants depends on the image's size.

    In one of 1x1 every entry has the same share of them, as in a padded convolution.
    """
    padding = call.args[3] if len(call.args) > 3 else 0
    counts_padding = np.any(padding) and (len(call.args) < 6 or call.args[5])
    reaching = call.masks[0] | (call.args[0] != 0) if counts_padding else call.masks[0]
    mask: Tensor = call.run(reaching.float(), *call.args[1:], **call.kwargs) > 0
    return mask


@varies("sum")
def varies_unless_0(call: Call) -> Masks:
    """A sum depends on how many there are: of places, which other inputs may have more of."""
    mask: Tensor = (call.run(call.masks[0].float(), *call.args[1:]) > 0) | (call.result != 0)
    return mask


@varies("softmax", "_softmax", "log_softmax", "_log_softmax")
def varies_along(call: Call) -> Masks:
    """One entry that varies lets all entries along the axis vary."""
    mask: Tensor = call.masks[0]
    return mask.any(int(call.args[1]), keepdim=True).expand(mask.shape).clone()


@varies("amax", "amin", "var")
def varies_of_reduced(call: Call) -> Masks:
    node = call.node
    axes = sorted(reduced_axes(node), reverse=True)
    mask: Tensor = call.masks[0]
    for axis in axes:
        mask = mask.any(axis, keepdim=True)
    reduced: Tensor = mask.reshape(call.result.shape)
    return reduced


@varies("batch_norm", "_native_batch_norm_legit_no_training")
def varies_of_batch_norm(call: Call) -> Masks:
    """A channel whose weight is 0 is its bias."""
    mask: Tensor = call.masks[0]
    weight = call.args[1]
    if weight is not None:
        mask = mask & (weight != 0).reshape(1, -1, *[1] * (mask.ndim - 2))
    if isinstance(call.result, Tensor):
        return mask
    return (mask, *(torch.zeros_like(part, dtype=torch.bool) for part in call.result[1:]))


@varies("layer_norm", "native_layer_norm", "rms_norm")
def varies_of_layer_norm(call: Call) -> Masks:
    mask: Tensor = call.masks[0]
    for axis in range(1, len(call.args[1]) + 1):
        mask = mask.any(-axis, keepdim=True)
    mask = mask.expand(call.args[0].shape).clone()
    if len(call.args) > 2 and call.args[2] is not None:
        mask = mask & (call.args[2] != 0)
    return mask if isinstance(call.result, Tensor) else tuple(mask for _ in call.result)


@varies("group_norm", "native_group_norm")
def varies_of_group_norm(call: Call) -> Masks:
    mask: Tensor = call.masks[0]
    groups = group_count(call.node)
    split = mask.reshape(mask.shape[0], groups, -1)
    mixed = split.any(-1, keepdim=True).expand(split.shape).reshape(mask.shape)
    weight = call.args[2] if operation(call.node) == "group_norm" and len(call.args) > 2 else None
    if weight is not None:
        mixed = mixed & (weight != 0).reshape(1, -1, *[1] * (mask.ndim - 2))
    return mixed if isinstance(call.result, Tensor) else tuple(mixed for _ in call.result)


def group_count(node: Node) -> int:
    """How many groups a group normalization has."""
    return int(node.args[1 if operation(node) == "group_norm" else 6])  # type: ignore[arg-type]


def reduced_axes(node: Node) -> set[int]:
    """The axes over which a reduction goes: all where it names none."""
    source: Any = node.args[0]
    rank = len(shape(source))
    number = 2 if operation(node) == "linalg_vector_norm" else 1
    axes: Any = node.args[number] if len(node.args) > number else node.kwargs.get("dim")
    if axes is None or axes == [] or isinstance(axes, bool):  # that is var(unbiased)
        return set(range(rank))
    return {int(axis) % rank for axis in (axes if isinstance(axes, list | tuple) else [axes])}


@keeps(*REDUCTIONS, demands=True)
def keep_reduced(sets: KeepSets, node: Node) -> None:
    """Axes that are reduced keep everything."""
    source: Any = node.args[0]
    reduced = reduced_axes(node)
    rest = [axis for axis in range(len(shape(source))) if axis not in reduced]
    has_all = len(shape(node)) == len(shape(source))
    for axis in reduced:
        which = None
        if operation(node) == "sum":
            which = ~sets.constants.along(source, axis, shape(source)[axis]).is_zero
        sets.need(source, axis, f"{sets.graph.where(node)} sees all of it", which)
        if has_all:
            sets.need(node, axis, "it is the only one")
    for new, old in enumerate(rest):
        sets.tie(node, old if has_all else new, source, old)


@keeps(*ALONG)
def keep_along(sets: KeepSets, node: Node) -> None:
    """Entries along an axis mix; `topk` leaves fewer of them."""
    source: Any = node.args[0]
    number = 2 if operation(node) == "topk" else 1
    axis: Any = node.args[number] if len(node.args) > number else node.kwargs.get("dim", -1)
    axis %= len(shape(source))
    sets.need(source, axis, f"{sets.graph.where(node)} sees all of it")
    for part in results(node):
        sets.need(part, axis, f"{sets.graph.where(node)} sees all of it")
        for each in set(range(len(shape(source)))) - {axis}:
            sets.tie(part, each, source, each)


@keeps(*POOLS)
def keep_pooled(sets: KeepSets, node: Node) -> None:
    """Places in an image stay, and channels are treated alike."""
    source: Any = node.args[0]
    spatial = int(operation(node).replace("_with_indices", "").rstrip("d")[-1])
    for part in results(node):
        first = len(shape(part)) - spatial
        for axis in range(first):
            sets.tie(part, axis, source, axis)
        for axis in range(first, first + spatial):
            sets.need(part, axis, "it is a place in an image")
            sets.need(source, axis, "it is a place in an image")


@keeps("batch_norm", "_native_batch_norm_legit_no_training")
def keep_batch_norm(sets: KeepSets, node: Node) -> None:
    source: Any = node.args[0]
    for part in results(node):
        if shape(part) != shape(source):
            sets.need_all(part, "it is a statistic")
            continue
        for axis in range(len(shape(source))):
            sets.tie(part, axis, source, axis)
        for vector in node.args[1:5]:
            if isinstance(vector, Node):
                sets.tie(part, 1, vector, 0)


@keeps("_native_batch_norm_legit", demands=True)
def keep_standardized(sets: KeepSets, node: Node) -> None:
    """A BatchNorm with the statistics of what it gets, as weights are standardized."""
    source: Any = node.args[0]
    for part in results(node):
        if shape(part) != shape(source):
            sets.need_all(part, "it is a statistic")
            continue
        sets.tie(part, 1, source, 1)
        for axis in (0, *range(2, len(shape(source)))):
            for tensor in (part, source):
                sets.need(tensor, axis, f"{sets.graph.where(node)} sees all of it")
    for vector in node.all_input_nodes:
        if vector is not source:
            sets.tie(source, 1, vector, 0)


@keeps("layer_norm", "native_layer_norm", "rms_norm", demands=True)
def keep_layer_norm(sets: KeepSets, node: Node) -> None:
    """The statistics are of all channels: the width stays."""
    source: Any = node.args[0]
    normalized: Any = node.args[1]
    rank = len(shape(source))
    why = f"{sets.graph.where(node)} takes the mean and variance of all channels"
    for tensor in (n for n in node.all_input_nodes if n is not source):
        sets.need_all(tensor, why)
    for part in results(node):
        if shape(part) != shape(source):
            sets.need_all(part, why)
            continue
        for axis in range(rank):
            sets.tie(part, axis, source, axis)
    for axis in range(rank - len(normalized), rank):
        sets.need(source, axis, why)


@keeps("group_norm", "native_group_norm")
def keep_group_norm(sets: KeepSets, node: Node) -> None:
    """Groups stay whole, since their statistics are of all their channels."""
    source: Any = node.args[0]
    vectors = node.args[2:4] if operation(node) == "group_norm" else node.args[1:3]
    channels, groups = shape(source)[1], group_count(node)
    for part in results(node):
        if shape(part) != shape(source):
            sets.need_all(part, "it is a statistic")
            continue
        for axis in range(len(shape(source))):
            sets.tie(part, axis, source, axis)
        for vector in vectors:
            if isinstance(vector, Node):
                sets.tie(part, 1, vector, 0)
    whole = np.repeat(sets.kept(source, 1).reshape(groups, -1).any(1), channels // groups)
    sets.need(source, 1, f"{sets.graph.where(node)} takes the mean and variance of a group", whole)
    for axis in range(2, len(shape(source))):
        sets.need(source, axis, "it is a place in an image")


def results(node: Node) -> list[Node]:
    """The tensors that an operation makes, of a tuple those that are used."""
    return list(node.users) if isinstance(node.meta.get("val"), list | tuple) else [node]
