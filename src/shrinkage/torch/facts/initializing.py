"""Steps that only make an optimizer's state."""

from __future__ import annotations

from torch.optim import Optimizer

from shrinkage.torch.tensors.kinds import gather_shards


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
