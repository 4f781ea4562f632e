"""A penalty bound to several parameters, gathered into one matrix with a row for each unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from shrinkage.penalties import Toward, Weighted
from shrinkage.penalties.base import terms
from shrinkage.penalties.describing import construction
from shrinkage.torch.binding.bindings import (
    Binding,
    BoundParameter,
    Reading,
    Update,
    bind_parameter,
)
from shrinkage.torch.models.attention import find_projections_around
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.layers import CONVOLUTION, is_linear
from shrinkage.torch.models.owners import Owner
from shrinkage.torch.models.selection import Selected
from shrinkage.torch.models.units import Rows, unit_rows
from shrinkage.torch.tensors.kinds import OwnStep, is_sharded, real_dtype, widest_dtype
from shrinkage.torch.tensors.updates import add_dense_, is_active, limited_prox


@final
@dataclass(frozen=True, eq=False)
class JointBinding(Binding):
    """A penalty bound to the matrix (units, entries) of a `Joint`.

    Each method works on the gathered matrix and scatters the result. Steps are an array where those
    of the parts differ; a part that is not to move has step 0.
    """

    rows: tuple[Rows, ...]  # of each part

    def read_array(self, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        return self._gather([part.read_tensor(parameters) for part in self.parts])

    def add_gradient_(self, factors: Sequence[float]) -> None:
        gradient = self.penalty.gradient(self.read_array().detach())
        for part, piece, factor in zip(self.parts, self._scatter(gradient), factors, strict=True):
            if factor:
                add_dense_(part.name, part.parameter, piece, factor)

    def update_(self, update: Update, amounts: Sequence[float | Tensor]) -> None:
        matrix = self.read_array().detach()
        update(matrix, self.penalty, self._spread(amounts))
        self.set_(matrix)

    def prox_(self, readings: Sequence[Reading | None], factor: float, *, rows: bool) -> None:
        if not is_active(self.penalty, factor):
            return
        own_step = self.read_step(readings)
        is_metric = isinstance(own_step.step, Tensor) and own_step.step.ndim > 0
        if is_metric and (reason := self.penalty.why_not("metric")) is not None:
            raise ValueError(f"{self.name}: {reason}")
        matrix = limited_prox(self.read_array().detach(), self.penalty, own_step, factor)
        for part, piece, reading in zip(self.parts, self._scatter(matrix), readings, strict=True):
            if reading is not None:
                part.parameter.copy_(piece)

    def read_step(self, readings: Sequence[Reading | None]) -> OwnStep:
        own_steps = [r.read() if r is not None else OwnStep(0.0, math.inf) for r in readings]
        steps, limits = zip(*own_steps, strict=True)
        return OwnStep(self._spread(steps), self._spread(limits))

    def set_(self, w: Tensor) -> None:
        for part, piece in zip(self.parts, self._scatter(w), strict=True):
            part.parameter.copy_(piece)

    def zero_(self, mask: Tensor) -> None:
        for part, piece in zip(self.parts, self._scatter(mask), strict=True):
            part.parameter.detach().masked_fill_(piece.to(part.parameter.device), 0.0)

    def _gather(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join the parts to a matrix, on the first one's device, in a type that holds them all."""
        device, dtype = tensors[0].device, widest_dtype(tensor.dtype for tensor in tensors)
        pieces = [rows.of(w) for rows, w in zip(self.rows, tensors, strict=True)]
        return torch.cat([piece.to(device=device, dtype=dtype) for piece in pieces], dim=1)

    def _scatter(self, matrix: Tensor) -> list[Tensor]:
        """Divide the matrix into the parts, each in its own shape."""
        pieces = torch.split(matrix, [rows.entries for rows in self.rows], dim=1)
        return [rows.back(piece) for rows, piece in zip(self.rows, pieces, strict=True)]

    def _spread(self, sizes: Sequence[float | Tensor]) -> float | Tensor:
        """One number for all parts, or one for each entry of the matrix where they differ."""
        are_numbers = not any(isinstance(size, Tensor) and size.ndim for size in sizes)
        if are_numbers and all(bool(size == sizes[0]) for size in sizes):
            return sizes[0]
        spread = []
        for part, size in zip(self.parts, sizes, strict=True):
            w = part.parameter
            dtype = torch.promote_types(real_dtype(w), torch.float32)
            spread.append(torch.as_tensor(size, dtype=dtype, device=w.device).expand_as(w))
        return self._gather(spread)


