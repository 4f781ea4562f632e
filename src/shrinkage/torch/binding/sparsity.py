"""Exact zeros, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from shrinkage.penalties import (
    L0,
    MCP,
    SCAD,
    CappedL1,
    GroupLasso,
    LInf,
    LogSum,
    Lp,
    NuclearNorm,
    Penalty,
    SparseGroupLasso,
    Weighted,
)
from shrinkage.penalties.base import terms
from shrinkage.torch.tensors.kinds import gather_shards

ZEROING = GroupLasso, SparseGroupLasso, LInf, MCP, SCAD, CappedL1, LogSum, L0, NuclearNorm


class Zeros(NamedTuple):
    """Exact zeros of one parameter."""

    zeros: int
    entries: int
    dead_groups: int  # groups that are zero whole
    groups: int  # 0 where the penalty has no groups


@dataclass(frozen=True)
class Sparsity:
    """Exact zeros of a model's penalized parameters, by name; a `Joint` counts as one."""

    parameters: dict[str, Zeros]

    @property
    def zeros(self) -> int:
        return sum(row.zeros for row in self.parameters.values())

    @property
    def entries(self) -> int:
        return sum(row.entries for row in self.parameters.values())

    @property
    def share(self) -> float:
        """The share of exact zeros among all penalized weights, from 0 to 1."""
        return self.zeros / self.entries if self.entries else 0.0

    def __repr__(self) -> str:
        rows = [f"{self.zeros} of {self.entries} penalized weights are exactly zero"]
        for name, row in self.parameters.items():
            groups = f", {row.dead_groups} of {row.groups} groups" if row.groups else ""
            rows.append(f"  {name}: {row.zeros} of {row.entries}{groups}")
        return "\n".join(rows)


def zeros_of(parameter: Tensor, penalty: Penalty) -> Zeros:
    """The exact zeros of one parameter, and of the groups of the first group penalty on it."""
    w = gather_shards(parameter.detach())
    zeros = w.numel() - int(torch.count_nonzero(w))
    for term in terms(penalty):
        if isinstance(term, GroupLasso | SparseGroupLasso | LInf):
            return Zeros(zeros, w.numel(), *term.group_zeros(w))
    return Zeros(zeros, w.numel(), 0, 0)


def makes_zeros(penalty: Penalty) -> bool:
    """Whether the minimum has exact zeros under such a penalty."""
    absolute, _, rest = penalty.split()
    return absolute > 0 or any(map(_makes_zeros_by_itself, rest))


def _makes_zeros_by_itself(term: Penalty) -> bool:
    if isinstance(term, Weighted):
        return makes_zeros(term.penalty)
    if isinstance(term, Lp):
        return term.p <= 1 and not term.is_zero
    return isinstance(term, ZEROING) and not term.is_zero
