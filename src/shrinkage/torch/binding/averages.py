"""Zeros of a model in a running average of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.models.owners import candidates


def copy_zeros(bound: BoundModel, averaged: nn.Module | Mapping[str, Tensor]) -> None:
    """Set to 0 in `averaged` what is exactly 0 in the model; see `Regularizer.copy_zeros_to`."""
    others = tensors_of(averaged)
    pairs = [(part.parameter, _counterpart(part, others)) for part in bound.parts]
    with torch.no_grad():
        for weights, average in pairs:
            average.masked_fill_((weights.detach() == 0).to(average.device), 0)


def tensors_of(averaged: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Find the parameters of an average under each of their names, without wrappers' prefixes."""
    if isinstance(averaged, nn.Module):
        return {
            name: candidate.parameter
            for candidate in candidates(averaged)
            for owner in candidate.owners
            for name in owner.names
        }
    if isinstance(averaged, Mapping):
        return dict(averaged)
    raise TypeError(
        "averaged must be a torch.nn.Module, or a mapping of parameter names to tensors such as a "
        f"state_dict, got {type(averaged).__name__}"
    )


def find_counterpart(part: BoundParameter, others: Mapping[str, Tensor]) -> Tensor | None:
    """The tensor that stands for a parameter of the model, or None."""
    # A wrapper that is not known adds a prefix: "module." in the averages of timm and others.
    names = [f"{prefix}{name}" for prefix in ("", "module.") for name in part.aliases]
    counterparts = (others[name] for name in names if name in others)
    return next((other for other in counterparts if other.shape == part.parameter.shape), None)


def _counterpart(part: BoundParameter, others: Mapping[str, Tensor]) -> Tensor:
    counterpart = find_counterpart(part, others)
    if counterpart is None:
        raise ValueError(
            f"averaged has no {part.name} of shape {tuple(part.parameter.shape)}, which is "
            "penalized: pass an average of the model that this regularizer was built from"
        )
    return counterpart