class _Member(NamedTuple):
    """One parameter of a `Joint`."""

    text: str  # its name, with its side where one is given
    owner: Owner
    part: BoundParameter
    rows: Rows

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.owner.module, CONVOLUTION)


def bind_joints(selected: Sequence[Selected]) -> list[JointBinding]:
    """The bindings of what Joints selected, one for each Joint."""
    members: dict[Joint, list[Selected]] = {}
    for item in selected:
        if isinstance(item.by, Joint) and item.penalty is not None:
            members.setdefault(item.by, []).append(item)
    return [_bind_one(joint, chosen) for joint, chosen in members.items()]


def _bind_one(joint: Joint, chosen: Sequence[Selected]) -> JointBinding:
    written = chosen[0].penalty
    assert written is not None
    for term in terms(written):
        if isinstance(term, Toward | Weighted):
            raise ValueError(f"{joint!r}: {construction(term)} is for one parameter")
        if getattr(term, "groups", "out") not in ("out", 0):
            raise ValueError(
                f'{joint!r}: its units are the groups; leave groups="out" in {construction(term)}'
            )
    by_name = {name: item for item in chosen for name in item.owner.names}
    members = []
    for text, name, side in zip(joint.members, joint.names, joint.sides, strict=True):
        owner, part = by_name[name].owner, bind_parameter(by_name[name])
        if is_sharded(part.parameter):
            raise ValueError(f"{joint!r}: {part.name} is spread over processes, and its units too")
        members.append(_Member(text, owner, part, unit_rows(side, owner, part.parameter)))
    _check_sides(joint, members)
    parts = tuple(member.part for member in members)
    return JointBinding(str(joint), written, written, parts, _match_units(joint, members))


def _check_sides(joint: Joint, members: Sequence[_Member]) -> None:
    """Refuse a later weight without a side where its columns could be meant."""
    first, *others = members
    units, first_weight = first.rows.units, first.part.parameter
    for member in others:
        name, _, side = member.text.partition(":")
        w, owner = member.part.parameter, member.owner
        if w.ndim < 2 or (side and not side.startswith("heads:")):
            continue
        if member.rows.units != units or _are_outputs(owner, first.owner, has_heads=bool(side)):
            continue
        written = f":{side}" * bool(side)
        columns = unit_rows(f"in{written}", owner, w).units
        if columns == units or (first.is_convolution and not columns % units):
            raise ValueError(
                f"{joint!r}: the rows and the columns of {name} could both be these units; write "
                f'"{name}:in{written}" for what leaves them, "{name}:out{written}" for what leads '
                "to them"
            )
        both = is_linear(owner.module) and is_linear(first.owner.module) and first_weight.ndim > 1
        if both and not side and w.numel() // units != first_weight.numel() // units:
            raise ValueError(
                f"{joint!r}: {name} has as many rows as there are units, but other inputs than "
                f'{joint.names[0]}; write "{name}:out" if its rows belong to these units'
            )


def _are_outputs(owner: Owner, first: Owner, *, has_heads: bool) -> bool:
    """Whether only outputs can be meant: of recurrent weights, depthwise kernels, known heads."""
    module = owner.module
    if has_heads:
        known = nn.MultiheadAttention | NonDynamicallyQuantizableLinear
        return isinstance(module, known) or bool(find_projections_around(module, owner.ancestors))
    if isinstance(module, CONVOLUTION):
        return module.groups > 1 and module.groups == module.in_channels == module.out_channels
    return module is first.module and (
        owner.key == first.key or owner.key.startswith("weight_hh")  # two parts of one weight
    )


def _match_units(joint: Joint, members: Sequence[_Member]) -> tuple[Rows, ...]:
    """Give all members one number of units: the entries of a flattened channel go together."""
    channels = [member.rows.units for member in members if member.is_convolution]
    units = channels[0] if channels else members[0].rows.units
    for member in members:
        own = member.rows.units
        if own != units and (not channels or member.is_convolution or own % units):
            counts = ", ".join(f"{other.text} has {other.rows.units}" for other in members)
            raise ValueError(
                f"{joint!r}: the members' numbers of units differ: {counts}; write :in after a "
                "weight whose columns are meant"
            )
    return tuple(replace(member.rows, units=units) for member in members)
