"""An attached penalty's prox after a step of torch's own SGD or Adam, in one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from torch import Tensor

from shrinkage.kernels.how import Kind, Update
from shrinkage.torch.binding.bound import Binding
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.fused.engine import OnePass
from shrinkage.torch.fused.parameters import Entry, is_plain
from shrinkage.torch.fused.plan import form_of

if TYPE_CHECKING:
    from shrinkage.torch.attaching.attachment import Attachment
    from shrinkage.torch.binding.bound import Bound

Held = Sequence[tuple["Bound", list[Group | None]]]


class Afterwards:
    """As an optimizer whose update does nothing, for the loops of `OnePass`."""


    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self._in_metric = attachment._rule is own_step.adam
        self._counts = "step" if self._in_metric else ""
        self._pass: OnePass | None = None
        self._made_from: object = None
        self._kept: object = None  # whose id is in `_made_from`
        self._lock = RLock()  # several threads may step the optimizer
        self._share = 1.0  # b, where every momentum buffer that moved holds b·g

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        return self.attachment.optimizer.state

    def prox_(self, held: Held) -> Held:
        """The prox where one pass will do; what is left."""
        with self._lock:
            if not self._serves(held):
                return held
            groups = self.attachment.optimizer.param_groups
            options = [(self._names(group), is_plain(group)) for group in groups]
            made_from = id(self.attachment._pairs), options
            if self._pass is None or made_from != self._made_from:
                self._made_from, self._kept = made_from, self.attachment._pairs
                pairs = [(one, groups[0]) for one, groups in self.attachment._pairs]
                self._pass = OnePass(
                    [
                        self._entry(group, one)
                        for one, group in pairs
                        if isinstance(one, Binding) and group is not None
                    ]
                )
            left = {id(entry.parameter) for entry in self._pass.step(self)}
            done = {id(entry.parameter) for entry in self._pass.entries} - left
            return [
                (one, groups)
                for one, groups in held
                if len(one.parts) > 1 or id(one.parts[0].parameter) not in done
            ]

    def _serves(self, held: Held) -> bool:
        """Whether the optimizer's own step is that of the loops, and the same for a whole group."""
        if self.attachment._rule not in (own_step.sgd, own_step.adam):
            return False
        buffers = self.attachment._memory.buffers
        shares = {buffers.get(one.parts[0].name, 1.0) for one, _ in held}
        if len(shares) == 1:
            (self._share,) = shares
        return len(shares) == 1

    def _entry(self, group: Group, binding: Binding) -> Entry:
        form = form_of(binding.penalty, tuple(binding.parameter.shape))
        penalized = binding.penalty, "proximal", self.attachment.regularizer
        return Entry(binding.name, binding.parameter, group, *penalized, form)

    def _names(self, group: Group) -> tuple[str, ...]:
        if not self._in_metric:
            return ()
        return ("max_exp_avg_sq",) if group["amsgrad"] else ("exp_avg_sq",)

    def _kind(self, entry: Entry) -> Kind:
        return entry.kind(Update.NONE_IN_METRIC if self._in_metric else Update.NONE)

    def _prepare(self, entry: Entry) -> None:
        """The optimizer has made its state."""

    def _numbers(self, entry: Entry) -> dict[str, float]:
        group, lr = entry.group, float(entry.group["lr"])
        factor = self.attachment.regularizer.factor
        if self._in_metric:
            eps, beta2 = group["eps"], float(group["betas"][1])
            adaptive = {"limit": 2.0 * lr, "step": lr, "beta2": beta2, "eps": eps}
            return {"lr": lr, "factor": factor, **adaptive}
        own = float(own_step.sgd(group, {}, self._share).step)
        return {"lr": lr, "factor": factor, "limit": math.inf, "step": own}
