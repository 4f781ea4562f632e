"""Which entries of each tensor are the same whatever the input is.

The graph is run on the example, and beside each tensor goes a mask: where it is True the entry may
depend on the input, it *varies*. Where it is False, the value of this run is the value of all runs.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from shrinkage.compact.graph import Graph, find_rule, operation

Masks = Tensor | tuple[Any, ...]
SPREAD = {torch.float64: 1e-12, torch.float32: 1e-6}  # rounding, where a constant is computed twice


@dataclass(frozen=True)
class Call:
    """One operation at work: `args` are values and `masks` the same with masks for tensors."""

    node: Node
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    masks: tuple[Any, ...]
    mask_kwargs: Mapping[str, Any]
    result: Any

    def run(self, *args: object, **kwargs: object) -> Any:
        """The same operation on other arguments."""
        return execute(self.node, args, kwargs)


Rule = Callable[[Call], Masks]
VARIES: dict[str, Rule] = {}


def varies(*operations: str) -> Callable[[Rule], Rule]:
    """Register how masks go through some operations."""

    def register(rule: Rule) -> Rule:
        VARIES.update(dict.fromkeys(operations, rule))
        return rule

    return register


@dataclass(frozen=True)
class Constant:
    """Along one axis of a tensor: which slices are one number for every input, and that number."""

    is_constant: np.ndarray
    value: np.ndarray

    @property
    def is_zero(self) -> np.ndarray:
        zero: np.ndarray = self.is_constant & (self.value == 0)
        return zero


@dataclass
class Constants:
    """What is known of all tensors of a graph.

    Attributes
    ----------
    values : dict of Node to Tensor
        Tensors of which no entry varies: weights, and what is computed of them.
    slices : dict of (Node, axis) to Constant
        Only those with at least one constant slice.
    """

    values: dict[Node, Tensor] = field(default_factory=dict)
    slices: dict[tuple[Node, int], Constant] = field(default_factory=dict)

    def along(self, node: Node, axis: int, size: int) -> Constant:
        """The constant slices of a tensor along an axis with `size` entries."""
        nothing = Constant(np.zeros(size, dtype=bool), np.zeros(size))
        return self.slices.get((node, axis), nothing)


def find_constants(graph: Graph) -> Constants:
    """Run the graph on the example, with the masks beside the values."""
    found = Constants(values=dict(graph.tensors))
    values: dict[Node, Any] = {**graph.tensors, **graph.inputs}
    masks: dict[Node, Any] = {
        **{
            node: torch.zeros_like(tensor, dtype=torch.bool)
            for node, tensor in graph.tensors.items()
        },
        **{
            node: torch.ones_like(value, dtype=torch.bool) if isinstance(value, Tensor) else value
            for node, value in graph.inputs.items()
        },
    }
    uses = Counter(used for node in graph.nodes for used in node.all_input_nodes)
    for node in graph.nodes:
        if node.op == "get_attr":
            values[node] = getattr(graph.owner, str(node.target))
            masks[node] = values[node]
            if isinstance(values[node], Tensor):
                found.values[node] = values[node]
                masks[node] = torch.zeros_like(values[node], dtype=torch.bool)
            continue
        call = _call(node, values, masks)
        values[node], masks[node] = call.result, _mask_of(call)
        _note(found, node, values[node], masks[node])
        for used in node.all_input_nodes:
            uses[used] -= 1
            if not uses[used] and used not in graph.tensors:
                values.pop(used, None)
                masks.pop(used, None)
    return found


def any_varies(masks: object) -> bool:
    """Whether any entry of some masks is True."""
    found: list[bool] = []
    _each_mask(masks, lambda mask: found.append(bool(mask.any())))
    return any(found)


def execute(node: Node, args: Any, kwargs: Any) -> Any:
    """Run an operation; a view of what lies otherwise in memory than it did in the trace copies."""
    if operation(node) in ("view", "_unsafe_view") and isinstance(args[1], list | tuple):
        return args[0].reshape(args[1])
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _call(node: Node, values: dict[Node, Any], masks: dict[Node, Any]) -> Call:
    args: Any = map_arg(node.args, values.__getitem__)
    kwargs: Any = map_arg(node.kwargs, values.__getitem__)
    with torch.no_grad():
        result = execute(node, args, kwargs)
    mask_args: Any = map_arg(node.args, masks.__getitem__)
    mask_kwargs: Any = map_arg(node.kwargs, masks.__getitem__)
    return Call(node, args, kwargs, mask_args, mask_kwargs, result)


def _mask_of(call: Call) -> Any:
    """The mask of a result: by the operation's rule where something varies."""
    if call.node.target is operator.getitem:
        return call.masks[0][call.args[1]]
    varying = any_varies((call.masks, dict(call.mask_kwargs)))
    if varying and (rule := find_rule(VARIES, call.node)):
        return rule(call)
    if torch.Tag.nondeterministic_seeded in getattr(call.node.target, "tags", ()):
        varying = True  # it may be drawn at random
    return _filled(call.result, varying)


def _filled(result: object, varying: bool) -> Any:
    if isinstance(result, Tensor):
        return torch.full_like(result, varying, dtype=torch.bool)
    if isinstance(result, list | tuple):
        return tuple(_filled(part, varying) for part in result)
    return result


def _each_mask(masks: object, act: Callable[[Tensor], object]) -> None:
    if isinstance(masks, Tensor) and masks.dtype == torch.bool:
        act(masks)
    elif isinstance(masks, Mapping):
        _each_mask(list(masks.values()), act)
    elif isinstance(masks, list | tuple):
        for mask in masks:
            _each_mask(mask, act)


def _note(found: Constants, node: Node, value: object, mask: object) -> None:
    """Keep what is constant of a result."""
    if not isinstance(value, Tensor) or not isinstance(mask, Tensor) or not value.numel():
        return
    if not mask.any():
        found.values[node] = value
    if mask.all() or not value.is_floating_point():
        return
    for axis, size in enumerate(value.shape):
        fixed = ~mask.movedim(axis, 0).reshape(size, -1).any(1)
        if fixed.any():
            slices = value.movedim(axis, 0).reshape(size, -1)[fixed]
            low, high = slices.amin(1), slices.amax(1)
            spread = SPREAD.get(value.dtype, 1e-2)
            same = high - low <= spread * torch.maximum(low.abs(), high.abs())
            is_constant, number = fixed.clone(), torch.zeros(size, dtype=torch.float64)
            is_constant[fixed] = same
            number[fixed] = low.double()
            if same.any():
                found.slices[node, axis] = Constant(is_constant.numpy(), number.numpy())
