"""The entries of one large parameter as a pool of numbers, by compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from shrinkage.kernels.smallest import Worth, count_by_bins, cut_below
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.tensors.kinds import PLAIN


class LoopedEntries:
    """As `attaching.scores.ScoredUnits`, without an array as long as the weights."""

    def __init__(self, parameter: Tensor, worth: Worth, most: int) -> None:
        self.sharded_like, self.most, self.is_full = parameter, most, False
        self._worth = worth
        self._counts = np.zeros((0, 0), np.int32)
        self._places = np.zeros(0, np.int64)

    def histogram(self) -> Tensor:
        self._counts = count_by_bins(self._worth, torch.get_num_threads())
        return torch.from_numpy(self._counts.sum(axis=0, dtype=np.int64))

    def take_below(self, bin: int) -> Tensor:
        in_bin = self._counts[:, bin]
        self._places, keys = cut_below(self._worth, bin, in_bin, torch.get_num_threads())
        increment_version([self.sharded_like])
        return torch.from_numpy(keys)

    def take(self, mask: Tensor) -> None:
        self._worth.w[self._places[mask.numpy()]] = 0.0


def worth_under_adam(w: Tensor, group: Group, state: dict[str, Any], scale: float) -> Worth | None:
    """``w²/(2·s)·scale`` with Adam's s = lr/(√v/root + eps); None where no loop serves it."""
    v = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    lr = float(group["lr"])
    if lr == 0.0 or not _fits(w) or not _fits(v) or v.dtype != w.dtype or v.shape != w.shape:
        return None
    root = (1.0 - float(group["betas"][1]) ** float(state["step"])) ** 0.5
    half = scale / (2.0 * lr)
    return Worth(_vector(w), _vector(v), half / root, half * float(group["eps"]))


def worth_by_number(w: Tensor, step: float, scale: float) -> Worth | None:
    """``w²/(2·s)·scale`` with one step s for all entries; None where no loop serves it."""
    if step == 0.0 or not _fits(w):
        return None
    vector = _vector(w)
    return Worth(vector, vector[:0], 0.0, scale / (2.0 * step))


def _fits(tensor: Tensor) -> bool:
    return (
        type(tensor) in PLAIN
        and tensor.is_cpu
        and tensor.dtype in (torch.float32, torch.float64)
        and tensor.is_contiguous()
        and not tensor.is_neg()
    )


def _vector(tensor: Tensor) -> Any:
    return tensor.detach().view(-1).numpy()
