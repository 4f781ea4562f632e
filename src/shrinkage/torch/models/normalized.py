"""Weights that a layer divides by their own size before it uses them."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from shrinkage.torch.models.owners import Owner
from shrinkage.torch.private import own_parameters


def divided_by_size(owner: Owner) -> str | None:
    """What divides a weight by its own size before the layer uses it, or None.

    "weight norm" divides each row by its norm, "spectral norm" the whole by its largest singular
    value, in their forms of today (`torch.nn.utils.parametrizations`) and of before (hooks that
    store ``weight_v`` and ``weight_g``, or ``weight_orig`` and ``weight_u``). A row, or a whole,
    that is exactly 0 then makes every output NaN.
    """
    module, key = owner.module, owner.key
    if key.endswith("_v") and f"{key.removesuffix('_v')}_g" in own_parameters(module):
        return "weight norm"
    if key.endswith("_orig") and f"{key.removesuffix('_orig')}_u" in dict(
        module.named_buffers(recurse=False)
    ):
        return "spectral norm"
    name = parametrization_of(owner)
    if name == "_WeightNorm" and owner.name.endswith("original1"):
        return "weight norm"
    return "spectral norm" if name == "_SpectralNorm" else None


def parametrization_of(owner: Owner) -> str | None:
    """The class of the first parametrization that makes the weight from this parameter, or None."""
    if not parametrize.is_parametrized(owner.module, owner.key):
        return None
    stack = owner.module.parametrizations[owner.key]  # type: ignore[index]
    assert isinstance(stack, nn.Module)
    return type(stack[0]).__name__  # type: ignore[index]
