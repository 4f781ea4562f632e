"""Counts of exact zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import terms
from shrinkage.text_table import to_html, to_paragraphs
from shrinkage.torch.tensors.kinds import gather_shards


class Zeros(NamedTuple):
    """Exact zeros of one parameter."""

    zeros: int
    entries: int
    dead_groups: int  # groups whose weights are all 0
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
        rows = [self._headline()]
        for name, row in self.parameters.items():
            groups = f", {row.dead_groups} of {row.groups} groups" if row.groups else ""
            rows.append(f"  {name}: {row.zeros} of {row.entries}{groups}")
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        head = ("parameter", "zeros", "weights", "share", "dead groups", "groups")
        rows = [
            (name, *map(str, (row.zeros, row.entries)), f"{row.zeros / max(row.entries, 1):.1%}")
            + (tuple(map(str, (row.dead_groups, row.groups))) if row.groups else ("", ""))
            for name, row in self.parameters.items()
        ]
        return to_paragraphs([self._headline()]) + to_html([head, *rows])

    def _headline(self) -> str:
        return f"{self.zeros} of {self.entries} penalized weights are exactly zero"


def zeros_of(parameter: Tensor, penalty: Penalty) -> Zeros:
    """The exact zeros of one parameter, and of the groups of the first group penalty on it."""
    w = gather_shards(parameter.detach())
    zeros = w.numel() - int(torch.count_nonzero(w))
    by_term = (term.group_zeros(w) for term in terms(penalty))
    dead_groups, groups = next((counts for counts in by_term if counts[1]), (0, 0))
    return Zeros(zeros, w.numel(), dead_groups, groups)


def makes_zeros(penalty: Penalty) -> bool:
    """Whether the minimum has exact zeros under such a penalty."""
    return penalty.traits.makes_zeros and not penalty.is_zero
