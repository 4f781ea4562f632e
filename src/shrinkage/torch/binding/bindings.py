"""Penalties bound to parameters, and the check that their values are finite."""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, final

import array_api_compat.torch as xp
import torch
from torch import Tensor, nn

from shrinkage.penalties import Penalty, to_text
from shrinkage.penalties.arrays import widen
from shrinkage.penalties.rebuild import with_arrays, with_groups
from shrinkage.torch.models.effective import Effective
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.owners import parameters_by_name
from shrinkage.torch.models.selection import Selected
from shrinkage.torch.models.units import lay_out_units
from shrinkage.torch.tensors.kinds import (
    OwnStep,
    is_sharded,
    local_shard,
    stack_scalars,
    storage_bytes,
    widest_dtype,
)
from shrinkage.torch.tensors.updates import ReadStep, State, add_gradient_, prox_, prox_rows_
from shrinkage.torch.tensors.values import differentiable, number

Update = Callable[[Tensor, Penalty, "float | Tensor"], None]


@dataclass(frozen=True)
class BoundParameter:
    """A parameter that a penalty is bound to, under all of its names."""

    name: str
    parameter: Tensor
    aliases: tuple[str, ...]  # all of its names

    @property
    def moves(self) -> bool:
        """Whether a step will move it: it is not frozen and has a gradient."""
        return self.parameter.grad is not None and self.parameter.requires_grad

    def read_tensor(self, parameters: Mapping[str, Tensor] | None) -> Tensor:
        """The parameter, or the tensor that replaces it in `parameters`."""
        if parameters is None:
            return self.parameter
        for name in self.aliases:
            if name in parameters:
                return parameters[name]
        raise ValueError(f"parameters holds no {self.name}, which is penalized")


class Reading(NamedTuple):
    """How a parameter's own step is read from the optimizer's state for it, or a block of that."""

    read_step: ReadStep
    state: State

    def read(self) -> OwnStep:
        return self.read_step(self.state)


