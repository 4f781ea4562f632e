"""Detects that the loop clips gradients without clipping the penalty's strength."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from shrinkage.torch.binding.clipping import clipped_share
from shrinkage.user_warning import warn_user

IN_A_ROW = 5
CLOSE = 1e-4  # the largest relative difference between norms after clipping
TURN = 3e-3  # the least relative change of a gradient that would also show in its norm
PART = 1e-3  # the share of that change below which norms agree only after clipping
LARGEST, ENTRIES = 8, 64  # gradients that are sampled, and entries of each


class ClipWatch:
    """Compares the gradients of five steps in a row, at steps 0, 10, 100 and so on.

    Clipping that takes effect gives them one norm while their direction changes. A gradient that
    does not change, at a minimum or of a linear loss, has one norm too, but also one direction.
    """

    def __init__(
        self,
        penalty: str = "attached penalty",
        remedy: str = "attach(..., max_norm={:.4g})",
    ) -> None:
        """`penalty` and `remedy` are what the warning calls them."""
        self._penalty, self._remedy = penalty, remedy
        self._step, self._begin = -1, 0
        self._norms: list[float] = []
        self._samples: list[Tensor] = []

    def is_due(self) -> bool:
        """Count a step; returns whether `check` is to be called at it."""
        self._step += 1
        return 0 <= self._begin <= self._step

    def check(self, optimizer: Optimizer) -> None:
        """Compare the gradients before a step with those of earlier steps; warns once."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        takes_part = any(clipped_share(parameter) != 1.0 for parameter in parameters)
        if takes_part or not gradients or not all(map(_is_plain, gradients)):
            self._pause()
            return
        self._norms.append(float(get_total_norm(gradients)))
        self._samples.append(_sample(gradients))
        if len(self._norms) == IN_A_ROW:
            norm = find_clip_norm(self._norms, self._samples)
            self._pause()
            if norm is None:
                return
            self._begin = -1
            warn_user(
                f"the gradients in {type(optimizer).__name__} had the norm {norm:.4g} at "
                f"{IN_A_ROW} steps in a row while they turned, which looks like "
                "torch.nn.utils.clip_grad_norm_: if they are clipped, the "
                f"{self._penalty} is not clipped with them and acts more strongly than is "
                f"written. Call regularizer.clip_grad_norm_(parameters, {norm:.4g}) in its place, "
                f"or turn that clipping off and write {self._remedy.format(norm)}",
            )

    def _pause(self) -> None:
        self._begin = 10 * max(self._begin, 1)
        self._norms, self._samples = [], []


def find_clip_norm(norms: Sequence[float], samples: Sequence[Tensor]) -> float | None:
    """The common norm of gradients of different directions; None if there is none."""
    largest, smallest = max(norms), min(norms)
    first = float(samples[0].norm())
    if not (smallest > 0.0 and largest < math.inf and first > 0.0):
        return None
    if any(sample.shape != samples[0].shape for sample in samples):
        return None
    if len(samples[0]) < 2:  # a single number turns only by its sign
        return None
    change = max(float((sample - samples[0]).norm()) / first for sample in samples)
    spread = (largest - smallest) / largest
    if change >= TURN and spread <= min(CLOSE, PART * change):
        return sorted(norms)[len(norms) // 2]
    return None


def _is_plain(gradient: Tensor) -> bool:
    """Whether it is dense and whole: the norm of a shard would need the other processes."""
    is_whole = type(gradient) in (Tensor, nn.Parameter)
    has_numbers = not (gradient.is_meta or gradient.is_complex())
    return is_whole and has_numbers and gradient.layout is torch.strided


def _sample(gradients: Sequence[Tensor]) -> Tensor:
    """Take some entries of the largest gradients, the same ones each time."""
    largest = sorted(gradients, key=Tensor.numel, reverse=True)[:LARGEST]
    flat = [gradient.detach().reshape(-1) for gradient in largest]
    return torch.cat([values[:: max(1, len(values) // ENTRIES)].double().cpu() for values in flat])
