"""Steps that are not like the others: under AMP's gradient scaler, or to make a state alone."""

from __future__ import annotations

from torch.optim import Optimizer

from shrinkage.torch.tensors.kinds import gather_shards


def grad_scale_of(optimizer: Optimizer) -> float:
    """The number by which AMP's scaler has multiplied the gradients of a `fused` step; else 1."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def skips_step(optimizer: Optimizer) -> bool:
    """Whether AMP's scaler found infinite gradients, so that the step moves nothing."""
    found_inf = getattr(optimizer, "found_inf", None)
    return found_inf is not None and bool(found_inf)


def is_initializing(optimizer: Optimizer) -> bool:
    """Whether this step only makes the optimizer's state, as `torch.distributed.checkpoint` does.

    There is no state yet, and every learning rate and every gradient is 0, so nothing is learned.
    """
    if optimizer.state or any(float(group.get("lr", 0.0)) for group in optimizer.param_groups):
        return False
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients or any(gradient.is_sparse for gradient in gradients):
        return False
    return not any(bool(gather_shards(gradient.abs().sum())) for gradient in gradients)
