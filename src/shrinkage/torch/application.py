"""The ways in which an attached penalty reaches the weights, on any torch.optim.Optimizer.

With factor f, strength lam and data gradient g:

- coupled: ``g + f·∂Ω(w)`` is what the optimizer sees: after any clipping, once a step, in the
  gradients' own scale under AMP, at each evaluation of a closure. Rests where J is least.
- decoupled: squares by ``w ← (1 − 2·scale·f·lam)·w`` before the update, L1 and groups by a soft
  threshold of scale·f·lam after it, others by ``w − scale·f·∂Ω(w)`` before it, where an entry that
  would change sign stops at 0.
- proximal: after the update ``w ← prox(w, s·f)`` with the optimizer's own step s (`metric`).

A parameter without a gradient is left alone, and so is every weight in a step that AMP skips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from shrinkage.torch.checks import ATTACHED, check_attachment
from shrinkage.torch.hooks import MARK, Nesting, watch_for_copies
from shrinkage.torch.metric import (
    Group,
    OwnStep,
    Rule,
    UserMetric,
    buffer_share,
    check_group,
    full_buffer_share,
    rule_for,
)
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
        self._first_lrs = [_first_lr(group) for group in optimizer.param_groups]
        self._hooks = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]
        optimizer.__dict__.setdefault(ATTACHED, []).append(self)
        optimizer.defaults[MARK] = how
        regularizer._attachment = self
        watch_for_copies()

    def detach(self) -> None:
        """Take the penalty off the optimizer; a second call does nothing."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        others = self.optimizer.__dict__.get(ATTACHED, [])
        if self in others:
            others.remove(self)
        if not others:
            for group in (self.optimizer.defaults, *self.optimizer.param_groups):
                group.pop(MARK, None)
        if self.regularizer._attachment is self:
            self.regularizer._attachment = None

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
        self._check_held()
        if _skipped(optimizer):
            return None
        if self.how == "proximal":
            self._settle_buffers()
            return None
        act = self._add_gradients if self.how == "coupled" else self._decay
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        # LBFGS evaluates its closure many times a step, so a decay can only come before them all.
        if closure is None or (self.how == "decoupled" and isinstance(optimizer, LBFGS)):
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
            for group, binding in self._held():
                self._prox(group, binding)
        elif self.how == "decoupled":
            for group, binding in self._held():
                threshold_(binding.parameter, binding.penalty, self.amount(group))
        self.regularizer.step()

    def _add_gradients(self) -> None:
        scale = getattr(self.optimizer, "grad_scale", None)  # under AMP, inside a fused step
        factor = self.regularizer.factor
        if scale is not None:
            factor *= float(scale)
        for group, binding in self._held():
            sign = -1.0 if group.get("maximize") else 1.0
            add_gradient_(binding.name, binding.parameter, binding.penalty, sign * factor)

    def _decay(self) -> None:
        for group, binding in self._held():
            decay_(binding.parameter, binding.penalty, self.amount(group))

    def amount(self, group: Group) -> float | Tensor:
        """What a decoupled strength is multiplied by in this group, now."""
        factor = self.regularizer.factor
        if self.scale == "none":
            return factor
        lr = group["lr"] if factor == 1.0 else factor * group["lr"]
        if self.scale == "lr":
            return lr  # type: ignore[no-any-return]
        groups = self.optimizer.param_groups
        self._first_lrs += [_first_lr(group) for group in groups[len(self._first_lrs) :]]
        number = next(number for number, other in enumerate(groups) if other is group)
        return lr / self._first_lrs[number]  # type: ignore[no-any-return]

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
            step = metric(self.optimizer, group, binding.parameter)
            return lambda state: OwnStep(step, math.inf)
        buffered = self.regularizer._buffers.get(binding.name, 1.0)
        return lambda state: rule(group, state, buffered)

    def _prox(self, group: Group, binding: Binding) -> None:
        check_group(self.optimizer, group)
        if isinstance(self.optimizer, torch.optim.SGD) and group["momentum"]:
            buffers = self.regularizer._buffers
            buffers[binding.name] = buffer_share(group, buffers.get(binding.name))
        own, state = self._reader(group, binding), self.state_of(binding)
        if self.metric is not None:
            step = own(state)
            penalty, parameter = binding.penalty, binding.parameter
            parameter.copy_(limited_prox(parameter, penalty, step, self.regularizer.factor))
            return
        apply = prox_rows_ if isinstance(self.optimizer, torch.optim.SparseAdam) else prox_
        apply(binding.parameter, binding.penalty, own, state, self.regularizer.factor)

    def _settle_buffers(self) -> None:
        """Momentum buffers that this regularizer did not see fill count as full or empty."""
        if not isinstance(self.optimizer, torch.optim.SGD):
            return
        buffers = self.regularizer._buffers
        for group, binding in self._held():
            state = self.optimizer.state.get(binding.parameter, {})
            if state.get("momentum_buffer") is None:
                buffers.pop(binding.name, None)
            elif binding.name not in buffers:
                check_group(self.optimizer, group)
                buffers[binding.name] = full_buffer_share(group)

    def _held(self) -> Iterator[tuple[Group, Binding]]:
        """The penalized parameters that have a gradient, once each, with their groups."""
        bound = {binding.parameter: binding for binding in self.regularizer.active}
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter in bound:
                    yield group, bound.pop(parameter)

    def _check_held(self) -> None:
        held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        for binding in self.regularizer.active:
            if id(binding.parameter) not in held:
                raise RuntimeError(
                    f"{binding.name} is penalized but {type(self.optimizer).__name__} does not "
                    "hold it: the model has changed since attach(); give it to the optimizer with "
                    "add_param_group(), or build both anew"
                )

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


def _first_lr(group: Group) -> float:
    return float(group["initial_lr"] if "initial_lr" in group else group["lr"])


def _skipped(optimizer: Optimizer) -> bool:
    """Whether AMP's scaler found infinite gradients: a fused optimizer then steps nowhere."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
