"""How an attached penalty acts on the weights in a step of any torch.optim.Optimizer.

With factor f, strength lam and data gradient g:

- coupled: the optimizer sees ``g + f·∂Ω(w)``, once a step and after any clipping, in the gradients'
  own scale under AMP, and at each evaluation of a closure. It converges to the minimum of J. ∂Ω
  stays in `.grad`, as it would from the loss: renew the gradients between steps, as for the loss.
- decoupled: squares by ``w ← (1 − 2·scale·f·lam)·w`` before the update, L1 and groups by a soft
  threshold of scale·f·lam after it, others by ``w − scale·f·∂Ω(w)`` before it, where an entry that
  would change sign stops at 0.
- proximal: after the update ``w ← prox(w, s·f)`` with the optimizer's own step s (`metric`).

With gradients that were clipped to c·g (`clipping`), coupled and proximal strengths are multiplied
by the same c in that step, and so are decoupled ones under SGD with ``scale="lr"``.

No penalty acts on a parameter without a gradient, nor on any weight in a step that AMP skips.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, SGD, Optimizer

from shrinkage.torch.attaching.checks import check_attachment, check_target
from shrinkage.torch.attaching.hooks import Nesting, mark, unmark
from shrinkage.torch.attaching.pairs import Pairs, named_in
from shrinkage.torch.attaching.proximal import Proximal
from shrinkage.torch.attaching.pursuit import Pursuit
from shrinkage.torch.binding.bindings import BoundParameter, Update
from shrinkage.torch.binding.bound_model import BoundModel, attachments_of
from shrinkage.torch.binding.checkpoint import carry, stop_carrying
from shrinkage.torch.binding.checkpoint_records import state_of, store_starts
from shrinkage.torch.binding.clip_watch import ClipWatch
from shrinkage.torch.binding.clipping import clip_, clipped_share, forget_clipping, scales_strength
from shrinkage.torch.binding.max_norm import checked_max_norm, describe_clipping
from shrinkage.torch.binding.target import Target
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, Metric, sign_of
from shrinkage.torch.facts.scale import decoupled_amount
from shrinkage.torch.facts.special_steps import grad_scale_of, is_initializing, skips_step
from shrinkage.torch.facts.wrappers import inner_optimizer
from shrinkage.torch.private import skip_compiling
from shrinkage.torch.schedules import Schedule
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.tensors.updates import decay_, threshold_
from shrinkage.torch.wording.effects import describe_objective


class Attachment:
    """A penalty attached to an optimizer; `Regularizer.attach` makes it.

    As a context manager it detaches at the end:

    >>> import torch
    >>> from shrinkage import L1
    >>> from shrinkage.torch import Regularizer
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Regularizer(model, L1(0.1)).attach(optimizer, how="proximal") as attachment:
    ...     print(attachment)
    proximal in SGD: converges to the minimum of J = data loss + Ω; exact zeros
    >>> attachment = Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    >>> group, part = optimizer.param_groups[0], attachment.bound.bindings[0].parts[0]
    >>> attachment.own_step(group, part).step  # what the strength of a prox is multiplied by
    0.1
    >>> attachment.misfit()  # SGD's own step is known, so it is not measured
    nan
    >>> attachment.detach()
    >>> Regularizer(model, L1(0.1)).attach(optimizer, how="decoupled").amount(group)
    0.1
    """

    def __init__(
        self,
        bound: BoundModel,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None,
        schedule: Schedule | None,
        metric: Metric | None,
        max_norm: float | None,
        target: Target | None = None,
    ) -> None:
        optimizer = inner_optimizer(optimizer)
        check_attachment(bound, optimizer, how, scale=scale, metric=metric, max_norm=max_norm)
        if target is not None:
            check_target(bound, optimizer, how, schedule)
        self.bound = bound
        self.optimizer = optimizer
        self.how = how
        self.scale = (scale or "lr") if how == "decoupled" else None
        self.metric = metric
        self.max_norm = checked_max_norm(max_norm)
        self.stepped_by: str | None = None  # another optimizer, since this one's last step
        self._is_clipped = scales_strength(how, self.scale, is_sgd=isinstance(optimizer, SGD))
        self._watch = ClipWatch() if self._is_clipped else None
        self._nesting = Nesting()
        self._pairs = Pairs(bound, optimizer)
        self._proximal: Proximal | None = None
        self._pursuit: Pursuit | None = None
        if how == "proximal":
            self._proximal = Proximal(bound, optimizer, self._pairs, self._share, metric)
            if target is not None:
                self._pursuit = Pursuit(bound, target, self._proximal)
        self._momentum = bound.momentum
        self._initializes = False  # whether this step only makes the optimizer's state
        self._before_schedule = None if schedule is None else (bound.schedule, bound.factor)
        self._end = self._begin(schedule, target)

    def _begin(self, schedule: Schedule | None, target: Target | None) -> Callable[[], None]:
        """Install the hooks, or restore everything and raise; returns what removes them."""
        bound, optimizer, momentum = self.bound, self.optimizer, vars(self._momentum)
        with ExitStack() as on_error:
            at_end = on_error.enter_context(ExitStack())
            on_error.callback(bound.restore_schedule, bound.schedule, bound.factor, bound.steps)
            on_error.callback(momentum.update, copy.deepcopy(momentum))
            if schedule is not None:
                bound.schedule = schedule
            self._momentum.start(optimizer)
            bound.pursue(target)
            at_end.callback(setattr, bound, "target", None)
            at_end.callback(optimizer.register_step_pre_hook(self._before).remove)
            at_end.callback(optimizer.register_step_post_hook(self._after).remove)
            mark(optimizer, self)
            at_end.callback(unmark, optimizer, self)
            on_error.callback(setattr, bound, "host", None)
            bound.host = self
            carry(optimizer, bound, self._describe_losses)
            at_end.callback(stop_carrying, optimizer, bound)
            self._is_at_work = True
            on_error.pop_all()
            return at_end.close

    def detach(self) -> None:
        """Take the penalty off the optimizer; a second call does nothing."""
        if not self._is_at_work:
            return
        self._is_at_work = False
        self._end()
        self._momentum.clear()
        if self._proximal is not None:
            self._proximal.forget()
        self.bound.host, self.bound.was_attached = None, True
        if self._before_schedule is not None:
            self.bound.restore_schedule(*self._before_schedule)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        clips = describe_clipping(self.max_norm)
        what = f"{describe_objective(self)}{clips}" if self._is_at_work else "detached"
        return f"{self.how} in {type(self.optimizer).__name__}: {what}"

    @skip_compiling  # torch.compile leaves a gap in the compiled step here
    @torch.no_grad()
    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._nesting.enter(optimizer):
            return None
        self.bound.begin_step()
        self._pairs.refresh()
        self._initializes = is_initializing(optimizer)
        if self._initializes or skips_step(optimizer):
            return None
        act: Callable[[], None] | None = self._add_gradients
        if self._proximal is not None:
            act = self._proximal.prepare()
        # LBFGS evaluates its closure many times a step, so a decay can only come before them all.
        elif self.how == "decoupled" and isinstance(optimizer, LBFGS):
            self._update_(decay_, without_gradient=True)
            act = None
        elif self.how == "decoupled":
            act = partial(self._update_, decay_)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._clip()
            if act is not None:
                act()
            return None
        if act is None and self.max_norm is None and self._watch is None:
            return None
        wrapped = self._wrap(closure, act)
        if len(args) > 1:
            return (args[0], wrapped, *args[2:]), kwargs
        return args, {**kwargs, "closure": wrapped}

    @skip_compiling
    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        if not self._nesting.leave():
            return
        if not skips_step(optimizer):
            self.stepped_by = None
            store_starts(self.bound, optimizer)
            if self._initializes:
                self._momentum.note_empty(optimizer, named_in(self._pairs.pairs))
            else:
                acting = self._pursuit or self._proximal
                if acting is not None:
                    acting.act_(list(self._pairs.moving()))
                elif self.how == "decoupled":
                    self._update_(threshold_)
                self.bound.advance()
        forget_clipping(parameter for _, _, parameter in named_in(self._pairs.pairs))

    def _clip(self) -> None:
        """Check whether the loop has clipped, and clip all gradients of the optimizer."""
        is_first = attachments_of(self.optimizer)[0] is self
        if self._watch is not None and is_first and self._watch.is_due():
            self._watch.check(self.optimizer)
        if self.max_norm is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            clip_(parameters, self.max_norm, scale=grad_scale_of(self.optimizer))

    def _share(self, part: BoundParameter) -> float:
        """The c by which clipping scales this penalty with the gradients."""
        return clipped_share(part.parameter) if self._is_clipped else 1.0

    def _add_gradients(self) -> None:
        factor = self.bound.multiplier * grad_scale_of(self.optimizer)
        for binding, groups in self._pairs.moving():
            factors = [
                0.0 if group is None else factor * sign_of(group) * self._share(part)
                for group, part in zip(groups, binding.parts, strict=True)
            ]
            binding.add_gradient_(factors)

    def _update_(self, update: Update, *, without_gradient: bool = False) -> None:
        """Let `update` act on each binding by its decoupled strength."""
        for binding, groups in self._pairs.moving(without_gradient=without_gradient):
            amounts = [
                0.0 if group is None else self.amount(group) * self._share(part)
                for group, part in zip(groups, binding.parts, strict=True)
            ]
            binding.update_(update, amounts)

    def amount(self, group: Group, lr: float | None = None) -> float | Tensor:
        """The number by which a decoupled strength is multiplied in a group, now or at `lr`."""
        is_relative = self.scale == "schedule"
        first = self._momentum.first_lr(self.optimizer, group) if is_relative else 1.0
        lr = group["lr"] if lr is None else lr
        return decoupled_amount(self.scale, self.bound.multiplier, lr, first)

    def own_step(self, group: Group, part: BoundParameter) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        assert self._proximal is not None
        return self._proximal.own_step(group, part)

    def misfit(self) -> float:
        """‖⟨Δ⟩ + s·⟨g⟩‖/‖⟨Δ⟩‖ of moves Δ and gradients g, where s is measured; else NaN.

        It is 0 where every entry moves against its own gradient."""
        return math.nan if self._proximal is None else self._proximal.misfit()

    def _describe_losses(self) -> Iterator[str]:
        """Name what is unknown where the optimizer was saved without the regularizer."""
        groups = self.optimizer.param_groups
        states = (state_of(self.optimizer, part) for part in self.bound.parts)
        has_buffers = any(state.get("momentum_buffer") is not None for state in states)
        is_sgd = self._proximal is not None and self._proximal.rule is own_step.sgd
        if is_sgd and has_buffers:
            yield "SGD's momentum buffers count as full"
        if self.scale == "schedule" and any("initial_lr" not in group for group in groups):
            firsts = ", ".join(f"{lr:g}" for lr in self._momentum.first_lrs)
            yield f'scale="schedule" takes the learning rate at attach() for the first ({firsts})'

    def _wrap(
        self, closure: Callable[[], Any], act: Callable[[], None] | None
    ) -> Callable[[], Any]:
        """Wrap the closure: clip, and add ∂Ω and Ω each time, or act after the first evaluation."""
        calls = 0

        def wrapped() -> Any:
            nonlocal calls
            with torch.enable_grad():
                loss = closure()
            calls += 1
            with torch.no_grad():
                self._clip()
                if act is not None and (self.how == "coupled" or calls == 1):
                    act()
            if self.how == "coupled" and loss is not None:
                return loss + min(map(sign_of, self.optimizer.param_groups)) * self.bound.value()
            return loss

        return wrapped