@dataclass(frozen=True, eq=False)  # each is itself alone, so that it can be a key
class Binding(ABC):
    """A penalty bound to one or more parameters, its parts, which it sees as one array.

    Methods that change the array take a number for each part; 0 leaves a part as it is.
    """

    name: str
    penalty: Penalty
    written: Penalty  # as the user wrote it
    parts: tuple[BoundParameter, ...]

    def __post_init__(self) -> None:
        dtype = widest_dtype(part.parameter.dtype for part in self.parts)
        self.penalty._check_range(xp, torch.promote_types(dtype, torch.float32))

    @property
    def text(self) -> str:
        """The penalty as text, or its repr where it has no text form."""
        try:
            return to_text(self.written)
        except ValueError:
            return repr(self.written)

    def check_gradient(self) -> None:
        """Refuse a penalty without a gradient: a constraint, a count."""
        reason = self.why_not("gradient")
        if reason is not None:
            raise ValueError(f"{self.name}: {reason}")

    def why_not(self, what: str) -> str | None:
        """`Penalty.why_not`, which tells of the penalty as it was written."""
        reason = self.penalty.why_not(what)
        return None if reason is None else self.written.why_not(what) or reason

    def value(self, w: Tensor) -> Tensor:
        """Ω of the array, or of another one in its place.

        As `Penalty.value`, but without looking up the library, which torch.compile cannot trace.
        """
        result = differentiable(w, self.penalty)
        return self.penalty._value(xp, widen(xp, w)) if result is None else result

    def number(self) -> float | Tensor:
        """Ω of the array, without a graph; a tensor where reading it would wait for a device."""
        w = self.read_array().detach()
        result = number(w, self.penalty)
        return self.value(w) if result is None else result

    @abstractmethod
    def read_array(self, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The array, made of the parameters or of their replacements in `parameters`."""

    @abstractmethod
    def add_gradient_(self, factors: Sequence[float]) -> None:
        """grad ← grad + factor·∂Ω(w)."""

    @abstractmethod
    def update_(self, update: Update, amounts: Sequence[float | Tensor]) -> None:
        """Let `update`(w, penalty, amount) change the array in place."""

    @abstractmethod
    def prox_(self, readings: Sequence[Reading | None], factor: float, *, rows: bool) -> None:
        """w ← prox(w, s·factor) by each part's own step s; None for one that is to stay.

        `rows`: only those rows that sparse gradients hold.
        """

    @abstractmethod
    def read_step(self, readings: Sequence[Reading | None]) -> OwnStep:
        """The own step of the array, 0 in a part that is to stay."""

    @abstractmethod
    def set_(self, w: Tensor) -> None:
        """Set the array to `w`."""

    @abstractmethod
    def zero_(self, mask: Tensor) -> None:
        """Set the entries of this process to 0 where the mask, of their shape, is True."""


@final
@dataclass(frozen=True, eq=False)
class SingleBinding(Binding):
    """A penalty with its groups resolved for one parameter."""

    @property
    def parameter(self) -> Tensor:
        return self.parts[0].parameter

    def read_array(self, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        return self.parts[0].read_tensor(parameters)

    def add_gradient_(self, factors: Sequence[float]) -> None:
        add_gradient_(self.name, self.parameter, self.penalty, factors[0])

    def update_(self, update: Update, amounts: Sequence[float | Tensor]) -> None:
        update(self.parameter, self.penalty, amounts[0])

    def prox_(self, readings: Sequence[Reading | None], factor: float, *, rows: bool) -> None:
        assert readings[0] is not None
        read_step, state = readings[0]
        (prox_rows_ if rows else prox_)(self.parameter, self.penalty, read_step, state, factor)

    def read_step(self, readings: Sequence[Reading | None]) -> OwnStep:
        assert readings[0] is not None
        return readings[0].read()

    def set_(self, w: Tensor) -> None:
        self.parameter.copy_(w)

    def zero_(self, mask: Tensor) -> None:
        local_shard(self.parameter.detach()).masked_fill_(mask, 0.0)


def bind(selected: Sequence[Selected], starts: dict[str, Tensor]) -> list[SingleBinding]:
    """Bind the selected parameters; each penalty gets the units of its module and its arrays.

    `starts` holds, by name, where parameters were when a penalty first asked for that.
    """
    by_name = cache(parameters_by_name)  # of models that are references

    def bind_one(selected: Selected, written: Penalty) -> SingleBinding:
        owner, part = selected.owner, bind_parameter(selected)
        parameter = part.parameter

        def find_array(argument: str, source: Any) -> Tensor:
            if isinstance(source, nn.Module):
                source = by_name(source)
            tensor = None if isinstance(source, str) else _find_array(argument, source, part)
            is_own = (
                tensor is not None
                and not (is_sharded(tensor) or is_sharded(parameter))
                and tensor.data_ptr() == parameter.data_ptr()
            )
            if tensor is None or is_own:  # "start", or the parameter itself
                if owner.name not in starts:
                    starts[owner.name] = parameter.detach().clone()
                return starts[owner.name]
            return tensor.clone()  # a state_dict's tensors are the parameters' own

        resolved = with_groups(written, lambda side: lay_out_units(side, owner, parameter))
        return SingleBinding(owner.name, with_arrays(resolved, find_array), written, (part,))

    return [
        bind_one(item, item.penalty)
        for item in selected
        if item.penalty is not None and not isinstance(item.by, Joint | Effective)
    ]


def bind_parameter(selected: Selected) -> BoundParameter:
    """The selected parameter under all of its names."""
    names = (name for owner in selected.candidate.owners for name in owner.names)
    return BoundParameter(
        selected.owner.name, selected.candidate.parameter, tuple(dict.fromkeys(names))
    )


def _find_array(argument: str, source: Any, part: BoundParameter) -> Tensor:
    """Look up the array for a parameter, in a mapping by names or one for all; no copy."""
    if isinstance(source, Mapping):
        name = next((name for name in part.aliases if name in source), None)
        if name is None:
            near = difflib.get_close_matches(part.name, list(source), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{argument} holds no {part.name}, which is penalized{hint}")
        source = source[name]
    elif isinstance(source, Tensor) and source.requires_grad:
        raise ValueError(
            f"{argument}, for {part.name}, is a tensor that training moves, and a penalty keeps "
            f"to one place: write .detach() behind it for where it is now"
        )
    array: Tensor = torch.as_tensor(source)
    if array.shape != part.parameter.shape:
        shapes = f"{tuple(array.shape)}, where {part.name} has {tuple(part.parameter.shape)}"
        raise ValueError(f"{argument} must have the parameter's shape, got {shapes}")
    return array.detach()


def check_finite(total: Tensor, bindings: Sequence[Binding], step: int, factor: float) -> None:
    """Refuse a value that is infinite or NaN, on the CPU, where reading it waits for nothing.

    Compiled code and transforms of torch.func have no number yet.
    """
    if total.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if storage_bytes(total) is None or math.isfinite(total.item()):
        return
    for binding in bindings:
        w = binding.read_array().detach()
        if math.isfinite(stack_scalars([binding.value(w)]).item()):
            continue
        if binding.written.traits.is_constrained:
            raise FloatingPointError(
                f"the penalty is infinite: {binding.name} is outside "
                f"{binding.written.formula}; after a proximal step it will be inside"
            )
        largest = stack_scalars([w.abs().max()]).item()
        raise FloatingPointError(
            f"the penalty is not finite at step {step}: {binding.name} under "
            f"{binding.written!r} (largest |w|: {largest:g}); lower the learning rate or the "
            "strength, or clip the gradients"
        )
    raise FloatingPointError(
        f"the penalty is not finite at step {step}, though each parameter's part of it is: the "
        f"factor is {factor:g}, and 16-bit floats end at 65504; pass the loss as like=, in float32"
    )
