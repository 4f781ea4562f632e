"""Attention as one operation, and gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.graph import shape
from shrinkage.compact.keeping import KeepSets, keeps
from shrinkage.compact.operations.products import WIDTH


@varies("scaled_dot_product_attention")
def varies_of_attention(call: Call) -> Masks:
    """The average of values that are all one number is that number."""
    value, mask = call.args[2], call.masks[2]
    if (len(call.args) > 4 and call.args[4]) or call.kwargs.get("dropout_p"):
        return torch.ones_like(call.result, dtype=torch.bool)
    is_same = (value == value[..., :1, :]).all(-2, keepdim=True) & ~mask.any(-2, keepdim=True)
    moves: Tensor = ~is_same
    if moves.ndim > 2 and moves.shape[-3] != call.result.shape[-3]:
        moves = moves.repeat_interleave(call.result.shape[-3] // moves.shape[-3], -3)
    return moves.expand(call.result.shape).clone()


@keeps("scaled_dot_product_attention")
def keep_attention(sets: KeepSets, node: Node) -> None:
    """Heads go whole, since a part of a head's width decides on the scale of its products."""
    query, key, value = node.args[:3]
    mask: Any = node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")
    assert isinstance(query, Node)
    assert isinstance(key, Node)
    assert isinstance(value, Node)
    why = f"{sets.graph.where(node)} sees all of it"
    for tensor in (query, key):
        sets.need(tensor, -1, why)
        sets.need(tensor, -2, why)
    sets.need(value, -2, why)
    sets.need(value, -1, WIDTH)
    sets.tie(node, -1, value, -1)
    sets.tie(node, -2, query, -2)
    for tensor in (query, key, value):
        for axis in range(3, len(shape(node)) + 1):
            _tie_heads(sets, node, tensor, -axis)
    if isinstance(mask, Node):
        for axis in range(1, len(shape(mask)) + 1):
            if axis > 2 and shape(mask)[-axis] == shape(node)[-axis]:
                sets.tie(node, -axis, mask, -axis)
            else:
                sets.need(mask, -axis, why)


def _tie_heads(sets: KeepSets, node: Node, tensor: Node, axis: int) -> None:
    """A head of keys and values stays while one of the heads of queries that share it does."""
    size, own = shape(node)[axis], shape(tensor)[axis]
    if size == own:
        sets.tie(node, axis, tensor, axis)
        return
    at = np.arange(size)
    sets.tie_at(node, axis, at, tensor, axis, at // (size // own))


@varies("glu")
def varies_of_gate(call: Call) -> Masks:
    """A value that is 0 stays 0 whatever its gate is."""
    axis = int(call.args[1]) if len(call.args) > 1 else -1
    value, _ = call.args[0].chunk(2, axis)
    first, second = call.masks[0].chunk(2, axis)
    mask: Tensor = (first | second) & ~(~first & (value == 0))
    return mask


@keeps("glu")
def keep_gate(sets: KeepSets, node: Node) -> None:
    source: Any = node.args[0]
    rank = len(shape(node))
    axis = int(node.args[1] if len(node.args) > 1 else -1) % rank  # type: ignore[arg-type]
    at = np.arange(shape(node)[axis])
    for start in (0, len(at)):
        sets.tie_at(node, axis, at, source, axis, start + at)
    for other in set(range(rank)) - {axis}:
        sets.tie(node, other, source, other)
