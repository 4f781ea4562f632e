"""What "proximal" does after the optimizer's own update: a prox, or a step towards a target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.optim import Optimizer

from shrinkage.torch.attaching.own_steps import OwnSteps
from shrinkage.torch.attaching.pairs import Pair, Pairs, named_in
from shrinkage.torch.attaching.pursuit import Pursuit
from shrinkage.torch.attaching.scores import ScoredUnits, Units
from shrinkage.torch.binding.bindings import BoundParameter, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.target import Target
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Metric
from shrinkage.torch.facts.rules import check_no_decay
from shrinkage.torch.tensors.smallest import Pool

LARGE = 1 << 14  # entries: below, torch operations are as fast
Share = Callable[[BoundParameter], float]  # the c by which clipping scales the gradient


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
