"""Families of layers for which torch has no public name, and tests for linear layers."""

from __future__ import annotations

import re

from torch import Tensor, nn

from shrinkage.torch.private import own_children, own_parameters

TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
CONVOLUTION = nn.Conv1d | nn.Conv2d | nn.Conv3d | TRANSPOSED
INSTANCE_NORM = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d
BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm | INSTANCE_NORM
DROPOUT = (
    nn.Dropout
    | nn.Dropout1d
    | nn.Dropout2d
    | nn.Dropout3d
    | nn.AlphaDropout
    | nn.FeatureAlphaDropout
)


def is_conv1d(module: nn.Module) -> bool:
    """Whether it is transformers' Conv1D: a linear layer that stores (inputs, outputs)."""
    named_so = any(kind.__name__ == "Conv1D" for kind in type(module).__mro__)
    weight = own_parameters(module).get("weight")
    return (
        named_so and not isinstance(module, CONVOLUTION) and weight is not None and weight.ndim == 2
    )


def is_linear(module: object) -> bool:
    """Whether it maps channels to channels: linear, or a convolution by one pixel."""
    if isinstance(module, CONVOLUTION):
        return set(module.kernel_size) == {1} and module.groups == 1 and not module.transposed
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Module) and is_conv1d(module))


def count_units(layer: nn.Module) -> tuple[int, int]:
    """How many outputs and how many inputs a linear layer has."""
    assert isinstance(layer.weight, Tensor)
    first, second = layer.weight.shape[:2]
    return (second, first) if is_conv1d(layer) else (first, second)


def parameter_keys(layer: nn.Module) -> list[str]:
    """The keys of a layer's own weight and bias."""
    return [key for key in ("weight", "bias") if getattr(layer, key, None) is not None]


def linear_at(module: nn.Module, path: str) -> nn.Module | None:
    """The linear layer of that name below a module, such as "output.dense"."""
    layer: nn.Module | None = module
    for key in path.split("."):
        layer = None if layer is None else own_children(layer).get(key)
    return layer if is_linear(layer) else None


def looks_like(pattern: str, module: nn.Module) -> bool:
    """Whether the name of its class matches, and it has weights as such a module would."""
    if re.search(pattern, type(module).__name__) is None:
        return False
    layers = sum(map(is_linear, module.children()))
    return layers > 1 or any(w.ndim > 1 for w in module.parameters(recurse=False))
