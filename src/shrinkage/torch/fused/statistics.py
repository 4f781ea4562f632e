"""Sums over the penalized weights after the last step.

`benchmarks/step.py`, the row "L1, statistics() read after each step": the step takes the sums, so
that no second pass is needed.
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
    dead_groups: int = 0  # groups whose weights are all 0
    groups: int = 0


Sums = tuple[float, float, float, int, int, int, int]  # in that order


def statistics(step: Engine) -> Statistics:
    """Statistics of unfrozen penalized parameters: from the step's sums, or else the weights."""
    others = [entry for entry in step.others if entry.parameter.requires_grad]
    parts = [_sums_of_weights(entry) for entry in others if entry.penalty is not None]
    for batch in step.batches:
        if batch.kind.how != "none":
            parts += _sums_of_batch(batch)
    return Statistics(*map(sum, zip(*parts, strict=True)))


def _sums_of_batch(batch: Batch) -> list[Sums]:
    sums = np.zeros((len(batch.entries), len(SUMS)))
    sums_of_pieces = np.stack([batch.pieces[field] for field in SUMS], axis=1)
    np.add.at(sums, batch.pieces["parameter"], sums_of_pieces)
    parts = []
    for row, entry in enumerate(batch.entries):
        if not entry.parameter.requires_grad:
            continue
        if not batch.gradients[row]:  # not stepped, so not summed
            parts.append(_sums_of_weights(entry))
            continue
        absolute, squares, zeros, norms, dead = sums[row].tolist()
        if (
            absolute > 0.0 and not 1e-30 < squares < math.inf
        ):  # float32 sums may have vanished or overflowed
            parts.append(_sums_of_weights(entry))
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
            value = _penalty_value(entry)
        counts = int(zeros), size, int(dead), groups
        parts.append((entry.multiplier * value, absolute, squares, *counts))
    return parts


@torch.no_grad()
def _sums_of_weights(entry: Entry) -> Sums:
    w = entry.parameter.detach()
    assert entry.penalty is not None
    counted = zeros_of(w, entry.penalty)
    size = w.abs().double()
    counts = counted.zeros, counted.entries, counted.dead_groups, counted.groups
    sums = float(size.sum()), float((size * size).sum())
    return entry.multiplier * _penalty_value(entry), *sums, *counts


@torch.no_grad()
def _penalty_value(entry: Entry) -> float:
    assert entry.penalty is not None
    return float(entry.penalty.value(entry.parameter.detach()))
