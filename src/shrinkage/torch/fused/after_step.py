"""An attached penalty's prox after a step of torch's own SGD or Adam, in one pass over memory.

`benchmarks/step.py`, the row "L1 attached".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import RLock

from torch import Tensor
from torch.optim import Optimizer

from shrinkage.kernels.kind import Update
from shrinkage.torch.binding.bindings import Binding, SingleBinding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, Rule
from shrinkage.torch.fused import adam
from shrinkage.torch.fused.engine import Engine
from shrinkage.torch.fused.parameters import Entry, is_plain
from shrinkage.torch.fused.report import EngineReport
from shrinkage.torch.fused.rule import State, UpdateRule, leave_state
from shrinkage.torch.tensors.kinds import OwnStep

Pairs = Sequence[tuple[Binding, list[Group | None]]]


def _make_no_update(
    entries: Sequence[Entry], states: list[State], weights: list[Tensor], gradients: list[Tensor]
) -> None:
    """The optimizer has made its update already."""


AFTER_ADAM = UpdateRule(
    name="prox",
    state_names=lambda group: ("max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq",),
    prepare=leave_state,
    numbers=adam.numbers,
    own_step=adam.find_own_step,
    count_step=leave_state,
    by_torch=_make_no_update,
    update=lambda group: Update.NONE_IN_METRIC,
    count_name="step",
)


class FusedProx:
    """The prox of an attachment by compiled loops, where its optimizer is SGD or Adam."""

    def __init__(self, bound: BoundModel, optimizer: Optimizer, rule: Rule) -> None:
        self.bound, self.optimizer = bound, optimizer
        self.rule = AFTER_ADAM if rule is own_step.adam else self._make_rule_after_sgd()
        self.engine: Engine | None = None
        self._made_from: object = None
        self._pairs: object = None  # whose id is in `_made_from`
        self._lock = RLock()  # several threads may step the optimizer
        self._share = 1.0  # b, where every momentum buffer that moved holds b·g

    def _make_rule_after_sgd(self) -> UpdateRule:
        """The rule whose own step is read from how full the momentum buffers are."""

        def find_own_step(group: Group, state: State) -> OwnStep:
            return own_step.sgd(group, state, self._share)

        def numbers(entry: Entry) -> dict[str, float]:
            step = float(find_own_step(entry.group, {}).step)
            return {"factor": entry.factor, "limit": math.inf, "step": step}

        return UpdateRule(
            name="prox",
            state_names=lambda group: (),
            prepare=leave_state,
            numbers=numbers,
            own_step=find_own_step,
            count_step=leave_state,
            by_torch=_make_no_update,
            update=lambda group: Update.NONE,
            is_euclidean=True,
        )

    def prox_(self, moved: Pairs, pairs: Pairs) -> Pairs:
        """Apply the prox of `moved` where one pass can; return the others.

        `pairs` has the frozen parameters too.
        """
        with self._lock:
            if not self._has_one_share(moved):
                return moved
            groups = self.optimizer.param_groups
            options = [(self.rule.state_names(group), is_plain(group)) for group in groups]
            made_from = id(pairs), options
            if self.engine is None or made_from != self._made_from:
                self._made_from, self._pairs = made_from, pairs
                entries = [
                    Entry(b.name, b.parameter, groups[0], b.penalty, "proximal", self.bound)
                    for b, groups in pairs
                    if isinstance(b, SingleBinding) and groups[0] is not None
                ]
                self.engine = Engine(self.rule, entries)
            left = {id(entry.parameter) for entry in self.engine.step(self.optimizer.state)}
            done = {id(entry.parameter) for entry in self.engine.entries} - left
            return [
                (binding, groups)
                for binding, groups in moved
                if len(binding.parts) > 1 or id(binding.parts[0].parameter) not in done
            ]

    def engine_report(self) -> EngineReport:
        """Which prox is applied in one pass and which by torch operations; empty before a step."""
        engine = self.engine or Engine(self.rule, [])
        return engine.describe(self.optimizer.state)

    def _has_one_share(self, moved: Pairs) -> bool:
        """Whether all momentum buffers that moved are equally full; store how full they are."""
        fill = self.bound.momentum.buffers
        shares = {fill.get(binding.parts[0].name, 1.0) for binding, _ in moved}
        if len(shares) == 1:
            (self._share,) = shares
        return len(shares) == 1
