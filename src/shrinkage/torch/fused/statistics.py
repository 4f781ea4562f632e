"""What the last step left behind.

It buys the benchmark's row "L1, statistics() read after each step", by no second pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shrinkage.kernels.records import SUMS
from shrinkage.torch.binding.sparsity import zeros_of
from shrinkage.torch.tensors.values import linear

if TYPE_CHECKING:
    from shrinkage.torch.fused.batch import Batch
    from shrinkage.torch.fused.engine import Engine
    from shrinkage.torch.fused.parameters import Entry


@dataclass(frozen=True)
class Statistics:
    """Sums over the penalized parameters of an optimizer."""

    value: float = 0.0  # factor·Ω(w)
    absolute: float = 0.0  # Σ|w|
    squares: float = 0.0  # Σ|w|²
    zeros: int = 0  # exact ones
    entries: int = 0
    dead_groups: int = 0  # groups that are zero whole
    groups: int = 0


Sums = tuple[float, float, float, int, int, int, int]  # in that order


def statistics(step: Engine) -> Statistics:
    """Of penalized parameters that are not frozen: from the step's sums, else from the weights."""
    others = [entry for entry in step.others if entry.parameter.requires_grad]
    parts = [_at(entry) for entry in others if entry.penalty is not None]
    for batch in step.batches:
        if batch.kind.how != "none":
            parts += _of(batch)
    return Statistics(*map(sum, zip(*parts, strict=True)))


def _of(batch: Batch) -> list[Sums]:
    sums = np.zeros((len(batch.entries), len(SUMS)))
    sums_of_pieces = np.stack([batch.pieces[field] for field in SUMS], axis=1)
    np.add.at(sums, batch.pieces["parameter"], sums_of_pieces)
    parts = []
    for row, entry in enumerate(batch.entries):
        if not entry.parameter.requires_grad:
            continue
        if not batch.gradients[row]:  # not stepped, so not summed
            parts.append(_at(entry))
            continue
        absolute, squares, zeros, norms, dead = sums[row].tolist()
        if absolute > 0.0 and not 1e-30 < squares < math.inf:  # out of what float32 holds
            parts.append(_at(entry))
            continue
        plan = entry.plan
        assert plan is not None
        size, groups = entry.parameter.numel(), 0
        if plan.width:
            across = size // plan.span if plan.span else 1
            value, groups = plan.constants[1] * norms, size // (plan.width * across)
        elif plan.form is not None and plan.form.is_threshold:
            a, b = plan.constants
            value = linear(a, absolute, b, squares)
            shape = tuple(entry.parameter.shape)
            penalty = entry.penalty
            if penalty is not None and penalty._as_group_norms(shape) is not None:
                # Its groups have one entry each.
                groups, dead = size, zeros
        else:
            value = _value(entry)
        counts = int(zeros), size, int(dead), groups
        parts.append((entry.multiplier * value, absolute, squares, *counts))
    return parts


@torch.no_grad()
def _at(entry: Entry) -> Sums:
    w = entry.parameter.detach()
    assert entry.penalty is not None
    counted = zeros_of(w, entry.penalty)
    size = w.abs().double()
    counts = counted.zeros, counted.entries, counted.dead_groups, counted.groups
    sums = float(size.sum()), float((size * size).sum())
    return entry.multiplier * _value(entry), *sums, *counts


@torch.no_grad()
def _value(entry: Entry) -> float:
    assert entry.penalty is not None
    return float(entry.penalty.value(entry.parameter.detach()))
