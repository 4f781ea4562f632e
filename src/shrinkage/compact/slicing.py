"""Take out of a model what need not be kept: its parameters, buffers and sizes, in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.optim import Optimizer

from shrinkage.compact.folding import CONVOLUTION_LAYERS, FOLDS, Fold
from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import KeepSets
from shrinkage.compact.multihead import drop_heads
from shrinkage.compact.operations.convolutions import (
    CONVOLUTIONS,
    TRANSPOSED,
    read_convolution,
    rows_of_groups,
)
from shrinkage.compact.operations.reductions import group_count
from shrinkage.compact.operations.shapes import SPLITS, VIEWS

BATCH_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
HEADS = re.compile(r"heads$|groups$|^n_?heads?$|num_\w*(heads|groups)")


@dataclass
class Plan:
    """What changes in a model.

    Attributes
    ----------
    kept : dict of str to dict of int to bool array
        For parameters and buffers, along which axes something goes, and what stays there.
    local : dict of str to int array
        For weights of grouped convolutions, which entries along axis 1 each of its slices keeps.
    folds : list of Fold
        What is added to biases.
    groups : dict of str to int
        For modules with groups, how many stay.
    sizes : dict of str to dict of int to int
        For modules that view or split tensors, sizes before and after.
    parts : dict of str to dict of tuple to list of int
        For modules that split tensors into parts of several sizes, these before and after.
    """

    kept: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    local: dict[str, np.ndarray] = field(default_factory=dict)
    folds: list[Fold] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, dict[int, int]] = field(default_factory=dict)
    parts: dict[str, dict[tuple[int, ...], list[int]]] = field(default_factory=dict)


def make_plan(sets: KeepSets) -> Plan:
    """Read what changes off the sets to keep."""
    plan = Plan()
    for node, name in sets.graph.names.items():
        axes = {axis: sets.kept(node, axis) for axis in range(len(shape(node)))}
        gone = {axis: kept for axis, kept in axes.items() if not kept.all() and kept.any()}
        if gone:
            plan.kept[name] = gone
    for node in sets.graph.nodes:
        if fold := FOLDS.get(operation(node)):
            plan.folds += list(fold(sets, node))
        _plan_groups(plan, sets, node)
        if operation(node) in (*VIEWS, *SPLITS, "expand"):
            path = sets.graph.path(node)
            while sizes := _changed_sizes(sets, node):
                plan.sizes.setdefault(path, {}).update(sizes)
                if not path:
                    break
                path = path.rpartition(".")[0]  # where its size may be known
        if operation(node) == "split_with_sizes":
            _plan_parts(plan, sets, node)
    return plan


def _plan_parts(plan: Plan, sets: KeepSets, node: Node) -> None:
    """The sizes of the parts of a split; export may split once for each part that is used."""
    axis = int(node.args[2]) if len(node.args) > 2 else 0  # type: ignore[arg-type]
    before = tuple(int(value.shape[axis]) for value in node.meta["val"])
    path = sets.graph.path(node)
    for owner in {path, path.rpartition(".")[0]}:
        after = plan.parts.setdefault(owner, {}).setdefault(before, list(before))
        for part in node.users:
            number: Any = part.args[1]
            after[number] = min(after[number], int(sets.kept(part, axis).sum()))


def _plan_groups(plan: Plan, sets: KeepSets, node: Node) -> None:
    name = operation(node)
    path = sets.graph.path(node)
    if name in (*CONVOLUTIONS, *TRANSPOSED):
        rows = rows_of_groups(sets, node)
        weight = read_convolution(node).weight
        if rows is not None:
            plan.groups[path] = rows[1]
            if rows[0].shape[1] < shape(weight)[1]:
                plan.local[sets.graph.names[weight]] = rows[0]
    elif name in ("group_norm", "native_group_norm"):
        source = node.args[0]
        assert isinstance(source, Node)
        kept = sets.kept(source, 1)
        plan.groups[path] = int(kept.reshape(group_count(node), -1).any(1).sum())


def _changed_sizes(sets: KeepSets, node: Node) -> dict[int, int]:
    parts = node.users if isinstance(node.meta.get("val"), list | tuple) else [node]
    sizes = {}
    for part in (*parts, *node.all_input_nodes):
        for axis, size in enumerate(shape(part)):
            left = int(sets.kept(part, axis).sum())
            if 0 < left < size:
                sizes[size] = left
    return sizes


def apply_plan(plan: Plan, model: nn.Module, heads_only: bool = True) -> dict[str, nn.Parameter]:
    """Slice a model in place; returns the biases that are new.

    Parameters keep their identity, so that what shares one shares it still.

    Parameters
    ----------
    heads_only : bool
        Of the sizes that custom modules hold, change only those whose names speak of heads or
        groups, and not every number that equals a size that changed.
    """
    held: dict[str, Tensor] = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    new = {}
    for fold in plan.folds:
        if fold.name in held:
            bias = held[fold.name]
            added = torch.from_numpy(fold.added).to(bias.device)
            bias.data = (bias.data.double() + added).to(bias.dtype)
        else:
            new[fold.name] = _add_bias(model, fold)
    for name in {*plan.kept, *plan.local}:
        held[name].data = slice_tensor(plan, name, held[name].data)
        held[name].grad = None
    for path in {name.rpartition(".")[0] for name in plan.kept} | set(plan.groups):
        _set_sizes(model.get_submodule(path), plan.groups.get(path))
    for path, sizes in plan.sizes.items():
        _set_numbers(model.get_submodule(path), sizes, heads_only)
    for path, parts in plan.parts.items():
        module = model.get_submodule(path)
        for name, numbers in list(vars(module).items()):
            if isinstance(numbers, list | tuple) and tuple(numbers) in parts:
                setattr(module, name, type(numbers)(parts[tuple(numbers)]))
    return new


def slice_tensor(plan: Plan, name: str, tensor: Tensor) -> Tensor:
    """What stays of a parameter, or of a tensor of its shape, such as a momentum."""
    if name in plan.local:
        index = torch.from_numpy(plan.local[name]).to(tensor.device)
        spread = index.reshape(*index.shape, *[1] * (tensor.ndim - 2))
        tensor = tensor.gather(1, spread.expand(*index.shape, *tensor.shape[2:]))
    for axis, kept in plan.kept.get(name, {}).items():
        index = torch.from_numpy(np.flatnonzero(kept)).to(tensor.device)
        tensor = tensor.index_select(axis, index)
    return tensor.contiguous()


def slice_optimizer(
    plan: Plan, model: nn.Module, new: Mapping[str, nn.Parameter], optimizer: Optimizer
) -> None:
    """Slice the state of an optimizer of the sliced model in place, and give it the new biases."""
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter, {})
        for key, value in state.items():
            if isinstance(value, Tensor) and value.ndim and name in {*plan.kept, *plan.local}:
                state[key] = slice_tensor(plan, name, value)
    for name, bias in new.items():
        weight = model.get_parameter(f"{name.removesuffix('bias')}weight")
        for group in optimizer.param_groups:
            if any(parameter is weight for parameter in group["params"]):
                group["params"].append(bias)


def _add_bias(model: nn.Module, fold: Fold) -> nn.Parameter:
    """A bias for a layer that has none."""
    layer = model.get_submodule(fold.name.rpartition(".")[0])
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    numbers = torch.from_numpy(fold.added[fold.kept]).to(weight.device, weight.dtype)
    bias = nn.Parameter(numbers, requires_grad=weight.requires_grad)
    layer.register_parameter("bias", bias)
    return bias


def _set_sizes(module: nn.Module, groups: int | None) -> None:
    """Let the sizes that a layer of torch states be those of its weight."""
    if isinstance(module, CONVOLUTION_LAYERS):
        module.groups = groups or module.groups
        first, second = module.weight.shape[0], module.weight.shape[1] * module.groups
        sizes = (first, second) if module.transposed else (second, first)
        module.in_channels, module.out_channels = sizes
    if isinstance(module, BATCH_NORMS):
        tensors = (module.weight, module.running_mean)
        module.num_features = next(len(t) for t in tensors if t is not None)
    match module:
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.GroupNorm():
            size = module.num_channels // module.num_groups
            module.num_groups = groups or module.num_groups
            module.num_channels = size * module.num_groups
        case nn.MultiheadAttention():
            drop_heads(module)
        case nn.Embedding():
            module.embedding_dim = module.weight.shape[1]
        case nn.PReLU():
            module.num_parameters = module.weight.numel()
        case nn.RNNBase():
            module.hidden_size = module.get_parameter("weight_hh_l0").shape[1]
            module.input_size = module.get_parameter("weight_ih_l0").shape[1]
            module.flatten_parameters()


def _set_numbers(module: nn.Module, sizes: Mapping[int, int], heads_only: bool) -> None:
    """Change the numbers of a module that views or splits tensors, such as ``num_heads``."""
    if isinstance(module, nn.MultiheadAttention):
        return
    for name, number in list(vars(module).items()):
        is_size = isinstance(number, int) and not isinstance(number, bool) and number > 1
        if is_size and number in sizes and (HEADS.search(name) or not heads_only):
            setattr(module, name, sizes[number])
