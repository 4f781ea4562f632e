"""The parameters of an optimizer that has the penalty inside, each with its penalty.

This file is not for speed: it runs when the options of a group change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from shrinkage.kernels.kind import How, Kind, Update
from shrinkage.kernels.plan import KernelPlan, plan_kernel
from shrinkage.penalties import Penalty, parse, to_text
from shrinkage.penalties.rebuild import with_groups
from shrinkage.torch.binding.bindings import Binding, SingleBinding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checks import check_fit
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.facts.scale import check_how, check_scale, decoupled_amount
from shrinkage.user_warning import warn_user

HALF = (torch.float16, torch.bfloat16)


@dataclass(slots=True, eq=False)
class Entry:
    """A parameter of an optimizer, with its penalty."""

    name: str
    parameter: Tensor
    group: Group
    penalty: Penalty | None
    how: str  # how its penalty is applied, or "none"
    bound: BoundModel | None
    plan: KernelPlan | None = None  # for compiled loops
    is_new_state: bool = False  # whether its state was made for this step
    shares_memory: bool = False  # whether its memory overlaps with another parameter's
    clip: float = 1.0  # the c of the clipping before this step, if it takes part in that

    def __post_init__(self) -> None:
        self.update_plan()

    def kind(self, update: Update) -> Kind:
        """The kind of the compiled loop that steps it."""
        assert self.plan is not None
        dtype = str(self.parameter.dtype).removeprefix("torch.")
        return self.plan.kind(update, How(self.how), dtype)

    def update_plan(self) -> None:
        """Plan the compiled loop for the present shape, if there is a shape and a loop.

        Raises
        ------
        ValueError
            If the penalty does not fit that shape.
        """
        if is_lazy(self.parameter):
            return
        try:
            self.plan = plan_kernel(self.penalty, tuple(self.parameter.shape))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    @property
    def multiplier(self) -> float:
        """The number by which Ω is multiplied."""
        return 1.0 if self.bound is None else self.bound.multiplier

    @property
    def factor(self) -> float:
        """The number by which a step multiplies strengths; decoupled, it includes the scale."""
        multiplier = self.clip * self.multiplier
        if self.how != "decoupled":
            return multiplier
        return decoupled_amount_in(self.group, multiplier)


def without_penalties(entries: Iterable[Entry]) -> list[Entry]:
    """The same parameters without penalties; a proximal one still counts its buffer's share."""
    return [
        replace(entry, penalty=None, how="proximal" if entry.how == "proximal" else "none")
        for entry in entries
    ]


def decoupled_amount_in(group: Group, factor: float) -> float:
    """The number by which a decoupled strength is multiplied: factor times `scale`."""
    first: Any = group.get("initial_lr", group["first_lr"])
    scale, lr = group["scale"], float(group["lr"])
    return float(decoupled_amount(scale, factor, lr, float(first)))


def ensure_state_(state: dict[str, Any], name: str, parameter: Tensor) -> None:
    """Make sure that the state has a tensor of that name, in the parameter's type or float32.

    float32 is for 16-bit parameters. A missing tensor is made of zeros; the state of a parameter
    that was cast is cast too.
    """
    dtype = torch.float32 if parameter.dtype in HALF else parameter.dtype
    present = state.get(name)
    if present is None:
        preserve = torch.preserve_format
        state[name] = torch.zeros_like(parameter, dtype=dtype, memory_format=preserve)
    elif present.dtype is not dtype:
        state[name] = present.to(dtype)


def is_plain(group: Group) -> bool:
    """Whether no option of the group needs torch's own operations."""
    return not (group["differentiable"] or group.get("capturable"))


def is_fused(group: Group, weights: Sequence[Tensor]) -> Any:
    """The option `fused`, but False on a CPU, where torch's fused step ignores strides.

    On weights with gaps it would write into the gaps; weights without gaps are stepped in one pass.
    """
    return group["fused"] and not any(w.is_cpu for w in weights)


def entries_of(groups: Iterable[Group]) -> list[Entry]:
    """The parameters of these groups with their penalties, each parameter once."""
    entries: dict[int, Entry] = {}
    for number, group in enumerate(groups):
        held = group["penalty"]
        bound = {}
        if isinstance(held, Regularized):
            bound = {id(b.parameter): b for b in map(_single, held.bound.bindings)}
        for place, parameter in enumerate(group["params"]):
            if id(parameter) in entries:
                continue
            name = group["param_names"][place] if "param_names" in group else f"{number}.{place}"
            if not isinstance(held, Regularized):
                # Without a known module, "out" and "in" stay: axis 0 is the output.
                penalty = None if held is None else with_groups(held, lambda side: side)
                how = "none" if penalty is None else group["how"]
                entry = Entry(name, parameter, group, penalty, how, None)
            elif id(parameter) in bound:
                binding = bound[id(parameter)]
                bound_to = binding.penalty, group["how"], held.bound
                entry = Entry(binding.name, parameter, group, *bound_to)
            else:
                entry = Entry(name, parameter, group, None, "none", None)
            entries[id(parameter)] = entry
    return list(entries.values())


