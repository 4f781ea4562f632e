"""What "proximal" does after the optimizer's own update: a prox in the optimizer's own step.

That step is read from the optimizer's state for each parameter, or given by `metric`.
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
from shrinkage.torch.attaching.scores import ScoredUnits, Units
from shrinkage.torch.binding.bindings import BoundParameter, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint_records import START
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


class Proximal:
    """Applies the prox by how far the optimizer moves a parameter for each unit of its gradient.

    This comes from `metric` where the user gives a function, else from the rule for the optimizer.
    """

    def __init__(
        self,
        bound: BoundModel,
        optimizer: Optimizer,
        pairs: Pairs,
        share: Share,
        metric: Metric | None,
    ) -> None:
        self._bound, self._optimizer, self._pairs, self._share = bound, optimizer, pairs, share
        self._metric = metric if callable(metric) else None
        self.rule: Rule | None = None
        if self._metric is None:
            parameters = [parameter for _, parameter in bound.named_parameters()]
            self.rule = rule_for(optimizer, metric, parameters)
        self._measurement = Measurement(optimizer) if self.rule is measured else None
        self._moved = 0  # how many pairs the last step has moved
        self._loops: FusedProx | None = None

    def prepare(self) -> Callable[[], None] | None:
        """Before a step: what to do with its gradients once they are there, if anything."""
        for group in self._optimizer.param_groups:
            own_step.check_group(self._optimizer, group)
        self._bound.momentum.prepare(self._optimizer, named_in(self._pairs.pairs))
        measurement = self._measurement
        if measurement is None:
            return None
        held = [w for _, _, w in named_in(self._pairs.pairs)]
        check_no_decay(self._optimizer, held)  # a schedule may have set one since attach
        measurement.note_weights(held)
        return lambda: measurement.note_gradients(held)

    def note_moves(self, moved: Sequence[Pair]) -> None:
        """After a step: note what the optimizer has moved, and how far."""
        self._moved = len(moved)
        self._bound.momentum.count(self._optimizer, named_in(moved))
        if self._measurement is not None:
            self._measurement.take((group, w) for group, _, w in named_in(moved))

    def misfit(self) -> float:
        """How far the optimizer's moves are from its measured step times its gradients."""
        if self._measurement is None:
            return math.nan
        return self._measurement.misfit((group, w) for group, _, w in named_in(self._pairs.pairs))

    def forget(self) -> None:
        """Take what was measured out of the optimizer's state."""
        if self._measurement is not None:
            self._measurement.forget(w for _, w in self._bound.named_parameters())

    def act_(self, moved: Sequence[Pair]) -> None:
        """Apply the penalties to what the optimizer has just moved."""
        self.note_moves(moved)
        self.apply_(moved, self._bound.multiplier)

    def apply_(self, pairs: Sequence[Pair], factor: float) -> None:
        """Apply the penalties of `pairs`, with their strengths times `factor`."""
        if factor == self._bound.multiplier and len(pairs) == self._moved:  # it acts on all
            pairs = self.apply_in_one_pass_(pairs)
        rows = isinstance(self._optimizer, torch.optim.SparseAdam)
        for pair in pairs:
            pair[0].prox_(self.read(pair), factor, rows=rows)

    def apply_in_one_pass_(self, pairs: Sequence[Pair]) -> Sequence[Pair]:
        """Apply the penalties of all that has moved by compiled loops where these can.

        Returns the others.
        """
        if self.rule not in (own_step.sgd, own_step.adam):
            return pairs
        if self._loops is None:
            # Numba takes seconds to import, so it waits until a step asks for it.
            from shrinkage.torch.fused.after_step import FusedProx

            self._loops = FusedProx(self._bound, self._optimizer, self.rule)
        return self._loops.prox_(pairs, self._pairs.pairs)

    def read(self, pair: Pair) -> list[Reading | None]:
        """How the own step of each part is read; None for a part that stays.

        The c of the gradient's clipping scales the strength, but not the limit on how far a prox
        may move an entry.
        """
        binding, groups = pair
        readings: list[Reading | None] = []
        for group, part in zip(groups, binding.parts, strict=True):
            reading = None if group is None else self._read(group, part)
            share = self._share(part)
            if reading is not None and share != 1.0:
                reading = _scale(reading, share)
            readings.append(reading)
        return readings

    def own_step(self, group: Group, part: BoundParameter) -> OwnStep:
        """The step of one parameter, after a step."""
        return self._read(group, part).read()

    def _read(self, group: Group, part: BoundParameter) -> Reading:
        rule = self.rule
        if rule is None:
            return self._read_metric(group, part)
        buffered = self._bound.momentum.buffers.get(part.name, 1.0)
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

    def make_pool(self, units: Units, pair: Pair, most: int) -> Pool:
        """The units as a pool of numbers: by compiled loops where these serve large weights."""
        (part, *others), group = units.binding.parts, pair[1][0]
        w, rule = part.parameter, self.rule
        is_large = not others and units.groups is None and w.numel() >= LARGE
        if is_large and group is not None and rule in (own_step.adam, own_step.sgd):
            # Numba takes seconds to import, so it waits until a step asks for it.
            from shrinkage.torch.fused.scored import (
                LoopedEntries,
                worth_by_number,
                worth_under_adam,
            )

            scale = 1.0 / (float(units.price._price(1.0)) * self._share(part))
            if rule is own_step.adam:
                worth = worth_under_adam(w, group, self._optimizer.state[w], scale)
            else:
                worth = worth_by_number(w, float(self.own_step(group, part).step), scale)
            if worth is not None:
                return LoopedEntries(w, worth, most)
        return ScoredUnits(units, self.read(pair), most)


def _scale(reading: Reading, share: float) -> Reading:
    def read_clipped(state: State) -> OwnStep:
        step, limit = reading.read_step(state)
        return OwnStep(step * share, limit)

    return Reading(read_clipped, reading.state)
