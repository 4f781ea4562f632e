"""What "proximal" does after the optimizer's own update: a prox, or a step towards a target.

Both act in the optimizer's own step for each parameter, which is read from its state or given by
`metric`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties.arrays import checked_step
from shrinkage.torch.attaching.pairs import Pair, Pairs, named_in
from shrinkage.torch.attaching.pursuit import Pursuit
from shrinkage.torch.attaching.scores import ScoredUnits, Units
from shrinkage.torch.binding.bindings import BoundParameter, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.records import START
from shrinkage.torch.binding.target import Target
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.measured import Measurement, measured
from shrinkage.torch.facts.own_step import Group, Metric, Rule
from shrinkage.torch.facts.rules import check_no_decay, rule_for
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.tensors.smallest import Pool
from shrinkage.torch.tensors.updates import State

if TYPE_CHECKING:
    from shrinkage.torch.fused.after_step import FusedProx

LARGE = 1 << 14  # entries: below, torch operations are as fast
Share = Callable[[BoundParameter], float]  # the c by which clipping scales the gradient


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
        reading = (self._read_rule if self.rule else self._read_metric)(group, part)
        if share == 1.0:
            return reading

        def read_clipped(state: State) -> OwnStep:
            step, limit = reading.read_step(state)
            return OwnStep(step * share, limit)

        return Reading(read_clipped, reading.state)

    def of(self, group: Group, part: BoundParameter) -> OwnStep:
        """The step of one parameter, after a step."""
        reading = self.read(group, part)
        assert reading is not None
        return reading.read()

    def _read_rule(self, group: Group, part: BoundParameter) -> Reading:
        rule, buffered = self.rule, self._bound.momentum.buffers.get(part.name, 1.0)
        assert rule is not None
        tensors = {
            key: value if isinstance(value, Tensor) else torch.tensor(value)
            for key, value in self._optimizer.state.get(part.parameter, {}).items()
            if isinstance(value, Tensor | int | float) and key != START
        }
        return Reading(lambda state: rule(group, state, buffered), tensors)

    def _read_metric(self, group: Group, part: BoundParameter) -> Reading:
        assert self._metric is not None
        try:
            result = self._metric(self._optimizer, group, part.parameter)
            step = checked_step(xp, part.parameter, result)
        except (TypeError, ValueError) as error:
            raise type(error)(f"metric, for {part.name}: {error}") from None
        if isinstance(step, float) or not step.ndim:
            return Reading(lambda state: OwnStep(step, math.inf), {})
        return Reading(lambda state: OwnStep(state["step"], math.inf), {"step": step.clone()})


class Proximal:
    """The part of an attachment that acts after the step."""

    def __init__(
        self,
        bound: BoundModel,
        optimizer: Optimizer,
        pairs: Pairs,
        share: Share,
        metric: Metric | None,
        target: Target | None,
    ) -> None:
        self._bound, self._optimizer, self._share = bound, optimizer, share
        self._pairs, self._moved = pairs, 0
        self.own_steps = OwnSteps(bound, optimizer, metric)
        self._pursuit = None if target is None else Pursuit(bound, target, self._make_pool)

    def prepare(self) -> Callable[[], None] | None:
        """Before a step: what to do with its gradients once they are there, if anything."""
        for group in self._optimizer.param_groups:
            own_step.check_group(self._optimizer, group)
        self._bound.momentum.prepare(self._optimizer, named_in(self._pairs.pairs))
        measurement = self.own_steps.measurement
        if measurement is None:
            return None
        held = [w for _, _, w in named_in(self._pairs.pairs)]
        check_no_decay(self._optimizer, held)  # a schedule may have set one since attach
        measurement.note_weights(held)
        return lambda: measurement.note_gradients(held)

    def act_(self, moved: Sequence[Pair]) -> None:
        """Apply the penalties to what the optimizer has just moved."""
        self._bound.momentum.count(self._optimizer, named_in(moved))
        if self.own_steps.measurement is not None:
            self.own_steps.measurement.take((group, w) for group, _, w in named_in(moved))
        self._moved = len(moved)
        if self._pursuit is not None and not self._pursuit.target.is_reached:
            self._pursuit.step_(moved, self._read, self._prox_)
        elif self._pursuit is None or self._pursuit.has_one_factor:
            self._prox_(moved, self._bound.multiplier)
        else:
            for pair in moved:
                self._prox_([pair], self._pursuit.factor_of(pair[0]))

    def misfit(self) -> float:
        """How far the optimizer's moves are from its measured step times its gradients."""
        measurement = self.own_steps.measurement
        if measurement is None:
            return math.nan
        return measurement.misfit((group, w) for group, _, w in named_in(self._pairs.pairs))

    def forget(self) -> None:
        """Take what was measured out of the optimizer's state."""
        if self.own_steps.measurement is not None:
            self.own_steps.measurement.forget(w for _, w in self._bound.named_parameters())

    def _prox_(self, moved: Sequence[Pair], factor: float) -> None:
        rows = isinstance(self._optimizer, torch.optim.SparseAdam)
        left = moved
        if factor == self._bound.multiplier and len(moved) == self._moved:  # it acts on all
            left = self.own_steps.prox_in_one_pass_(moved, self._pairs.pairs)
        for pair in left:
            pair[0].prox_(self._read(pair), factor, rows=rows)

    def _make_pool(self, units: Units, pair: Pair, most: int) -> Pool:
        """The units as a pool of numbers: by compiled loops where these serve large weights."""
        pool = self._make_looped_pool(units, pair, most)
        return pool or ScoredUnits(units, self._read(pair), most)

    def _make_looped_pool(self, units: Units, pair: Pair, most: int) -> Pool | None:
        (part, *others), group = units.binding.parts, pair[1][0]
        w, rule = part.parameter, self.own_steps.rule
        if others or group is None or units.groups is not None or w.numel() < LARGE:
            return None
        # Numba takes seconds to import, so it waits until a step asks for it.
        from shrinkage.torch.fused.scored import LoopedEntries, worth_by_number, worth_under_adam

        scale = 1.0 / (float(units.price._price(1.0)) * self._share(part))
        if rule is own_step.adam:
            worth = worth_under_adam(w, group, self._optimizer.state[w], scale)
        elif rule is own_step.sgd:
            worth = worth_by_number(w, float(self.own_steps.of(group, part).step), scale)
        else:
            return None
        return None if worth is None else LoopedEntries(w, worth, most)

    def _read(self, pair: Pair) -> list[Reading | None]:
        """How the own step of each part is read."""
        binding, groups = pair
        return [
            self.own_steps.read(group, part, self._share(part))
            for group, part in zip(groups, binding.parts, strict=True)
        ]