def _single(binding: Binding) -> SingleBinding:
    if not isinstance(binding, SingleBinding):
        raise ValueError(
            f"{binding.name}: groups across several parameters cannot be inside an optimizer; use "
            "torch's own with regularizer.attach()"
        )
    return binding


def read_options(group: Group) -> None:
    """Parse a penalty that is text; refuse anything that is no penalty, `how` or `scale`.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(group["penalty"], str):
        group["penalty"] = parse(group["penalty"])
    penalty, how, scale = group["penalty"], group["how"], group["scale"]
    if penalty is not None and not isinstance(penalty, Penalty | Regularized):
        raise TypeError(
            f"penalty must be a Penalty such as L1(1e-4), a Regularizer or None, got {penalty!r}"
        )
    if how == "loss":
        raise ValueError('how="loss" needs nothing inside: add regularizer.penalty() to the loss')
    check_how(how)
    check_scale(None if scale == "lr" else scale, how)


def check_entry(entry: Entry, is_euclidean: bool) -> None:
    """Refuse a penalty that cannot be applied with this `how` and such steps of the entries.

    Raises
    ------
    ValueError
    """
    penalty = entry.penalty
    if penalty is None:
        return
    if entry.group["differentiable"] and entry.how != "coupled":
        raise ValueError(
            f'differentiable=True with a penalty inside needs how="coupled", got {entry.how!r}, '
            "through which no gradient leads"
        )
    in_metric = entry.how == "proximal" and not is_euclidean
    needed = "metric" if in_metric else "prox" if entry.how == "proximal" else "gradient"
    reason = penalty.why_not(needed)
    if reason is not None and entry.bound is not None:  # as it was written
        bindings = entry.bound.bindings
        reason = next(b.why_not(needed) for b in bindings if b.name == entry.name)
    if in_metric and entry.parameter.is_complex():
        reason = reason or (
            "a complex parameter: Adam gives its real and imaginary parts different steps, in "
            'which no modulus can shrink; use SGD or how="coupled"'
        )
    if reason is not None:
        raise ValueError(f"{entry.name}: {reason}")
    if not is_lazy(entry.parameter):
        check_fit(entry.name, penalty, entry.parameter)
    first: Any = entry.group.get("initial_lr", entry.group["first_lr"])
    if entry.group["scale"] == "schedule" and not float(first):
        raise ValueError(
            'scale="schedule" divides by the first learning rate, which is 0; set initial_lr in '
            'the group, or use scale="lr"'
        )


def as_text(group: Group) -> Group:
    """A packed group with its penalty as text; None where the penalty has no text form."""
    penalty = group["penalty"]
    if penalty is None:
        return group
    try:
        if isinstance(penalty, Penalty):
            return {**group, "penalty": to_text(penalty)}
    except ValueError:
        pass
    return {**group, "penalty": None}


def with_penalties(state_dict: Mapping[str, Any], defaults: Group) -> dict[str, Any]:
    """Parse every penalty in a state_dict from its text, before anything is loaded.

    Raises
    ------
    TypeError, ValueError
        If a group has a penalty, a `how` or a `scale` that does not exist.
    """
    groups = [dict(group) for group in state_dict["param_groups"]]
    for group in groups:
        options = {**defaults, **group}
        read_options(options)
        if "penalty" in group:
            group["penalty"] = options["penalty"]
    return {**state_dict, "param_groups": groups}


def keep_penalty(group: Group, present: Group) -> None:
    """After loading, keep the present penalty where none was saved; a `Regularizer` always."""
    saved, current = group.get("penalty"), present["penalty"]  # the saved one is parsed already
    if current is not None and (saved is None or isinstance(current, Regularized)):
        if saved is not None:
            _warn_of_another(saved, current, "the present one is kept")
        group.update({key: present[key] for key in ("penalty", "how", "scale")})
    elif saved is not None and current is not None and saved != current:
        _warn_of_another(saved, current, "the saved one is used")
    for key, value in present.items():
        group.setdefault(key, value)


def _warn_of_another(saved: Penalty, present: object, consequence: str) -> None:
    warn_user(
        f"the saved run had the penalty {to_text(saved)!r}, the optimizer has {present!r}: "
        f"{consequence}",
    )


def restore_precision(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Restore the saved precision of the state, which torch casts to the type of the weights."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [n for group in saved["param_groups"] for n in group["params"]]
    for parameter, number in zip(parameters, numbers, strict=True):
        for key, value in saved["state"].get(number, {}).items():
            loaded = optimizer.state[parameter].get(key)
            if key == "step" or not (isinstance(loaded, Tensor) and isinstance(value, Tensor)):
                continue
            if loaded.dtype != value.dtype:
                optimizer.state[parameter][key] = value.detach().clone().to(loaded.device)
