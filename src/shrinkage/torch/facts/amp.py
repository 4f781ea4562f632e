"""What AMP's gradient scaler passes to an optimizer that unscales in its own step (`fused`)."""

from __future__ import annotations

from torch.optim import Optimizer


def grad_scale_of(optimizer: Optimizer) -> float:
    """The number by which gradients are multiplied in such a step; 1 elsewhere."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def skips_step(optimizer: Optimizer) -> bool:
    """Whether the scaler found infinite gradients, so that the step moves nothing."""
    found_inf = getattr(optimizer, "found_inf", None)
    return found_inf is not None and bool(found_inf)
