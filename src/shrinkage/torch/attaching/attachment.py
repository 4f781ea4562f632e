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
from functools import partial
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as xp
import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim import LBFGS, Optimizer

from shrinkage.penalties.arrays import checked_step
from shrinkage.torch.attaching.checks import attachments, check_attachment
from shrinkage.torch.attaching.hooks import Nesting, is_initializing, mark, unmark
from shrinkage.torch.binding.carrying import carry, drop, take_up
from shrinkage.torch.binding.clip_watch import ClipWatch
from shrinkage.torch.binding.clipping import (
    checked_max_norm,
    clip_,
    clipping_in_words,
    scales_strength,
    share_of,
    spend,
)
from shrinkage.torch.binding.records import START, keep_starts, unknowns
from shrinkage.torch.facts.own_step import Group, OwnStep, Rule, UserMetric, check_group, rule_for
from shrinkage.torch.facts.wrappers import inner_optimizer
from shrinkage.torch.fused.after_step import Afterwards
from shrinkage.torch.tensors.updates import decay_, threshold_

if TYPE_CHECKING:
    from shrinkage.torch.binding.bound import Bound, Part, Reading
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
        max_norm: float | None = None,
    ) -> None:
        optimizer = inner_optimizer(optimizer)
        check_attachment(regularizer, optimizer, how, scale=scale, metric=metric, max_norm=max_norm)
        self.regularizer = regularizer
        self.optimizer = optimizer
        self.how = how
        self.scale = (scale or "lr") if how == "decoupled" else None
        self.metric = metric
        self.max_norm = checked_max_norm(max_norm)
        is_sgd = isinstance(optimizer, torch.optim.SGD)
        self.is_clipped = scales_strength(how, self.scale, is_sgd=is_sgd)  # as gradients are
        self._watch = ClipWatch() if self.is_clipped else None
        self._nesting = Nesting()
        self._rule: Rule | None = None
        if how == "proximal" and metric is None:
            self._rule = rule_for(optimizer)
        self._pairs: list[tuple[Bound, list[Group | None]]] = []  # a group for each part
        self._absent: list[Part] = []
        self._paired: tuple[object, ...] = ()  # what `_pairs` was made from
        self._memory = regularizer._memory
        self._afterwards = Afterwards(self)
        self.stepped_by: str | None = None  # another optimizer, since this one's last step
        self._initializes = False  # this step makes the optimizer's state, no more
        self._end = self._begin()

    def _begin(self) -> Callable[[], None]:
        """Take up work, or leave everything as it was and raise; what ends it."""
        regularizer, optimizer, memory = self.regularizer, self.optimizer, vars(self._memory)
        with ExitStack() as undo:
            undo.callback(memory.update, copy.deepcopy(memory))
            self._memory.begin(optimizer)
            for register, hook in (
                (optimizer.register_step_pre_hook, self._before),
                (optimizer.register_step_post_hook, self._after),
            ):
                undo.callback(register(hook).remove)  # type: ignore[arg-type]
            mark(optimizer, self)
            undo.callback(unmark, optimizer, self)
            carry(optimizer, regularizer, partial(unknowns, self))
            undo.callback(drop, optimizer, regularizer)
            regularizer._attachment = self
            self._is_at_work = True
            return undo.pop_all().close

    def detach(self) -> None:
        """Take the penalty off the optimizer; a second call does nothing."""
        if not self._is_at_work:
            return
        self._is_at_work = False
        self._end()
        self._memory.end()
        self.regularizer.detach()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        from shrinkage.torch.auditing.table import objective

        if not self._is_at_work:
            return f"{self.how} in {type(self.optimizer).__name__}: detached"
        where = f"{self.how} in {type(self.optimizer).__name__}"
        return f"{where}: {objective(self)}{clipping_in_words(self.max_norm)}"

    @_disable_dynamo  # a compiled training step goes on around it
    @torch.no_grad()
    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._nesting.enters(optimizer):
            return None
        self.regularizer._begin_step()
        self._pair()
        self._initializes = is_initializing(optimizer)
        if self._initializes or _skipped(optimizer):
            return None
        acts: dict[str, Callable[[], None]] = {
            "coupled": self._add_gradients,
            "decoupled": self._decay,
        }
        act = acts.get(self.how)
        if self.how == "proximal":
            for group in optimizer.param_groups:
                check_group(optimizer, group)
            self._memory.settle(optimizer, self._parts())
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

    @_disable_dynamo
    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: object, kwargs: object) -> None:
        if not self._nesting.leaves():
            return
        if not _skipped(optimizer):
            self.stepped_by = None
            keep_starts(self.regularizer, optimizer)
            if self._initializes:
                self._memory.see_empty(optimizer, self._parts())
            else:
                self._finish(optimizer)
        spend(part.parameter for _, part in self._parts())

    def _finish(self, optimizer: Optimizer) -> None:
        """What comes after the optimizer's own update."""
        if self.how == "proximal":
            rows = isinstance(optimizer, torch.optim.SparseAdam)
            for binding, groups in self._afterwards.prox_(self._counted()):
                readings = [*map(self._reading, groups, binding.parts)]
                binding.prox_(readings, self.regularizer.factor, rows=rows)
        elif self.how == "decoupled":
            for binding, groups in self._held():
                binding.update_(threshold_, self._amounts(binding, groups))
        self.regularizer._advance()

    def _clip(self) -> None:
        """See whether somebody else clipped, and clip all gradients of the optimizer."""
        watch = self._watch
        if watch is not None and attachments(self.optimizer)[0] is self and watch.comes_to_look():
            watch.look(self.optimizer)
        if self.max_norm is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            clip_(parameters, self.max_norm, scale=_grad_scale(self.optimizer))

    def _share(self, part: Part) -> float:
        """The c of the clipping that this penalty takes part in."""
        return share_of(part.parameter) if self.is_clipped else 1.0

    def _add_gradients(self) -> None:
        factor = self.regularizer.factor * _grad_scale(self.optimizer)
        for binding, groups in self._held():
            binding.add_gradient_(
                [
                    factor * _sign(group) * self._share(part)
                    for group, part in zip(groups, binding.parts, strict=True)
                ]
            )

    def _decay(self, *, without_gradient: bool = False) -> None:
        for binding, groups in self._held(without_gradient=without_gradient):
            binding.update_(decay_, self._amounts(binding, groups))

    def _amounts(self, binding: Bound, groups: Sequence[Group | None]) -> list[float | Tensor]:
        """What the decoupled strength of each part is multiplied by in this step."""
        return [
            self.amount(group) * self._share(part)
            for group, part in zip(groups, binding.parts, strict=True)
        ]

    def amount(self, group: Group | None, lr: float | Tensor | None = None) -> float | Tensor:
        """What a decoupled strength is multiplied by in this group, now or at `lr`; 0 in none."""
        factor = self.regularizer.factor
        if group is None:
            return 0.0
        if self.scale == "none":
            return factor
        lr = group["lr"] if lr is None else lr
        times = lr if factor == 1.0 else factor * lr
        return times if self.scale == "lr" else times / self._memory.first_lr(self.optimizer, group)

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
        return lambda state: _scaled(own(state), share), state

    def _read(self, group: Group, part: Part) -> Reading:
        rule, metric = self._rule, self.metric
        if rule is not None:
            buffered = self._memory.buffers.get(part.name, 1.0)
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

    def _held(
        self, *, without_gradient: bool = False
    ) -> Iterator[tuple[Bound, list[Group | None]]]:
        """The bindings that a step moves, with the group of each part; None for one that stays."""
        for binding, groups in self._pairs:
            moving = [
                group if part.parameter.requires_grad and (without_gradient or part.moves) else None
                for part, group in zip(binding.parts, groups, strict=True)
            ]
            if any(moving):
                yield binding, moving

    def _counted(self) -> list[tuple[Bound, list[Group | None]]]:
        """After a step: what it moved, one step fuller."""
        held = list(self._held())
        for binding, groups in held:
            for part, group in zip(binding.parts, groups, strict=True):
                if group is not None:
                    self._memory.count(self.optimizer, group, part.name)
        return held

    def _parts(self) -> Iterator[tuple[Group, Part]]:
        """Each penalized parameter that the optimizer holds, with its group."""
        for binding, groups in self._pairs:
            for part, group in zip(binding.parts, groups, strict=True):
                if group is not None:
                    yield group, part

    def _pair(self) -> None:
        """Find the optimizer's group of each penalized parameter."""
        groups, bindings = self.optimizer.param_groups, self.regularizer.bindings
        sizes = (len(group["params"]) for group in groups)
        made_from = (bindings, *groups, *sizes, any(self._thawed()))
        if len(made_from) == len(self._paired) and all(map(_same, made_from, self._paired)):
            return
        holder = {parameter: group for group in groups for parameter in group["params"]}
        self._pairs = [
            (binding, [holder.get(part.parameter) for part in binding.parts])
            for binding in bindings
        ]
        take_up(self.optimizer)
        parts = [part for binding in bindings for part in binding.parts]
        self._absent = [part for part in parts if part.parameter not in holder]
        for part in self._thawed():
            raise RuntimeError(
                f"{part.name} is penalized but {type(self.optimizer).__name__} does not hold it: "
                "the model has changed since attach(); give it to the optimizer with "
                "add_param_group(), or build both anew"
            )
        self._paired = made_from

    def _thawed(self) -> Iterator[Part]:
        """The penalized parameters that the optimizer does not hold, and that are not frozen."""
        return (part for part in self._absent if part.parameter.requires_grad)

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
                return loss + (-1.0 if maximized else 1.0) * self.regularizer.value()
            return loss

        return wrapped


def _sign(group: Group | None) -> float:
    """0 for a parameter that stays."""
    if group is None:
        return 0.0
    return -1.0 if group.get("maximize") else 1.0


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, int) and one == other)


def _scaled(own: OwnStep, share: float) -> OwnStep:
    """A step with its strength clipped; how far a prox may go stays."""
    return OwnStep(own.step * share, own.limit)


def _grad_scale(optimizer: Optimizer) -> float:
    """What AMP has multiplied the gradients by, inside a step of a fused optimizer."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def _skipped(optimizer: Optimizer) -> bool:
    """Whether AMP's scaler found infinite gradients: a fused optimizer then steps nowhere."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
