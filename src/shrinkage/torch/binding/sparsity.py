"""Exact zeros: how many there are, and the same ones in a running average of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import terms
from shrinkage.text_table import to_html, to_paragraphs
from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.models.owners import parameters_by_name
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
        rows = [self._write_headline()]
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
        return to_paragraphs([self._write_headline()]) + to_html([head, *rows])

    def _write_headline(self) -> str:
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


def copy_zeros(bound: BoundModel, averaged: nn.Module | Mapping[str, Tensor]) -> None:
    """Set to 0 in `averaged` what is exactly 0 in the model; see `Regularized.copy_zeros_to`."""
    if not isinstance(averaged, nn.Module | Mapping):
        raise TypeError(
            "averaged must be a torch.nn.Module, or a mapping of parameter names to tensors such "
            f"as a state_dict, got {type(averaged).__name__}"
        )
    others = parameters_by_name(averaged) if isinstance(averaged, nn.Module) else averaged
    pairs = [(part, find_counterpart(part, others)) for part in bound.parts]
    for part, average in pairs:
        if average is None:
            raise ValueError(
                f"averaged has no {part.name} of shape {tuple(part.parameter.shape)}, which is "
                "penalized: pass an average of the model that this regularizer was built from"
            )
    with torch.no_grad():
        for part, average in pairs:
            assert average is not None
            average.masked_fill_((part.parameter.detach() == 0).to(average.device), 0)


def find_counterpart(part: BoundParameter, others: Mapping[str, Tensor]) -> Tensor | None:
    """The tensor among `others`, by name, that stands for a parameter of the model, or None."""
    # A wrapper that is not known adds a prefix: "module." in the averages of timm and others.
    names = [f"{prefix}{name}" for prefix in ("", "module.") for name in part.aliases]
    counterparts = (others[name] for name in names if name in others)
    return next((other for other in counterparts if other.shape == part.parameter.shape), None)
