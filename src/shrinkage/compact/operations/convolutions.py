"""Convolutions, plain, grouped, depthwise and transposed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from shrinkage.compact.constants import Call, Masks, varies
from shrinkage.compact.folding import FOLDS, Fold, bias_of
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import EQUAL, Family, KeepSets, keeps
from shrinkage.compact.operations.products import need_inputs

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


@dataclass(frozen=True)
class Convolution:
    """A convolution node, with its arguments by name."""

    node: Node
    source: Node
    weight: Node
    bias: Node | None
    is_padded: bool
    groups: int
    is_transposed: bool

    @property
    def inputs(self) -> int:
        """Channels that enter a group."""
        return shape(self.source)[1] // self.groups

    @property
    def outputs(self) -> int:
        """Channels that leave a group."""
        return shape(self.node)[1] // self.groups

    def by_group(self, weight: Tensor) -> Tensor:
        """A weight as (groups, outputs, inputs, places)."""
        if self.is_transposed:
            split = weight.reshape(self.groups, self.inputs, self.outputs, -1)
            return split.transpose(1, 2)
        return weight.reshape(self.groups, self.outputs, self.inputs, -1)


def is_known(sets: KeepSets, conv: Convolution) -> bool:
    """Whether a convolution has a batch, and weights that do not vary."""
    has_batch = len(shape(conv.node)) == len(shape(conv.weight))
    return has_batch and conv.weight in sets.constants.values


def read_convolution(node: Node) -> Convolution:
    """The arguments of a convolution."""
    is_transposed = operation(node) in TRANSPOSED
    names = ("source", "weight", "bias", "stride", "padding", "dilation", "groups")
    if is_transposed:
        names = (*names[:5], "output_padding", "groups", "dilation")  # type: ignore[assignment]
    given: dict[str, Any] = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    padding = given.get("padding", 0)
    padded = padding == "same" or (not isinstance(padding, str) and np.any(padding))
    return Convolution(
        node,
        given["source"],
        given["weight"],
        given.get("bias"),
        bool(padded) or is_transposed,
        int(given.get("groups", 1)),
        is_transposed,
    )


@varies(*CONVOLUTIONS, *TRANSPOSED)
def varies_of_convolution(call: Call) -> Masks:
    """A sum varies if one of its products does: a varying factor and one that is not 0.

    With padding a constant other than 0 is missing at the border, and where that is depends on the
    size of the image: in one of 1x1 every entry has the same share of it.
    """
    masks = call.masks
    result = torch.zeros_like(call.result, dtype=torch.bool)
    nonzero = [mask | (part != 0) for mask, part in zip(masks[:2], call.args[:2], strict=True)]
    reaching = nonzero[0] if read_convolution(call.node).is_padded else masks[0]
    for one, two in ((reaching, nonzero[1]), (nonzero[0], masks[1])):
        if one.any() and two.any():
            result |= call.run(one.float(), two.float(), None, *call.args[3:], **call.kwargs) > 0.5
    return result


@keeps(*CONVOLUTIONS, *TRANSPOSED)
def keep_convolution(sets: KeepSets, node: Node) -> None:
    """A channel is needed where a kernel that is kept has a weight for it that is not 0."""
    conv = read_convolution(node)
    if not is_known(sets, conv):
        for tensor in (node, *node.all_input_nodes):
            sets.need_all(tensor, f"{sets.graph.where(node)} has weights that vary, or no batch")
        return
    sets.tie(node, 0, conv.source, 0)
    for axis in range(2, len(shape(node))):
        for tensor in (node, conv.source, conv.weight):
            sets.need(tensor, axis, "it is a place in an image")
    if conv.bias is not None:
        sets.tie(node, 1, conv.bias, 0)
    _tie_weight(sets, conv)
    weight = sets.constants.values[conv.weight]
    nonzero = (conv.by_group(weight) != 0).any(-1).numpy()
    kept = sets.kept(node, 1).reshape(conv.groups, conv.outputs)
    used = (nonzero & kept[:, :, None]).any(1).reshape(-1)
    constant = sets.constants.along(conv.source, 1, shape(conv.source)[1])
    bias, obstacle = bias_of(sets, node, conv.bias), "has no bias that could take a constant"
    if conv.is_padded:
        bias, obstacle = None, "would miss its constant at the border, where the padding is 0"
    need_inputs(sets, node, (conv.source, 1), used, constant, bias, obstacle)


def _tie_weight(sets: KeepSets, conv: Convolution) -> None:
    """Relate the axes of the weight, and for groups inputs to outputs."""
    into, out = (0, 1) if conv.is_transposed else (1, 0)
    if conv.groups == 1:
        sets.tie(conv.node, 1, conv.weight, out)
        sets.tie(conv.source, 1, conv.weight, into)
        return
    sets.need(conv.weight, 1, "its group keeps it")  # what goes there is taken out by group
    if conv.inputs == conv.outputs == 1:
        sets.tie(conv.node, 1, conv.source, 1)
    sets.tie(*((conv.source, 1) if conv.is_transposed else (conv.node, 1)), conv.weight, 0)
    is_own = conv.weight in sets.graph.names and len(conv.weight.users) == 1
    if not is_own and shape(conv.weight)[1] > 1:
        sets.need(conv.source, 1, f"the weight of {sets.graph.where(conv.node)} is computed")
        sets.need(conv.node, 1, f"the weight of {sets.graph.where(conv.node)} is computed")
        return
    sets.join((conv.source, 1), (conv.node, 1))


def _equal_groups(sets: KeepSets, node: Node) -> Iterable[Family]:
    """All groups that stay have as many inputs, and as many outputs."""
    conv = read_convolution(node)
    if conv.groups > 1 and is_known(sets, conv):
        entering, leaving = (
            sets.kept(tensor, 1).reshape(conv.groups, -1) for tensor in (conv.source, node)
        )
        lives = entering.any(1) | leaving.any(1)
        for tensor in (conv.source, node) if lives.any() else ():
            places = np.arange(shape(tensor)[1]).reshape(conv.groups, -1)
            yield [((tensor, 1), places[lives])]


def fold_convolution(sets: KeepSets, node: Node) -> Iterator[Fold]:
    """The constants of channels that go."""
    conv = read_convolution(node)
    if not is_known(sets, conv):
        return
    constant = sets.constants.along(conv.source, 1, shape(conv.source)[1])
    gone = ~sets.kept(conv.source, 1) & constant.is_constant & ~constant.is_zero
    name = None if conv.is_padded else bias_of(sets, node, conv.bias)
    if gone.any() and name is not None:
        sums = conv.by_group(sets.constants.values[conv.weight].double()).sum(-1).numpy()
        numbers = np.where(gone, constant.value, 0.0).reshape(conv.groups, 1, -1)
        yield Fold(name, (sums * numbers).sum(-1).reshape(-1), sets.kept(node, 1))


def rows_of_groups(sets: KeepSets, node: Node) -> tuple[np.ndarray, int] | None:
    """Which entries along axis 1 each slice of a grouped weight keeps, and how many groups stay."""
    conv = read_convolution(node)
    if conv.groups == 1 or not is_known(sets, conv):
        return None
    tensor, other = (conv.node, conv.source) if conv.is_transposed else (conv.source, conv.node)
    kept = sets.kept(tensor, 1).reshape(conv.groups, -1)
    lives = kept.any(1)
    local = np.zeros((conv.groups, int(kept[lives][0].sum())), dtype=np.int64)
    local[lives] = np.nonzero(kept[lives])[1].reshape(int(lives.sum()), -1)
    slices = shape(other)[1] // conv.groups
    return np.repeat(local, slices, axis=0), int(lives.sum())


for _name in (*CONVOLUTIONS, *TRANSPOSED):
    EQUAL[_name] = _equal_groups
    FOLDS[_name] = fold_convolution
