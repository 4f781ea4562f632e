"""The penalties of one model, bound to its parameters: what all folders above work with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import checked_strength
from shrinkage.torch.binding.bindings import Binding, BoundParameter, bind, check_finite
from shrinkage.torch.binding.effective_binding import EffectiveBinding, bind_effective
from shrinkage.torch.binding.held import HeldZeros, stop_watching, watch
from shrinkage.torch.binding.joint_binding import bind_joints
from shrinkage.torch.binding.target import Target
from shrinkage.torch.facts.momentum import MomentumFill
from shrinkage.torch.facts.own_step import Group, Metric
from shrinkage.torch.models.owners import Candidate, candidates
from shrinkage.torch.models.selection import Selected, select
from shrinkage.torch.models.selector_names import On, replace_by_names
from shrinkage.torch.private import member_values
from shrinkage.torch.schedules import Schedule, check_schedule, factor_at
from shrinkage.torch.tensors.kinds import OwnStep, real_dtype, stack_scalars, widest_dtype

ATTACHED = "_shrinkage_attached"  # attribute of an optimizer: its attachments; copies lose it
Select = Callable[[nn.Module, Any, Any], list[Selected]]


class Host(Protocol):
    """What makes an optimizer's steps apply the penalties of a bound model.

    It is an `Attachment`, or it stands for an optimizer that has the penalty inside.
    """

    bound: BoundModel
    optimizer: Optimizer
    metric: Metric | None  # the step for "proximal" that the user gave
    stepped_by: str | None  # another optimizer that stepped the weights without the penalty

    @property
    def how(self) -> str: ...

    @property
    def scale(self) -> str | None:
        """The factor on a decoupled strength: "lr", "schedule" or "none"."""

    @property
    def max_norm(self) -> float | None:
        """The norm to which each step clips the gradients."""

    def detach(self) -> None:
        """Take the penalties off the optimizer."""

    def amount(self, group: Group, lr: float | None = None) -> float | Tensor:
        """What a decoupled strength is multiplied by in this group, now or at another `lr`."""

    def own_step(self, group: Group, part: BoundParameter) -> OwnStep:
        """The optimizer's own step for one parameter, read from its state after a step."""


class ModelWatch:
    """Detects that a model has gained, lost or exchanged a module or a parameter."""

    def __init__(self, model: nn.Module) -> None:
        self._seen = [
            (values, list(map(id, values())), list(values()))  # kept, so that no id is reused
            for module in model.modules()
            for values in member_values(module)
        ]

    def has_changed(self) -> bool:
        return any(list(map(id, values())) != before for values, before, _ in self._seen)


