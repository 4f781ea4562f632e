"""Sums of products over an axis: dense layers and products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.folding import FOLDS, Fold, bias_of
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import KeepSets, keeps

WIDTH = "all heads of an attention have one width, which scales their products"


class Dense(NamedTuple):
    """A dense layer: its input, its weight, which axis of that counts outputs, and its bias."""

    source: Node
    weight: Node
    output_axis: int
    bias: Node | None


def dense_of(sets: KeepSets, node: Node) -> Dense | None:
    """A product as a dense layer, None where both factors vary."""
    args: Any = node.args
    if operation(node) == "linear":
        return Dense(args[0], args[1], 0, args[2] if len(args) > 2 else None)
    bias, source, weight = args[:3] if operation(node) == "addmm" else (None, *args[:2])
    is_plain = len(shape(weight)) == 2 and weight in sets.constants.values and not node.kwargs
    return Dense(source, weight, 1, bias) if is_plain else None


@varies("linear", "mm", "bmm", "matmul", "addmm", "baddbmm")
def varies_of_sums(call: Call) -> Masks:
    """A sum varies if one of its products does: a varying factor and one that is not 0."""
    name = operation(call.node)
    added, at = (0, 1) if name in ("addmm", "baddbmm") else (2, 0)
    first, second = call.args[at : at + 2]
    masks = call.masks[at : at + 2]
    if name == "linear":
        second, masks = second.T, (masks[0], masks[1].T)
    result = _products(masks[0], masks[1] | (second != 0)) | _products(
        masks[0] | (first != 0), masks[1]
    )
    if masks[0].any() and is_average(call.node.args[at]):
        is_same = (second == second[..., :1, :]).all(-2, keepdim=True)
        result = result & ~(is_same & ~masks[1].any(-2, keepdim=True)).expand(result.shape)
    if name in ("bmm", "matmul", "baddbmm"):  # a sum over places, of which there may be more
        result = result | (call.result != 0 if not is_average(call.node.args[at]) else False)
    has_more = len(call.masks) > added and isinstance(call.masks[added], Tensor)
    result = result | call.masks[added] if has_more else result
    return result.expand(call.result.shape).clone()


def _products(first: Tensor, second: Tensor) -> Tensor:
    if not (first.any() and second.any()):
        return torch.zeros((), dtype=torch.bool)
    return torch.matmul(first.float(), second.float()) > 0.5


def is_average(node: object) -> bool:
    """Whether the last axis of a tensor holds weights of an average, as softmax makes them."""
    passing = ("clone", "expand", "view", "reshape", "_to_copy", "alias", "contiguous")
    while isinstance(node, Node) and operation(node) in passing:
        source = node.args[0]
        if not isinstance(source, Node) or shape(source)[-1:] != shape(node)[-1:]:
            return False
        node = source
    is_softmax = isinstance(node, Node) and operation(node) in ("softmax", "_softmax")
    return is_softmax and int(node.args[1]) % len(shape(node)) == len(shape(node)) - 1  # type: ignore


@keeps("linear", "mm", "addmm")
def keep_dense(sets: KeepSets, node: Node) -> None:
    """An input is needed where a row that is kept has a weight for it that is not 0."""
    dense = dense_of(sets, node)
    if dense is None or dense.weight not in sets.constants.values:
        keep_product(sets, node)
        return
    for axis in range(len(shape(node)) - 1):
        sets.tie(node, axis, dense.source, axis)
    sets.tie(node, -1, dense.weight, dense.output_axis)
    sets.tie(dense.source, -1, dense.weight, 1 - dense.output_axis)
    if dense.bias is not None:
        if shape(dense.bias) == shape(node)[-1:]:
            sets.tie(node, -1, dense.bias, 0)
        else:
            sets.need_all(dense.bias, "it is added to a product")
    nonzero = _nonzero(sets, dense)
    used = nonzero[sets.kept(node, -1)].any(0)
    constant = sets.constants.along(dense.source, len(shape(dense.source)) - 1, len(used))
    need_inputs(sets, node, (dense.source, -1), used, constant, bias_of(sets, node, dense.bias))


def need_inputs(
    sets: KeepSets,
    node: Node,
    source: tuple[Node, int],
    used: np.ndarray,
    constant: Any,
    bias: str | None,
    obstacle: str = "has no bias that could take a constant",
) -> None:
    """Keep the inputs that are used, but for constants that the bias takes."""
    where = sets.graph.where(node)
    sets.need(*source, f"{where} uses it", used & ~constant.is_constant)
    if bias is None:
        sets.need(*source, f"{where} {obstacle}", used & constant.is_constant & ~constant.is_zero)


def _nonzero(sets: KeepSets, dense: Dense) -> np.ndarray:
    weight = sets.constants.values[dense.weight]
    nonzero: np.ndarray = (weight != 0).numpy()
    return nonzero if dense.output_axis == 0 else nonzero.T


def fold_dense(sets: KeepSets, node: Node) -> Iterator[Fold]:
    """The constants of inputs that go."""
    dense = dense_of(sets, node)
    if dense is None or dense.weight not in sets.constants.values:
        return
    size = shape(dense.source)[-1]
    constant = sets.constants.along(dense.source, len(shape(dense.source)) - 1, size)
    gone = ~sets.kept(dense.source, -1) & constant.is_constant & ~constant.is_zero
    name = bias_of(sets, node, dense.bias)
    if gone.any() and name is not None:
        weight = sets.constants.values[dense.weight].double().numpy()
        weight = weight if dense.output_axis == 0 else weight.T
        yield Fold(name, weight[:, gone] @ constant.value[gone], sets.kept(node, -1))


for _name in ("linear", "mm", "addmm"):
    FOLDS[_name] = fold_dense


@keeps("bmm", "matmul", "baddbmm")
def keep_product(sets: KeepSets, node: Node) -> None:
    """A product of two tensors needs the indices of the sum at which neither is 0."""
    args: Any = node.args
    if operation(node) in ("addmm", "baddbmm"):
        sets.need_all(args[0], "it is added to a product")
        args = args[1:]
    first, second = args[:2]
    if operation(node) == "linear" or min(len(shape(first)), len(shape(second))) < 2:
        for tensor in (node, *node.all_input_nodes):
            sets.need_all(tensor, f"{sets.graph.where(node)} is a product of its own kind")
        return
    for tensor, axis in ((first, -2), (second, -1)):
        sets.tie(node, axis, tensor, axis)
    for tensor in (first, second):
        for axis in range(3, len(shape(tensor)) + 1):
            if shape(tensor)[-axis] == shape(node)[-axis]:
                sets.tie(node, -axis, tensor, -axis)
            else:
                sets.need(node, -axis, "it is the same for all indices of an axis")
    sets.tie(first, -1, second, -2)
    if is_average(first):
        sets.need(second, -1, WIDTH)
    if _goes_into_softmax(node):
        sets.need(first, -1, WIDTH)
    size = shape(first)[-1]
    left = sets.constants.along(first, len(shape(first)) - 1, size)
    right = sets.constants.along(second, len(shape(second)) - 2, size)
    sets.need(first, -1, f"{sets.graph.where(node)} sums over it", ~left.is_zero & ~right.is_zero)


def _goes_into_softmax(node: Node, steps: int = 6) -> bool:
    """Whether a product is turned into weights of an average, soon after scaling and masking."""
    if operation(node) in ("softmax", "_softmax"):
        return True
    return steps > 0 and any(
        shape(user)[-1:] == shape(node)[-1:] and _goes_into_softmax(user, steps - 1)
        for user in node.users
    )


@varies("embedding")
def varies_of_rows(call: Call) -> Masks:
    """A column with one number in all rows does not vary."""
    weight, (_, indices) = call.args[0], call.masks[:2]
    is_same = (weight == weight[:1]).all(0)
    mask: Tensor = indices.unsqueeze(-1) & ~is_same
    return mask


@keeps("embedding")
def keep_embedding(sets: KeepSets, node: Node) -> None:
    weight, indices = node.args[:2]
    assert isinstance(weight, Node)
    assert isinstance(indices, Node)
    rank = len(shape(node))
    sets.tie(node, -1, weight, 1)
    sets.need(weight, 0, "any row may be looked up")
    sets.need_all(indices, "it is an index")
    sets.need_all(node, "it is indexed", beside=[rank - 1])
