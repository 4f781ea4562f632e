"""Moves of 16-bit parameters that are lost when a step is rounded."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.tensors.kinds import local_shard


def resolution(w: Tensor) -> float | None:
    """The share of a weight below which a move is lost in a 16-bit float; None in wider ones."""
    return torch.finfo(w.dtype).eps / 2 if w.dtype in (torch.float16, torch.bfloat16) else None


def lost_in_rounding(
    penalty: Penalty, w: Tensor, group: Group, optimizer: Optimizer, how: str, scale: str
) -> str | None:
    """A clause on the effect that a 16-bit parameter loses; None where it loses nothing."""
    finest = resolution(w)
    if finest is None:
        return None
    if how == "proximal":
        clause = "does not converge exactly, since moves under half its resolution are lost"
        return add_resolution(w, clause)
    if how == "coupled" and (not isinstance(optimizer, torch.optim.SGD) or group["momentum"]):
        return None  # the optimizer rounds the decay together with the gradient
    amount = float(group["lr"] if scale == "lr" else 1.0)
    absolute, square, _ = penalty.split()
    usual_size = float(local_shard(w.detach()).float().abs().mean())
    share = amount * (2 * square + absolute / max(usual_size, 1e-30))  # of such a weight
    return add_resolution(w, cannot_hold(share)) if 0 < share < finest else None


def cannot_hold(share: float) -> str:
    """The clause on a decay that is lost in rounding."""
    return f"cannot hold a decay of {share:.1g} a step: weights this size do not move at all"


def add_resolution(w: Tensor, clause: str) -> str:
    """A clause on a 16-bit parameter, with its type and its resolution."""
    dtype = str(w.dtype).removeprefix("torch.")
    return f"is {dtype}, which {clause} (resolution {resolution(w):.1g})"
