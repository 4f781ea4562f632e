"""The neurons of multilayer perceptrons, also inside transformers, as Joints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from shrinkage.torch.models.joint import Joint, find_joints
from shrinkage.torch.models.layers import (
    DROPOUT,
    count_units,
    is_linear,
    linear_at,
    looks_like,
    parameter_keys,
)
from shrinkage.torch.models.owners import Modules
from shrinkage.torch.private import own_children

Chain = tuple[tuple[nn.Module, ...], nn.Module]  # what leads to the neurons, what leaves them
PAIRS = (
    *(("c_fc", "c_proj"), ("wi", "wo"), ("Wi", "Wo"), ("w_1", "w_2"), ("fc_in", "fc_out")),
    *(("dense_h_to_4h", "dense_4h_to_h"), ("up_proj", "down_proj"), ("ffn", "ffn_output")),
    *(("gate_up_proj", "down_proj"), ("w12", "w3"), ("intermediate_dense", "output_dense")),
    *(("intermediate.dense", "output.dense"), ("w1", "w2")),
)
GATED = (
    *(("gate_proj", "up_proj", "down_proj"), ("wi_0", "wi_1", "wo"), ("fc1_g", "fc1_x", "fc2")),
    *(("w1", "w3", "w2"), ("w1", "w2", "w3")),
)
NUMBERED = re.compile(r"(fc|linear|lin|layer|dense|hidden|ff)_?(\d+)")
BETWEEN = (DROPOUT, nn.Identity, nn.BatchNorm1d, nn.PReLU)


def neurons(model: nn.Module) -> list[Joint]:
    """The hidden neurons of a model: one `Joint` for each hidden layer, a unit for each neuron.

    A unit holds the row and the bias of a neuron in the layer that leads to it (in both, where one
    gates the other) and its column in the layer that follows.

    Parameters
    ----------
    model : torch.nn.Module
        With `torch.nn.Sequential` of linear layers and activations, with numbered layers (``fc1``,
        ``fc2``), or with feed-forward layers that have the names that torch, transformers and timm
        give them (``gate_proj``, ``up_proj``, ``down_proj``; ``c_fc``, ``c_proj``; ...).

    Returns
    -------
    list of Joint
        Keys of a `Regularizer`'s mapping, or its `on`. A weight between two hidden layers belongs
        to the first; the second layer's neurons then have their biases and columns alone.

    Warns
    -----
    UserWarning
        For layers that are left out because they are not known, and where there is none.

    Examples
    --------
    >>> import torch
    >>> from shrinkage import GroupLasso
    >>> from shrinkage.torch import Regularizer
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> neurons(model)
    [Joint('0.weight:out', '0.bias', '2.weight:in')]
    >>> regularizer = Regularizer(model, GroupLasso(1e-3), on=neurons(model))
    >>> regularizer.sparsity().parameters["0.weight:out + 0.bias + 2.weight:in"].groups
    4
    """
    used: set[str] = set()

    def find(module: nn.Module, modules: Modules) -> list[Joint] | None:
        chains, joints = _find_chains(module), []
        for incoming, following in chains:
            members = [
                member
                for member in _list_members(incoming, following, modules)
                if member[0] not in used
            ]
            if len(members) > 1:
                joints.append(Joint(*("".join(member) for member in members)))
                used.update(name for name, _ in members)
        is_unknown = not chains and looks_like(r"MLP|Mlp|FeedForward|FFN|Experts|MoE", module)
        return None if is_unknown else joints

    return find_joints("neurons", "feed-forward layers", model, find)


def _list_members(
    incoming: Sequence[nn.Module], following: nn.Module, modules: Modules
) -> Iterator[tuple[str, str]]:
    """Names and sides; a first layer of twice as many rows holds gates, then what they gate."""
    units = count_units(following)[1]
    for layer in incoming:
        if isinstance(layer, nn.BatchNorm1d | nn.PReLU):
            yield from ((f"{modules.prefix(layer)}{key}", "") for key in parameter_keys(layer))
            continue
        twice = count_units(layer)[0] == 2 * units
        for key in parameter_keys(layer):
            side = ":out:heads:2x1" if twice else ":out" if key == "weight" else ""
            yield f"{modules.prefix(layer)}{key}", side
    yield f"{modules.prefix(following)}weight", ":in"


def _find_chains(module: nn.Module) -> list[Chain]:
    """The hidden layers of one module, in order, each with the layer that follows."""
    if isinstance(module, nn.Sequential):
        return list(_pair_in_sequence(list(module)))
    norms = (own_children(module).get(name) for name in ("norm", "grn", "ffn_layernorm"))
    if any(norm is not None and next(norm.parameters(), None) is not None for norm in norms):
        return []  # it mixes the neurons
    for names in GATED:
        gate, up, down = (linear_at(module, name) for name in names)
        if gate is not None and up is not None and down is not None:
            units, inputs = count_units(gate)
            if (units, inputs) != count_units(up) or units != count_units(down)[1]:
                continue
            is_square = names[0] == "w1" and units == inputs  # w2 or w3 may be the one that leaves
            return [] if is_square else [((gate, up), down)]
    for first_name, second_name in PAIRS:
        first, second = linear_at(module, first_name), linear_at(module, second_name)
        if first is not None and second is not None and _fit(first, second, gates=True):
            return [((first,), second)]
    return list(_pair_numbered(module))


def _pair_in_sequence(layers: Sequence[nn.Module]) -> Iterator[Chain]:
    """Pairs of linear layers with only functions of single neurons between them."""
    incoming: list[nn.Module] = []
    for layer in layers:
        if is_linear(layer):
            if incoming and _fit(incoming[0], layer):
                yield tuple(incoming), layer
            incoming = [layer]
        elif incoming and _is_by_neuron(layer):
            has_parameters = any(True for _ in layer.parameters())
            incoming += [layer] * (has_parameters and getattr(layer, "num_parameters", 2) != 1)
        else:
            incoming = []


def _is_by_neuron(layer: nn.Module) -> bool:
    kind = type(layer)
    mixes = isinstance(layer, nn.Softmax | nn.LogSoftmax | nn.Softmin | nn.GLU | nn.Softmax2d)
    is_activation = kind.__module__ == nn.ReLU.__module__ and kind is not nn.MultiheadAttention
    return isinstance(layer, BETWEEN) or (is_activation and not mixes)


def _pair_numbered(module: nn.Module) -> Iterator[Chain]:
    """Pairs of children such as fc1 and fc2 with consecutive numbers and fitting sizes."""
    numbered: dict[str, dict[int, nn.Module]] = {}
    for name, child in module.named_children():
        if (parts := NUMBERED.fullmatch(name)) and is_linear(child):
            numbered.setdefault(parts[1], {})[int(parts[2])] = child
    for layers in numbered.values():
        for number, layer in sorted(layers.items()):
            following = layers.get(number + 1)
            if following is not None and _fit(layer, following, gates=len(layers) == 2):
                yield (layer,), following


def _fit(first: nn.Module, second: nn.Module, *, gates: bool = False) -> bool:
    units = count_units(second)[1]
    return count_units(first)[0] in ((units, 2 * units) if gates else (units,))
