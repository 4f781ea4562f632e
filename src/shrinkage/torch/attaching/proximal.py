"""What "proximal" does after the optimizer's own update: a prox, or a step towards a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.optim import Optimizer

from shrinkage.torch.attaching.own_steps import OwnSteps
from shrinkage.torch.attaching.pairs import Pair, Pairs, named_in
from shrinkage.torch.attaching.pursuit import Pursuit
from shrinkage.torch.binding.bindings import BoundParameter, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.target import Target
from shrinkage.torch.facts.own_step import UserMetric

Share = Callable[[BoundParameter], float]  # the c by which clipping scales the gradient


class Proximal:
    """The part of an attachment that acts after the step."""

    def __init__(
        self,
        bound: BoundModel,
        optimizer: Optimizer,
        pairs: Pairs,
        share: Share,
        metric: UserMetric | None,
        target: Target | None,
    ) -> None:
        self._bound, self._optimizer, self._share = bound, optimizer, share
        self._pairs, self._moved = pairs, 0
        self.own_steps = OwnSteps(bound, optimizer, metric)
        self._pursuit = None if target is None else Pursuit(bound, target)

    def act_(self, moved: Sequence[Pair]) -> None:
        """Apply the penalties to what the optimizer has just moved."""
        self._bound.momentum.count(self._optimizer, named_in(moved))
        self._moved = len(moved)
        if self._pursuit is not None and not self._pursuit.target.is_reached:
            self._pursuit.step_(moved, self._read, self._prox_)
        elif self._pursuit is None or self._pursuit.has_one_factor:
            self._prox_(moved, self._bound.multiplier)
        else:
            for pair in moved:
                self._prox_([pair], self._pursuit.factor_of(pair[0]))

    def _prox_(self, moved: Sequence[Pair], factor: float) -> None:
        rows = isinstance(self._optimizer, torch.optim.SparseAdam)
        left = moved
        if factor == self._bound.multiplier and len(moved) == self._moved:  # it acts on all
            left = self.own_steps.prox_in_one_pass_(moved, self._pairs.pairs)
        for pair in left:
            pair[0].prox_(self._read(pair), factor, rows=rows)

    def _read(self, pair: Pair) -> list[Reading | None]:
        """How the own step of each part is read."""
        binding, groups = pair
        return [
            self.own_steps.read(group, part, self._share(part))
            for group, part in zip(groups, binding.parts, strict=True)
        ]