class BoundModel:
    """Penalties bound to the parameters of one model, their strength and their count of steps.

    The arguments are those of `Regularizer`; `select` makes of them what is selected.
    """

    def __init__(
        self,
        model: nn.Module,
        penalty: Penalty | Mapping[Any, Penalty | None],
        on: On | None = None,
        *,
        schedule: Schedule | None = None,
        select: Select = select,
    ) -> None:
        self.model = model
        self.penalties, self.on = replace_by_names(model, penalty, on)
        self.steps = 0
        self.host: Host | None = None
        self.was_attached = False
        self.momentum = MomentumFill()
        self.starts: dict[str, Tensor] = {}  # references of Toward("start", ...)
        self.unknown_starts: set[str] = set()  # to be taken from the weights at the next step
        self.held: HeldZeros | None = None
        self.target: Target | None = None
        self.loaded_target: dict[str, Any] | None = None  # of a run that is to be resumed
        self._factor = 1.0
        self._schedule: Schedule | None = None
        self._select = select
        self._bind()
        self.schedule = schedule

    def _bind(self) -> None:
        self.selected = self._select(self.model, self.penalties, self.on)
        joints = bind_joints(self.selected)
        effective = bind_effective(self.selected)
        self.bindings: list[Binding] = [*bind(self.selected, self.starts), *joints, *effective]
        self._watch: ModelWatch | None = ModelWatch(self.model)

    def refresh(self) -> None:
        """Bind again if the model has changed."""
        known = (item.candidate for item in self.selected)  # a copy's model may have changed since
        if self._watch is None and _places(known) == _places(candidates(self.model)):
            self._watch = ModelWatch(self.model)
        if self._watch is None or self._watch.has_changed():
            self._bind()

    @property
    def parts(self) -> Iterator[BoundParameter]:
        """Each penalized parameter, frozen ones too."""
        return (part for binding in self.bindings for part in binding.parts)

    @property
    def active(self) -> list[Binding]:
        """The bindings with a parameter that is not frozen."""
        return [
            binding
            for binding in self.bindings
            if any(part.parameter.requires_grad for part in binding.parts)
        ]

    @property
    def active_parts(self) -> list[tuple[Binding, BoundParameter]]:
        """Each parameter that is not frozen, with its binding."""
        return [
            (binding, part)
            for binding in self.bindings
            for part in binding.parts
            if part.parameter.requires_grad
        ]

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The penalized parameters that are not frozen, with their names."""
        self.refresh()
        return [(part.name, part.parameter) for _, part in self.active_parts]

    def penalty(
        self, parameters: Mapping[str, Tensor] | None = None, *, like: Tensor | None = None
    ) -> Tensor:
        """factor·Ω(w) as a tensor with a graph; see `Regularizer.penalty`."""
        self.refresh()
        bindings = self.active if parameters is None else self.bindings
        for binding in bindings:
            binding.check_gradient()
        tensors = [binding.read_array(parameters) for binding in bindings]
        if not tensors:
            return torch.zeros(()) if like is None else like.new_zeros(())
        values = [binding.value(w) for binding, w in zip(bindings, tensors, strict=True)]
        total = self.multiplier * stack_scalars(values).sum()
        if like is None:
            total = total.to(widest_dtype(real_dtype(w) for w in tensors))
        else:
            total = total.to(device=like.device, dtype=like.dtype)
        check_finite(total, self.active, self.steps, self.factor)
        return total

    @torch.no_grad()
    def value(self) -> float:
        """factor·Ω(w) as a number, without a graph."""
        self.refresh()
        self.check_has_numbers()
        values = [binding.number() for binding in self.active]
        numbers = [value for value in values if isinstance(value, float)]
        tensors = [value for value in values if isinstance(value, Tensor)]
        numbers += stack_scalars(tensors).tolist() if tensors else []
        total = torch.tensor(self.multiplier * math.fsum(numbers), dtype=torch.float64)
        check_finite(total, self.active, self.steps, self.factor)
        return float(total)

    def check_has_numbers(self) -> None:
        """Refuse penalized parameters on the meta device, which have a shape and no numbers."""
        for part in self.parts:
            if part.parameter.is_meta:
                raise ValueError(
                    f"{part.name} is on the meta device, so that it has no numbers yet: call "
                    "model.to_empty(device=...) and set the weights, or load them, first"
                )

    @property
    def factor(self) -> float:
        """The number that multiplies every strength: 1 at first, then set by the schedule."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self._factor = checked_strength("factor", factor)

    @property
    def multiplier(self) -> float:
        """The number that multiplies every strength now: the factor, or 0 while zeros are held."""
        return self._factor if self.held is None else 0.0

    def pursue(self, target: Target | None) -> None:
        """Lead to this target, from where a loaded run was."""
        self.target = target
        if target is not None and self.loaded_target is not None:
            target.load(self.loaded_target)
        self.loaded_target = None

    def hold_zeros(self, *, of_loaded_weights: bool = False) -> None:
        """Hold what is 0 now, or what is 0 at the next step; see `Regularized.hold_zeros`."""
        self.refresh()
        for binding in self.bindings:
            if isinstance(binding, EffectiveBinding):
                binding.refuse_setting("holding its zeros")
        self.held = HeldZeros(() if of_loaded_weights else self.parts)
        watch(self)

    def release(self) -> None:
        """Let zeros move again, and the penalties act."""
        self.held = None
        stop_watching(self)

    @property
    def schedule(self) -> Schedule | None:
        """The function from the step to the factor."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule | None) -> None:
        check_schedule(schedule)
        if schedule is not None:
            self.factor = factor_at(schedule, self.steps)
        self._schedule = schedule

    def restore_schedule(
        self, schedule: Schedule | None, factor: float, steps: int | None = None
    ) -> None:
        """Restore a schedule, the factor and, if given, the count of steps."""
        self._schedule, self._factor = schedule, factor
        self.steps = self.steps if steps is None else steps

    def begin_step(self) -> None:
        """Before a step: bind again if needed, and take unknown starts from the weights."""
        self.refresh()
        self._take_unknown_starts()

    def advance(self) -> None:
        """Count a step, and let the schedule set the factor for the next one."""
        self.steps += 1
        self.momentum.is_restored = False
        if self._schedule is not None:
            self.factor = factor_at(self._schedule, self.steps)

    def reset(self) -> None:
        """Start from step 0 again; see `Regularizer.reset`."""
        self.refresh()
        self.steps = 0
        self.schedule = self._schedule
        self.momentum.clear()
        if self.host is not None:
            self.momentum.start(self.host.optimizer)
        self.unknown_starts = set(self.starts)
        self._take_unknown_starts()
        self.unknown_starts = set(self.starts)  # the model may still be initialized again

    @torch.no_grad()
    def _take_unknown_starts(self) -> None:
        """Take the present weights as starts, at the first step after loading or a reset."""
        for part in self.parts if self.unknown_starts else ():
            if part.name in self.unknown_starts:
                self.starts[part.name].copy_(part.parameter)
        self.unknown_starts.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the host, as copied optimizers have no hooks, and the watch over this model."""
        return {**self.__dict__, "host": None, "target": None, "_watch": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.held is not None:
            watch(self)


def _places(found: Iterable[Candidate]) -> list[tuple[int, str]]:
    """Which parameters a model has, and under which names."""
    return [(id(each.parameter), owner.name) for each in found for owner in each.owners]


def attachments_of(optimizer: object) -> list[Host]:
    """The attachments of an optimizer."""
    return cast("list[Host]", optimizer.__dict__.get(ATTACHED, []))
