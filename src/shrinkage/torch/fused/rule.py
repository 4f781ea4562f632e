"""An optimizer's update as one plain object, which compiled loops and torch operations share.

It lets SGD, Adam and the attached prox use the same engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from shrinkage.kernels.kind import Update
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.fused.parameters import Entry
from shrinkage.torch.tensors.kinds import OwnStep

State = dict[str, Any]  # of one parameter in the optimizer


def leave_state(entry: Entry, state: State) -> None:
    """The parameter needs no state, or torch itself makes it and counts its steps."""


@dataclass(frozen=True)
class UpdateRule:
    """What the engine knows of an optimizer's own update.

    Parameters
    ----------
    name : str
        Its name in reports.
    state_names : callable
        ``(group)``: the tensors of a parameter's state that the loops read or change, in their
        order and without the count of steps.
    prepare : callable
        ``(entry, state)``: make missing state, as torch would.
    numbers : callable
        ``(entry)``: the options of the parameter's group, by the names of `records.PARAMETER`.
    own_step : callable
        ``(group, state)``: how far a step moves an entry for each unit of its gradient.
    count_step : callable
        ``(entry, state)``: count a step of `by_torch`, where torch's own function does not.
    by_torch : callable
        ``(entries, states, weights, gradients)``: the same update of parameters of one group by
        torch's own function. The loops are held equal to it.
    update : callable
        ``(group)``: which compiled update makes it.
    count_name : str
        The name of the count of steps in a parameter's state; "" where there is none.
    is_euclidean : bool
        Whether all entries of a parameter have the same own step.
    """

    name: str
    state_names: Callable[[Group], tuple[str, ...]]
    prepare: Callable[[Entry, State], None]
    numbers: Callable[[Entry], dict[str, float]]
    own_step: Callable[[Group, State], OwnStep]
    count_step: Callable[[Entry, State], None]
    by_torch: Callable[[Sequence[Entry], list[State], list[Tensor], list[Tensor]], None]
    update: Callable[[Group], Update]
    count_name: str = ""
    is_euclidean: bool = False
