"""The ways in which an attached penalty reaches the weights, on any torch.optim.Optimizer.

With factor f, strength lam and data gradient g:

- coupled: ``g + f·∂Ω(w)`` is what the optimizer sees: after any clipping, once a step, in the
  gradients' own scale under AMP, at each evaluation of a closure. Rests where J is least. It stays
  in `.grad`, as it would from the loss: renew the gradients between steps, as for the loss.
- decoupled: squares by ``w ← (1 − 2·scale·f·lam)·w`` before the update, L1 and groups by a soft
  threshold of scale·f·lam after it, others by ``w − scale·f·∂Ω(w)`` before it, where an entry that
  would change sign stops at 0.
- proximal: after the update ``w ← prox(w, s·f)`` with the optimizer's own step s (`metric`).

A parameter without a gradient is left alone, and so is every weight in a step that AMP skips.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from shrinkage.penalties.arrays import checked_step
from shrinkage.torch.checks import check_attachment
from shrinkage.torch.hooks import Nesting, mark, unmark
from shrinkage.torch.inside.afterwards import Afterwards
from shrinkage.torch.metric import Group, OwnStep, Rule, UserMetric, check_group, rule_for
from shrinkage.torch.updates import (
    add_gradient_,
    decay_,
    limited_prox,
    prox_,
    prox_rows_,
    threshold_,
)

if TYPE_CHECKING:
    from shrinkage.torch.binding import Binding
    from shrinkage.torch.regularizer import Regularizer


class Attachment:
    """A penalty at work in an optimizer; made by `Regularizer.attach`.

    As a context manager it detaches at the end:

    >>> import torch
    >>> from shrinkage import L1
    >>> from shrinkage.torch import Regularizer
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Regularizer(model, L1(0.1)).attach(optimizer, how="proximal") as attachment:
    ...     print(attachment)
    proximal in SGD: rests at the minimum of J = data loss + Ω; exact zeros
    """

    def __init__(
        self,
        regularizer: Regularizer,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None,
        metric: UserMetric | None,
    ) -> None:
        check_attachment(regularizer, optimizer, how, scale=scale, metric=metric)
        self.regularizer = regularizer
        self.optimizer = optimizer
        self.how = how
        self.scale = (scale or "lr") if how == "decoupled" else None
        self.metric = metric
        self._nesting = Nesting()
        self._rule: Rule | None = None
        if how == "proximal" and metric is None:
            self._rule = rule_for(optimizer)
        self._pairs: list[tuple[Group, Binding]] = []
        self._paired: tuple[object, ...] = ()  # what `_pairs` was made from
        self._memory = regularizer._memory
        self._memory.begin(optimizer)
        self._afterwards = Afterwards(self)
        self._hooks: list[Any] = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
            optimizer.register_load_state_dict_post_hook(self._memory.forget_buffers),
        ]
        mark(optimizer, self)
        regularizer._attachment = self

    def detach(self) -> None:
        """Take the penalty off the optimizer; a second call does nothing."""
        if not self._hooks:
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        unmark(self.optimizer, self)
        self._memory.end()
        self.regularizer.detach()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        from shrinkage.torch.table import objective

        if not self._hooks:
            return f"{self.how} in {type(self.optimizer).__name__}: detached"
        return f"{self.how} in {type(self.optimizer).__name__}: {objective(self)}"

    @torch.no_grad()
    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._nesting.enters(optimizer):
            return None
        self.regularizer._refresh()
        self._pair()
        if _skipped(optimizer):
            return None
        if self.how == "proximal":
            for group in optimizer.param_groups:
                check_group(optimizer, group)
            self._memory.settle(optimizer, self._pairs)
            return None
        act = self._add_gradients if self.how == "coupled" else self._decay
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        # LBFGS evaluates its closure many times a step, so a decay can only come before them all.
        if self.how == "decoupled" and isinstance(optimizer, LBFGS):
            self._decay(without_gradient=True)
            return None
        if closure is None:
            act()
            return None
        wrapped = self._wrap(closure, act)
        if len(args) > 1:
            return (args[0], wrapped, *args[2:]), kwargs
        return args, {**kwargs, "closure": wrapped}

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        if not self._nesting.leaves() or _skipped(optimizer):
            return
        if self.how == "proximal":
            held = self._held()
            for group, binding in held:
                self._memory.count(self.optimizer, group, binding.name)
            for group, binding in self._afterwards.prox_(held):
                self._prox(group, binding)
        elif self.how == "decoupled":
            for group, binding in self._held():
                threshold_(binding.parameter, binding.penalty, self.amount(group))
        self.regularizer._advance()

    def _add_gradients(self) -> None:
        scale = getattr(self.optimizer, "grad_scale", None)  # under AMP, inside a fused step
        factor = self.regularizer.factor
        if scale is not None:
            factor *= float(scale)
        for group, binding in self._held():
            sign = -1.0 if group.get("maximize") else 1.0
            add_gradient_(binding.name, binding.parameter, binding.penalty, sign * factor)

    def _decay(self, *, without_gradient: bool = False) -> None:
        for group, binding in self._pairs if without_gradient else self._held():
            decay_(binding.parameter, binding.penalty, self.amount(group))

    def amount(self, group: Group, lr: float | Tensor | None = None) -> float | Tensor:
        """What a decoupled strength is multiplied by in this group, now or at another `lr`."""
        factor = self.regularizer.factor
        if self.scale == "none":
            return factor
        lr = group["lr"] if lr is None else lr
        times = lr if factor == 1.0 else factor * lr
        return times if self.scale == "lr" else times / self._memory.first_lr(self.optimizer, group)

    def own_step(self, group: Group, binding: Binding) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        return self._reader(group, binding)(self.state_of(binding))

    def state_of(self, binding: Binding) -> dict[str, Tensor]:
        """The tensors in the optimizer's state for one parameter."""
        state = self.optimizer.state.get(binding.parameter, {})
        return {
            key: value if isinstance(value, Tensor) else torch.tensor(value)
            for key, value in state.items()
            if isinstance(value, Tensor | int | float)
        }

    def _reader(self, group: Group, binding: Binding) -> Callable[[dict[str, Tensor]], OwnStep]:
        rule, metric = self._rule, self.metric
        if rule is None:
            assert metric is not None
            given = metric(self.optimizer, group, binding.parameter)
            try:
                step = checked_step(xp, binding.parameter, given)
            except (TypeError, ValueError) as error:
                raise type(error)(f"metric, for {binding.name}: {error}") from None
            return lambda state: OwnStep(step, math.inf)
        buffered = self._memory.buffers.get(binding.name, 1.0)
        return lambda state: rule(group, state, buffered)

    def _prox(self, group: Group, binding: Binding) -> None:
        own, state = self._reader(group, binding), self.state_of(binding)
        parameter, penalty = binding.parameter, binding.penalty
        factor = self.regularizer.factor
        if self.metric is not None:
            parameter.copy_(limited_prox(parameter, penalty, own(state), factor))
            return
        apply = prox_rows_ if isinstance(self.optimizer, torch.optim.SparseAdam) else prox_
        apply(parameter, penalty, own, state, factor)

    def _held(self) -> list[tuple[Group, Binding]]:
        """The penalized parameters that have a gradient, with their groups."""
        return [
            (group, binding)
            for group, binding in self._pairs
            if binding.parameter.grad is not None and binding.parameter.requires_grad
        ]

    def _pair(self) -> None:
        """Match penalized parameters with the optimizer's groups, once each."""
        groups, bindings = self.optimizer.param_groups, self.regularizer.bindings
        made_from = (bindings, *groups, *(len(group["params"]) for group in groups))
        if len(made_from) == len(self._paired) and all(map(_same, made_from, self._paired)):
            return
        bound = {binding.parameter: binding for binding in bindings}
        self._pairs = [
            (group, bound.pop(parameter))
            for group in groups
            for parameter in group["params"]
            if parameter in bound
        ]
        for binding in bound.values():
            if binding.parameter.requires_grad:
                raise RuntimeError(
                    f"{binding.name} is penalized but {type(self.optimizer).__name__} does not "
                    "hold it: the model has changed since attach(); give it to the optimizer with "
                    "add_param_group(), or build both anew"
                )
        if not bound:  # a frozen one may thaw
            self._paired = made_from

    def _wrap(self, closure: Callable[[], Any], act: Callable[[], None]) -> Callable[[], Any]:
        """The closure with ∂Ω in its gradients and Ω in its loss, or with a decay after the first
        evaluation, which is where the optimizer itself would decay."""
        calls = 0

        def wrapped() -> Any:
            nonlocal calls
            with torch.enable_grad():
                loss = closure()
            calls += 1
            if self.how == "coupled" or calls == 1:
                with torch.no_grad():
                    act()
            if self.how == "coupled" and loss is not None:
                maximized = any(group.get("maximize") for group in self.optimizer.param_groups)
                return loss + (-1.0 if maximized else 1.0) * self.regularizer.value()
            return loss

        return wrapped


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, int) and one == other)


def _skipped(optimizer: Optimizer) -> bool:
    """Whether AMP's scaler found infinite gradients: a fused optimizer then steps nowhere."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
