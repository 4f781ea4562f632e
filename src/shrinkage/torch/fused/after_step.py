"""An attached penalty's prox after a step of torch's own SGD or Adam, in one pass over memory.

It buys the benchmark's row "L1 attached to torch's optimizer, proximal".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING

from torch import Tensor

from shrinkage.torch.binding.bound import Binding
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, OwnStep
from shrinkage.torch.fused import adam
from shrinkage.torch.fused.engine import OnePass
from shrinkage.torch.fused.parameters import Entry, is_plain
from shrinkage.torch.fused.plan import form_of
from shrinkage.torch.fused.rule import State, UpdateRule, make_no_state, use_no_state

if TYPE_CHECKING:
    from shrinkage.torch.attaching.attachment import Attachment
    from shrinkage.torch.binding.bound import Bound

Held = Sequence[tuple["Bound", list[Group | None]]]


def _make_no_update(
    entries: Sequence[Entry], states: list[State], weights: list[Tensor], gradients: list[Tensor]
) -> None:
    """The optimizer has made its update already."""


def _variance_names(group: Group) -> tuple[str, ...]:
    return ("max_exp_avg_sq",) if group["amsgrad"] else ("exp_avg_sq",)


IN_ADAMS_METRIC = UpdateRule(
    name="still",
    state_names=_variance_names,
    prepare=make_no_state,
    numbers=adam.numbers,
    own_step=adam.find_own_step,
    by_torch=_make_no_update,
    variant=lambda group: True,
    count_name="step",
)


class Afterwards:
    """The prox of an attachment by compiled loops, where its optimizer's own step is theirs."""

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.engine: OnePass | None = None
        self._made_from: object = None
        self._pairs: object = None  # whose id is in `_made_from`
        self._lock = RLock()  # several threads may step the optimizer
        self._share = 1.0  # b, where every momentum buffer that moved holds b·g
        self._rule = IN_ADAMS_METRIC if attachment._rule is own_step.adam else self._after_sgd()

    def _after_sgd(self) -> UpdateRule:
        """The rule of a prox after SGD, whose own step is read from the share of its buffers."""

        def find_own_step(group: Group, state: State) -> OwnStep:
            return own_step.sgd(group, state, self._share)

        def numbers(entry: Entry) -> tuple[float, ...]:
            step = float(find_own_step(entry.group, {}).step)
            return (1.0, float(entry.group["lr"]), entry.factor, 0.0, math.inf, step)

        return UpdateRule(
            name="still",
            state_names=use_no_state,
            prepare=make_no_state,
            numbers=numbers,
            own_step=find_own_step,
            by_torch=_make_no_update,
            variant=lambda group: False,
            is_euclidean=True,
        )

    def prox_(self, held: Held) -> Held:
        """Apply the prox where one pass will do; return what is left."""
        with self._lock:
            if not self._serves(held):
                return held
            groups = self.attachment.optimizer.param_groups
            options = [(self._rule.state_names(group), is_plain(group)) for group in groups]
            made_from = id(self.attachment._pairs), options
            if self.engine is None or made_from != self._made_from:
                self._made_from, self._pairs = made_from, self.attachment._pairs
                pairs = [(bound, groups[0]) for bound, groups in self.attachment._pairs]
                self.engine = OnePass(
                    self._rule,
                    [
                        self._entry(group, bound)
                        for bound, group in pairs
                        if isinstance(bound, Binding) and group is not None
                    ],
                )
            rest = self.engine.step(self.attachment.optimizer.state)
            left = {id(entry.parameter) for entry in rest}
            done = {id(entry.parameter) for entry in self.engine.entries} - left
            return [
                (bound, groups)
                for bound, groups in held
                if len(bound.parts) > 1 or id(bound.parts[0].parameter) not in done
            ]

    def _serves(self, held: Held) -> bool:
        """Whether the optimizer's own step is that of the loops, and the same for a whole group."""
        if self.attachment._rule not in (own_step.sgd, own_step.adam):
            return False
        buffers = self.attachment._memory.buffers
        shares = {buffers.get(bound.parts[0].name, 1.0) for bound, _ in held}
        if len(shares) == 1:
            (self._share,) = shares
        return len(shares) == 1

    def _entry(self, group: Group, binding: Binding) -> Entry:
        form = form_of(binding.penalty, tuple(binding.parameter.shape))
        penalized = binding.penalty, "proximal", self.attachment.regularizer
        return Entry(binding.name, binding.parameter, group, *penalized, form)
