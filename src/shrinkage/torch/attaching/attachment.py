"""The ways in which an attached penalty reaches the weights, on any torch.optim.Optimizer.

With factor f, strength lam and data gradient g:

- coupled: ``g + f·∂Ω(w)`` is what the optimizer sees: after any clipping, once a step, in the
  gradients' own scale under AMP, at each evaluation of a closure. Rests where J is least. It stays
  in `.grad`, as it would from the loss: renew the gradients between steps, as for the loss.
- decoupled: squares by ``w ← (1 − 2·scale·f·lam)·w`` before the update, L1 and groups by a soft
  threshold of scale·f·lam after it, others by ``w − scale·f·∂Ω(w)`` before it, where an entry that
  would change sign stops at 0.
- proximal: after the update ``w ← prox(w, s·f)`` with the optimizer's own step s (`metric`).

With gradients that were clipped to c·g (`clipping`), coupled and proximal strengths are multiplied
by the same c in that step, and so are decoupled ones under SGD with ``scale="lr"``.

The parameters of a `Joint` are gathered into one matrix, changed, and scattered again. A parameter
without a gradient is left alone, and so is every weight in a step that AMP skips.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from shrinkage.penalties.arrays import checked_step
from shrinkage.torch.attaching.checks import check_attachment
from shrinkage.torch.attaching.hooks import Nesting, mark, unmark
from shrinkage.torch.attaching.pairs import Pair, Pairs
from shrinkage.torch.binding.bound import Binding, Part, Reading
from shrinkage.torch.binding.carrying import carry, drop
from shrinkage.torch.binding.clip_watch import ClipWatch
from shrinkage.torch.binding.clipping import (
    checked_max_norm,
    clip_,
    clipping_in_words,
    scales_strength,
    share_of,
    spend,
)
from shrinkage.torch.binding.core import BoundModel, attachments_of
from shrinkage.torch.binding.records import START, keep_starts, state_of
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.initializing import is_initializing
from shrinkage.torch.facts.momentum import Named
from shrinkage.torch.facts.own_step import Group, Rule, UserMetric, check_group, rule_for
from shrinkage.torch.facts.scale import decoupled_amount
from shrinkage.torch.facts.wrappers import inner_optimizer
from shrinkage.torch.private import skip_compiling
from shrinkage.torch.schedules import Schedule
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.tensors.updates import decay_, threshold_
from shrinkage.torch.wording.effects import objective

if TYPE_CHECKING:
    from shrinkage.torch.fused.after_step import FusedProx


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
        bound: BoundModel,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None,
        schedule: Schedule | None,
        metric: UserMetric | None,
        max_norm: float | None,
    ) -> None:
        optimizer = inner_optimizer(optimizer)
        check_attachment(bound, optimizer, how, scale=scale, metric=metric, max_norm=max_norm)
        self.bound = bound
        self.optimizer = optimizer
        self.how = how
        self.scale = (scale or "lr") if how == "decoupled" else None
        self.metric = metric
        self.max_norm = checked_max_norm(max_norm)
        self.stepped_by: str | None = None  # another optimizer, since this one's last step
        is_sgd = isinstance(optimizer, torch.optim.SGD)
        self._is_clipped = scales_strength(how, self.scale, is_sgd=is_sgd)  # as gradients are
        self._watch = ClipWatch() if self._is_clipped else None
        self._nesting = Nesting()
        self._rule: Rule | None = None
        if how == "proximal" and metric is None:
            self._rule = rule_for(optimizer)
        self._pairs = Pairs(bound, optimizer)
        self._momentum = bound.momentum
        self._in_one_pass: FusedProx | None = None
        self._initializes = False  # this step makes the optimizer's state, no more
        self._before_schedule = None if schedule is None else (bound.schedule, bound.factor)
        self._end = self._begin(schedule)

    def _begin(self, schedule: Schedule | None) -> Callable[[], None]:
        """Take up work, or leave everything as it was and raise; what ends it."""
        bound, optimizer, momentum = self.bound, self.optimizer, vars(self._momentum)
        with ExitStack() as on_error:
            at_end = on_error.enter_context(ExitStack())
            on_error.callback(bound.restore_schedule, bound.schedule, bound.factor, bound.steps)
            on_error.callback(momentum.update, copy.deepcopy(momentum))
            if schedule is not None:
                bound.schedule = schedule
            self._momentum.start(optimizer)
            for register, hook in (
                (optimizer.register_step_pre_hook, self._before),
                (optimizer.register_step_post_hook, self._after),
            ):
                at_end.callback(register(hook).remove)  # type: ignore[arg-type]
            mark(optimizer, self)
            at_end.callback(unmark, optimizer, self)
            carry(optimizer, bound, self._lost_without_record)
            at_end.callback(drop, optimizer, bound)
            bound.host = self
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
        self.bound.host = None
        if self._before_schedule is not None:
            self.bound.restore_schedule(*self._before_schedule)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        where = f"{self.how} in {type(self.optimizer).__name__}"
        if not self._is_at_work:
            return f"{where}: detached"
        return f"{where}: {objective(self)}{clipping_in_words(self.max_norm)}"

    @skip_compiling  # a compiled training step goes on around it
    @torch.no_grad()
    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._nesting.enters(optimizer):
            return None
        self.bound.begin_step()
        self._pairs.refresh()
        self._initializes = is_initializing(optimizer)
        if self._initializes or _skips_step(optimizer):
            return None
        acts: dict[str, Callable[[], None]] = {
            "coupled": self._add_gradients,
            "decoupled": self._decay,
        }
        act = acts.get(self.how)
        if self.how == "proximal":
            for group in optimizer.param_groups:
                check_group(optimizer, group)
            self._momentum.prepare(optimizer, self._named())
        # LBFGS evaluates its closure many times a step, so a decay can only come before them all.
        elif self.how == "decoupled" and isinstance(optimizer, LBFGS):
            self._decay(without_gradient=True)
            act = None
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
        if not self._nesting.leaves():
            return
        if not _skips_step(optimizer):
            self.stepped_by = None
            keep_starts(self.bound, optimizer)
            if self._initializes:
                self._momentum.note_empty(optimizer, self._named())
            else:
                self._finish_step()
        spend(part.parameter for _, part in self._pairs.parts())

    def _finish_step(self) -> None:
        """What comes after the optimizer's own update."""
        moved = list(self._pairs.moving())
        if self.how == "proximal":
            for binding, groups in moved:
                for part, group in zip(binding.parts, groups, strict=True):
                    if group is not None:
                        self._momentum.count(self.optimizer, group, part.name)
            rows = isinstance(self.optimizer, torch.optim.SparseAdam)
            for binding, groups in self._prox_in_one_pass_(moved):
                readings = [*map(self._reading, groups, binding.parts)]
                binding.prox_(readings, self.bound.factor, rows=rows)
        elif self.how == "decoupled":
            for binding, groups in moved:
                binding.update_(threshold_, self._amounts(binding, groups))
        self.bound.advance()

    def _prox_in_one_pass_(self, moved: Sequence[Pair]) -> Sequence[Pair]:
        """The prox where compiled loops know the optimizer's own step; what is left."""
        if self._rule not in (own_step.sgd, own_step.adam):
            return moved
        if self._in_one_pass is None:
            # Numba takes seconds to import, so it waits until a step asks for it.
            from shrinkage.torch.fused.after_step import FusedProx

            self._in_one_pass = FusedProx(self.bound, self.optimizer, self._rule)
        return self._in_one_pass.prox_(moved, self._pairs.pairs)

    def _clip(self) -> None:
        """See whether somebody else clipped, and clip all gradients of the optimizer."""
        watch = self._watch
        if (
            watch is not None
            and attachments_of(self.optimizer)[0] is self
            and watch.comes_to_look()
        ):
            watch.look(self.optimizer)
        if self.max_norm is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            clip_(parameters, self.max_norm, scale=_grad_scale(self.optimizer))

    def _share(self, part: Part) -> float:
        """The c of the clipping that this penalty takes part in."""
        return share_of(part.parameter) if self._is_clipped else 1.0

    def _add_gradients(self) -> None:
        factor = self.bound.factor * _grad_scale(self.optimizer)
        for binding, groups in self._pairs.moving():
            binding.add_gradient_(
                [
                    factor * _sign(group) * self._share(part)
                    for group, part in zip(groups, binding.parts, strict=True)
                ]
            )

    def _decay(self, *, without_gradient: bool = False) -> None:
        for binding, groups in self._pairs.moving(without_gradient=without_gradient):
            binding.update_(decay_, self._amounts(binding, groups))

    def _amounts(self, binding: Binding, groups: Sequence[Group | None]) -> list[float | Tensor]:
        """What the decoupled strength of each part is multiplied by; 0 for one that stays."""
        return [
            0.0 if group is None else self.amount(group) * self._share(part)
            for group, part in zip(groups, binding.parts, strict=True)
        ]

    def amount(self, group: Group, lr: float | None = None) -> float | Tensor:
        """What a decoupled strength is multiplied by in this group, now or at another `lr`."""
        first = 1.0
        if self.scale == "schedule":
            first = self._momentum.first_lr(self.optimizer, group)
        now = group["lr"] if lr is None else lr
        return decoupled_amount(self.scale, self.bound.factor, now, first)

    def own_step(self, group: Group, part: Part) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""
        own, state = self._read(group, part)
        return own(state)

    def state_of(self, part: Part) -> dict[str, Tensor]:
        """The tensors in the optimizer's state for one parameter."""
        state = self.optimizer.state.get(part.parameter, {})
        return {
            key: value if isinstance(value, Tensor) else torch.tensor(value)
            for key, value in state.items()
            if isinstance(value, Tensor | int | float) and key != START
        }

    def _reading(self, group: Group | None, part: Part) -> Reading | None:
        """How to read the own step of a part, if it moved."""
        if group is None:
            return None
        own, state = self._read(group, part)
        share = self._share(part)
        if share == 1.0:
            return own, state
        return lambda state: _clipped(own(state), share), state

    def _read(self, group: Group, part: Part) -> Reading:
        rule, metric = self._rule, self.metric
        if rule is not None:
            buffered = self._momentum.buffers.get(part.name, 1.0)
            return lambda state: rule(group, state, buffered), self.state_of(part)
        assert metric is not None
        try:
            given = metric(self.optimizer, group, part.parameter)
            step = checked_step(xp, part.parameter, given)
        except (TypeError, ValueError) as error:
            raise type(error)(f"metric, for {part.name}: {error}") from None
        if isinstance(step, float) or not step.ndim:
            return lambda state: OwnStep(step, math.inf), {}
        return lambda state: OwnStep(state["step"], math.inf), {"step": step.clone()}

    def _named(self) -> Iterator[Named]:
        return ((group, part.name, part.parameter) for group, part in self._pairs.parts())

    def _lost_without_record(self) -> Iterator[str]:
        """What is not known where the optimizer's state came without the regularizer's."""
        groups = self.optimizer.param_groups
        states = (state_of(self.optimizer, part) for part in self.bound.parts)
        has_buffers = any(state.get("momentum_buffer") is not None for state in states)
        if self._rule is own_step.sgd and has_buffers:
            yield "SGD's momentum buffers count as full"
        if self.scale == "schedule" and any("initial_lr" not in group for group in groups):
            firsts = ", ".join(f"{lr:g}" for lr in self._momentum.first_lrs)
            yield f'scale="schedule" takes the learning rate at attach() for the first ({firsts})'

    def _wrap(
        self, closure: Callable[[], Any], act: Callable[[], None] | None
    ) -> Callable[[], Any]:
        """The closure with its gradients clipped, with ∂Ω in them and Ω in its loss, or with a
        decay after the first evaluation, which is where the optimizer itself would decay."""
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
                maximized = any(group.get("maximize") for group in self.optimizer.param_groups)
                return loss + (-1.0 if maximized else 1.0) * self.bound.value()
            return loss

        return wrapped


def _clipped(own: OwnStep, share: float) -> OwnStep:
    """A step with its strength clipped; how far a prox may go stays."""
    return OwnStep(own.step * share, own.limit)


def _sign(group: Group | None) -> float:
    """0 for a parameter that stays."""
    if group is None:
        return 0.0
    return -1.0 if group.get("maximize") else 1.0


def _grad_scale(optimizer: Optimizer) -> float:
    """What AMP has multiplied the gradients by, inside a step of a fused optimizer."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def _skips_step(optimizer: Optimizer) -> bool:
    """Whether AMP's scaler found infinite gradients: a fused optimizer then steps nowhere."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
