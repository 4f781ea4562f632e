"""The neurons of multilayer perceptrons, also inside transformers, as Joints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from shrinkage.torch.models.attention import held, is_linear, sizes, warn_of_rest
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.layers import DROPOUT
from shrinkage.torch.models.owners import Modules

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
    found: list[Joint] = []
    unknown: list[str] = []
    taken: set[str] = set()
    modules = Modules(model)
    for module, _ in modules.ancestors:
        chains = _chains(module)
        for incoming, following in chains:
            members = [one for one in _members(incoming, following, modules) if one[0] not in taken]
            if len(members) > 1:
                found.append(Joint(*("".join(member) for member in members)))
                taken |= {name for name, _ in members}
        if not chains and _looks_like_layers(module):
            unknown.append(type(module).__name__)
    warn_of_rest("neurons", "feed-forward layers", model, found, unknown)
    return found


def _members(
    incoming: Sequence[nn.Module], following: nn.Module, modules: Modules
) -> Iterator[tuple[str, str]]:
    """Names and sides; a first layer of twice as many rows holds gates, then what they gate."""
    units = sizes(following)[1]
    for layer in incoming:
        if isinstance(layer, nn.BatchNorm1d | nn.PReLU):
            yield from ((f"{modules.prefix(layer)}{key}", "") for key in held(layer))
            continue
        twice = sizes(layer)[0] == 2 * units
        for key in held(layer):
            side = ":out:heads:2x1" if twice else ":out" if key == "weight" else ""
            yield f"{modules.prefix(layer)}{key}", side
    yield f"{modules.prefix(following)}weight", ":in"


def _chains(module: nn.Module) -> list[Chain]:
    """The hidden layers of one module, in order."""
    if isinstance(module, nn.Sequential):
        return list(_in_sequence(list(module)))
    norms = (module._modules.get(name) for name in ("norm", "grn", "ffn_layernorm"))
    if any(norm is not None and next(norm.parameters(), None) is not None for norm in norms):
        return []  # it mixes the neurons
    for names in GATED:
        gate, up, down = (_linear(module, name) for name in names)
        if gate is not None and up is not None and down is not None:
            units, inputs = sizes(gate)
            if (units, inputs) != sizes(up) or units != sizes(down)[1]:
                continue
            is_square = names[0] == "w1" and units == inputs  # w2 or w3 may be the one that leaves
            return [] if is_square else [((gate, up), down)]
    for first_name, second_name in PAIRS:
        first, second = _linear(module, first_name), _linear(module, second_name)
        if first is not None and second is not None and _fit(first, second, gates=True):
            return [((first,), second)]
    return list(_numbered(module))


def _in_sequence(layers: Sequence[nn.Module]) -> Iterator[Chain]:
    """Linear layers with nothing between them but what acts on each neuron alone."""
    incoming: list[nn.Module] = []
    for layer in layers:
        if is_linear(layer):
            if incoming and _fit(incoming[0], layer):
                yield tuple(incoming), layer
            incoming = [layer]
        elif incoming and _is_by_neuron(layer):
            own = any(True for _ in layer.parameters())
            incoming += [layer] * (own and getattr(layer, "num_parameters", 2) != 1)
        else:
            incoming = []


def _is_by_neuron(layer: nn.Module) -> bool:
    kind = type(layer)
    mixes = isinstance(layer, nn.Softmax | nn.LogSoftmax | nn.Softmin | nn.GLU | nn.Softmax2d)
    is_activation = kind.__module__ == nn.ReLU.__module__ and kind is not nn.MultiheadAttention
    return isinstance(layer, BETWEEN) or (is_activation and not mixes)


def _numbered(module: nn.Module) -> Iterator[Chain]:
    """Children fc1, fc2, ...: those that follow one another and whose sizes fit."""
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
    units = sizes(second)[1]
    return sizes(first)[0] in ((units, 2 * units) if gates else (units,))


def _linear(module: nn.Module, name: str) -> nn.Module | None:
    """The linear layer of that name below a module: "output.dense"."""
    for key in name.split("."):
        child = module._modules.get(key)
        if child is None:
            return None
        module = child
    return module if is_linear(module) else None


def _looks_like_layers(module: nn.Module) -> bool:
    name = type(module).__name__
    if re.search(r"MLP|Mlp|FeedForward|FFN|Experts|MoE", name) is None:
        return False
    layers = sum(map(is_linear, module.children()))
    return layers > 1 or any(w.ndim > 1 for w in module.parameters(recurse=False))
