"""Operations that treat every entry alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import VARIES, Call, Masks, varies
from shrinkage.compact.graph import Graph, find_rule, operation, shape
from shrinkage.compact.keeping import KEEPS, KeepSets, keeps

POINTWISE = (  # which torch does not tag so
    "hardswish",
    "_to_copy",
    "contiguous",
    "alias",
    "detach",
    "clone",
    "lift_fresh_copy",
    "type_as",
    "masked_fill",
    "log_sigmoid",
    "softplus",
    "threshold",
    "dropout",  # of evaluation mode; another one is decomposed
    *("aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar"),
)
FILLED = ("zeros", "ones", "full", "empty", "new_zeros", "zeros_like", "ones_like", "full_like")


def register_pointwise(graph: Graph) -> None:
    """Give the rules of this file to the overloads in a graph that torch tags as pointwise."""
    for node in filter(is_pointwise, graph.nodes):
        VARIES.setdefault(str(node.target), varies_anywhere)
        KEEPS.setdefault(str(node.target), keep_alike)


def is_pointwise(node: Node) -> bool:
    """Whether torch says so, and that nothing is drawn at random."""
    tags = getattr(node.target, "tags", ())
    return torch.Tag.pointwise in tags and torch.Tag.nondeterministic_seeded not in tags


def is_known(node: Node) -> bool:
    """Whether the rules are right for an operation as `torch.export` writes it.

    Else it is decomposed: one that writes to its inputs, or draws at random, or whose rule is for
    the operations that it consists of.
    """
    name = operation(node)
    if node.op != "call_function" or name.endswith("_") or "out" in node.kwargs:
        return False
    if name in ("batch_norm", "dropout"):
        is_training = node.args[5 if name == "batch_norm" else 2]
        return not is_training
    if name == "split" and not isinstance(node.args[1], int):
        return False
    return name != "tensor_split" and (find_rule(KEEPS, node) is not None or is_pointwise(node))


@varies(*POINTWISE)
def varies_anywhere(call: Call) -> Masks:
    """An entry varies where an entry of any argument does."""
    mask = torch.zeros_like(call.result, dtype=torch.bool)
    for part in (*call.masks, *call.mask_kwargs.values()):
        if isinstance(part, Tensor) and part.dtype == torch.bool:
            mask = mask | part
    return mask


@varies("mul")
def varies_of_product(call: Call) -> Masks:
    """A product with a constant 0 is 0."""
    if not isinstance(call.args[1], Tensor):
        scaled: Tensor = call.masks[0]
        return scaled & torch.tensor(call.args[1] != 0)
    first: Tensor = call.masks[0]
    second: Tensor = call.masks[1]
    is_zero = (~first & (call.args[0] == 0)) | (~second & (call.args[1] == 0))
    mask: Tensor = (first | second) & ~is_zero
    return mask


@keeps(*POINTWISE)
def keep_alike(sets: KeepSets, node: Node) -> None:
    """What is kept of the result is kept of each argument along axes that are not broadcast."""
    sizes = shape(node)
    for tensor in node.all_input_nodes:
        own = shape(tensor)
        for axis in range(1, len(own) + 1):
            if own[-axis] == sizes[-axis]:
                sets.tie(node, -axis, tensor, -axis)
            else:
                sets.need(tensor, -axis, "it is the same for all indices of an axis")


@keeps("getitem")
def keep_part_of_tuple(sets: KeepSets, node: Node) -> None:
    """The rule of the operation that makes the tuple knows its parts."""


@keeps(*FILLED)
def keep_of_filled(sets: KeepSets, node: Node) -> None:
    """A tensor that is filled with a number takes the size that the model asks for."""


@keeps("_assert_tensor_metadata", "sym_size")
def keep_of_remarks(sets: KeepSets, node: Node) -> None:
    """No tensor comes of it."""
