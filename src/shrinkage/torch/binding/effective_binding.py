"""A penalty bound to a weight that the model computes from parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NoReturn, final

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils.parametrize import ParametrizationList

from shrinkage.penalties import Toward, Weighted
from shrinkage.penalties.base import terms
from shrinkage.penalties.describing import construction
from shrinkage.penalties.rebuild import with_groups
from shrinkage.torch.binding.bindings import Binding, bind_parameter
from shrinkage.torch.models.effective import (
    FACTORS_TAKEN,
    Effective,
    is_second_factor,
    matching_name,
    parametrization_of,
    scaling_of,
)
from shrinkage.torch.models.selection import Selected
from shrinkage.torch.tensors.kinds import is_sharded

Compute = Callable[[list[Tensor]], Tensor]


@final
@dataclass(frozen=True, eq=False)
class EffectiveBinding(Binding):
    """A penalty on a tensor that is computed from the parts, which it reaches by the chain rule."""

    compute: Compute

    def read_array(self, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        return self.compute([part.read_tensor(parameters) for part in self.parts])

    def add_gradient_(self, factors: Sequence[float]) -> None:
        moving = [
            (part.parameter, factor)
            for part, factor in zip(self.parts, factors, strict=True)
            if factor and part.parameter.requires_grad
        ]
        if not moving:
            return
        with torch.enable_grad():
            value = self.value(self.read_array())
        gradients = torch.autograd.grad(value, [w for w, _ in moving], allow_unused=True)
        for (w, factor), gradient in zip(moving, gradients, strict=True):
            if gradient is not None and w.grad is not None:
                w.grad.add_(gradient, alpha=factor)

    def refuse_setting(self, how: str) -> NoReturn:
        """Refuse what would set the weight, where only its parts can be set."""
        names = " and ".join(part.name for part in self.parts)
        raise ValueError(
            f"{self.name} is computed from {names}, and {how} would have to set it: nothing says "
            'which of them is to move. Use how="coupled" or "loss", or penalize the parameters '
            "themselves (L2(lam / 2) on both factors of a product has the minima of "
            "NuclearNorm(lam))"
        )

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        self.refuse_setting("this")

    update_ = prox_ = read_step = set_ = zero_ = _refuse


def bind_effective(selected: Sequence[Selected]) -> list[EffectiveBinding]:
    """The bindings of what the keys `Effective` selected, one for each computed weight."""
    members: dict[tuple[Effective, str], list[Selected]] = {}
    for item in selected:
        if isinstance(item.by, Effective) and item.penalty is not None:
            name = matching_name(item.by, item.owner)
            assert name is not None
            members.setdefault((item.by, name), []).append(item)
    return [_bind_one(key, name, chosen) for (key, name), chosen in members.items()]


def _bind_one(key: Effective, name: str, chosen: Sequence[Selected]) -> EffectiveBinding:
    def find_axis(side: str) -> int:
        if side not in {"out", "in"}:
            raise ValueError(f'{key!r}: groups must be "out", "in" or an axis, got {side!r}')
        return 0 if side == "out" else 1

    written = chosen[0].penalty
    assert written is not None
    for item in chosen:
        if is_sharded(item.candidate.parameter):
            raise ValueError(f"{key!r}: {item.owner.name} is spread over processes")
    ordered = chosen
    compute: Compute
    inputs = [parametrization_of(item.owner) for item in chosen]
    if inputs[0] is not None and not key.factors:
        module = inputs[0][0]
        if len(chosen) != len(list(module.parameters(recurse=False))):
            raise ValueError(f"{key!r}: an earlier key takes a part of {name}; {FACTORS_TAKEN}")
        compute = partial(_parametrize, module, tuple(each[1] for each in inputs if each))
    else:
        ordered = _sort_factors(key, name, chosen)
        scaling = 1.0 if key.factors else scaling_of(ordered[0].owner)
        compute = partial(_multiply, scaling=scaling)
    parts = tuple(map(bind_parameter, ordered))
    penalty = with_groups(written, find_axis)
    for term in terms(written):
        if isinstance(term, Toward | Weighted):
            raise ValueError(f"{key!r}: {construction(term)} is for one parameter")
        reason = term.why_not("gradient")
        if reason is not None:
            raise ValueError(f"{key!r}: {reason}")
    return EffectiveBinding(f"effective {name}", penalty, written, parts, compute)


def _sort_factors(key: Effective, name: str, chosen: Sequence[Selected]) -> list[Selected]:
    """The factors of the product in its order."""
    if key.factors:
        by_name = {each: item for item in chosen for each in item.owner.names}
        missing = [each for each in key.factors if each not in by_name]
        if missing:
            raise ValueError(
                f"{key!r}: there is no parameter {missing[0]}, or an earlier key takes it: "
                f"{FACTORS_TAKEN}"
            )
        ordered = [by_name[each] for each in key.factors]
    else:
        ordered = sorted(chosen, key=lambda item: is_second_factor(item.owner))
        if [is_second_factor(item.owner) for item in ordered] != [False, True]:
            raise ValueError(
                f"{key!r}: {name} needs its A and its B, and the model has only one of them, or an "
                f"earlier key takes one: {FACTORS_TAKEN}"
            )
    shapes = [tuple(item.candidate.parameter.shape) for item in ordered]
    flat = [(shape[0], math.prod(shape[1:])) for shape in shapes]
    if any(left[1] != right[0] for left, right in pairwise(flat)):
        raise ValueError(f"{key!r}: factors of shapes {shapes} have no product")
    return ordered


def _multiply(tensors: list[Tensor], *, scaling: float) -> Tensor:
    """The product of matrices times `scaling`; of a kernel its entries are one axis."""
    product = tensors[0].flatten(1)
    for tensor in tensors[1:]:
        product = product @ tensor.flatten(1)
    return product if scaling == 1.0 else scaling * product


def _parametrize(
    module: ParametrizationList, keys: tuple[str, ...], tensors: list[Tensor]
) -> Tensor:
    """What a parametrization makes of these tensors in place of its own.

    It gets copies of its buffers, since spectral norm in training writes into them.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    given = dict(zip(keys, tensors, strict=True))
    result: Tensor = functional_call(module, buffers | given, ())
    return result
