"""The optimizer's own step for each parameter: read from its state, or by `metric`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties.arrays import checked_step
from shrinkage.torch.attaching.pairs import Pair
from shrinkage.torch.binding.bindings import BoundParameter, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.records import START
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.measured import Measurement, measured
from shrinkage.torch.facts.own_step import Group, Metric, Rule
from shrinkage.torch.facts.rules import rule_for
from shrinkage.torch.tensors.kinds import OwnStep

if TYPE_CHECKING:
    from shrinkage.torch.fused.after_step import FusedProx


class OwnSteps:
    """How far an optimizer moves each parameter for each unit of its gradient.

    This comes from `metric` where the user gives a function, else from the rule for the optimizer.
    """

    def __init__(self, bound: BoundModel, optimizer: Optimizer, metric: Metric | None) -> None:
        self._bound, self._optimizer = bound, optimizer
        self._metric = metric if callable(metric) else None
        self.rule: Rule | None = None
        if self._metric is None:
            parameters = [parameter for _, parameter in bound.named_parameters()]
            self.rule = rule_for(optimizer, metric, parameters)
        self.measurement = Measurement(optimizer) if self.rule is measured else None
        self._loops: FusedProx | None = None

    def prox_in_one_pass_(self, moved: Sequence[Pair], pairs: Sequence[Pair]) -> Sequence[Pair]:
        """Apply the prox of `moved` by compiled loops where these can; return the others."""
        if self.rule not in (own_step.sgd, own_step.adam):
            return moved
        if self._loops is None:
            # Numba takes seconds to import, so it waits until a step asks for it.
            from shrinkage.torch.fused.after_step import FusedProx

            self._loops = FusedProx(self._bound, self._optimizer, self.rule)
        return self._loops.prox_(moved, pairs)

    def read(self, group: Group | None, part: BoundParameter, share: float = 1.0) -> Reading | None:
        """A function that reads the step of a part, and its state; None for a part that stays.

        `share` is the c of the gradient's clipping. It scales the strength, but not the limit on
        how far a prox may move an entry.
        """
        if group is None:
            return None
        read_step, state = (
            self._by_metric(group, part) if self._metric else self._by_rule(group, part)
        )
        if share == 1.0:
            return read_step, state
        return lambda state: _clip(read_step(state), share), state

    def of(self, group: Group, part: BoundParameter) -> OwnStep:
        """The step of one parameter, after a step."""
        reading = self.read(group, part)
        assert reading is not None
        read_step, state = reading
        return read_step(state)

    def state_of(self, part: BoundParameter) -> dict[str, Tensor]:
        """The tensors in the optimizer's state for one parameter."""
        state = self._optimizer.state.get(part.parameter, {})
        return {
            key: value if isinstance(value, Tensor) else torch.tensor(value)
            for key, value in state.items()
            if isinstance(value, Tensor | int | float) and key != START
        }

    def _by_rule(self, group: Group, part: BoundParameter) -> Reading:
        rule = self.rule
        assert rule is not None
        buffered = self._bound.momentum.buffers.get(part.name, 1.0)
        return lambda state: rule(group, state, buffered), self.state_of(part)

    def _by_metric(self, group: Group, part: BoundParameter) -> Reading:
        assert self._metric is not None
        try:
            result = self._metric(self._optimizer, group, part.parameter)
            step = checked_step(xp, part.parameter, result)
        except (TypeError, ValueError) as error:
            raise type(error)(f"metric, for {part.name}: {error}") from None
        if isinstance(step, float) or not step.ndim:
            return lambda state: OwnStep(step, math.inf), {}
        return lambda state: OwnStep(state["step"], math.inf), {"step": step.clone()}


def _clip(own_step: OwnStep, share: float) -> OwnStep:
    return OwnStep(own_step.step * share, own_step.limit)
