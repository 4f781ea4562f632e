"""A snapshot of all that acts on a model's parameters: optimizers, decay and penalties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty, parse
from shrinkage.torch.auditing.scale_invariance import (
    find_normalized_layers,
    find_scale_invariant,
    removes_bias,
    removes_scale,
)
from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel, Host, attachments_of
from shrinkage.torch.binding.effective_binding import EffectiveBinding
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.facts.scale import decoupled_amount
from shrinkage.torch.facts.weight_decay import Decay, highest_lr, own_decay, steady_step
from shrinkage.torch.models.effective import divided_by_size
from shrinkage.torch.models.owners import Candidate, candidates, unwrapped

NO_DECAY = Decay(0.0, "coupled", 0.0, False)


@dataclass(frozen=True)
class AppliedPenalty:
    """A penalty on one parameter, and how it reaches the parameter."""

    penalty: Penalty  # with its groups resolved
    written: Penalty  # as the user wrote it
    how: str
    part: BoundParameter | None  # None: a bare penalty inside the optimizer
    bound: BoundModel | None  # None with a bare penalty, too
    is_effective: bool = False  # on a weight that the model computes from the parameter

    @property
    def host(self) -> Host | None:
        return None if self.bound is None else self.bound.host

    @property
    def acts(self) -> bool:
        """Whether it does something: while zeros are held, constraints alone do."""
        return self.bound is None or self.bound.held is None or self.penalty.traits.is_constrained

    @property
    def square(self) -> float:
        """The b of its b·Σw², times the regularizer's factor; 0 while zeros are held."""
        multiplier = 1.0 if self.bound is None else self.bound.multiplier
        return multiplier * self.penalty.split().square

    def scale(self, group: Group) -> str | None:
        """The `scale` of a decoupled penalty; None where nothing is scaled."""
        scale = group.get("scale") if self.host is None else self.host.scale
        return None if scale is None else str(scale)

    def rate(self, optimizer: Optimizer, group: Group, lr: float) -> float | None:
        """The share of a weight that b·Σw² takes in a step, where it is known."""
        if not self.square:
            return 0.0
        if self.how == "decoupled":
            if self.host is not None:
                amount = self.host.amount(group, lr)
            else:
                factor = 1.0 if self.bound is None else self.bound.multiplier  # a copy has no host
                first: Any = group.get("initial_lr", group["first_lr"])
                amount = decoupled_amount(self.scale(group), factor, lr, float(first))
            return 2.0 * float(amount) * self.penalty.split().square
        steady = steady_step(optimizer, group, lr)
        return None if steady is None else 2.0 * steady * self.square


@dataclass(frozen=True, eq=False)
class AuditedParameter:
    """One parameter with the optimizers, decay and penalties that act on it."""

    candidate: Candidate
    held_by: tuple[tuple[Optimizer, Group], ...]  # one for each time that an optimizer holds it
    penalties: tuple[AppliedPenalty, ...]

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def tensor(self) -> Tensor:
        return self.candidate.parameter

    @property
    def is_trained(self) -> bool:
        return self.tensor.requires_grad

    @property
    def optimizer(self) -> Optimizer:
        """The first optimizer that holds it."""
        return self.held_by[0][0]

    @property
    def kind(self) -> str:
        """ "weight", or what it is instead; a tied one is a weight if it is one anywhere."""
        kinds = [owner.kind for owner in self.candidate.owners]
        return "weight" if "weight" in kinds else kinds[0]

    @property
    def divisor(self) -> str | None:
        """What divides the weight by its own size before it is used, or None."""
        return divided_by_size(self.candidate.owners[0])

    @property
    def decay(self) -> Decay:
        """The decay of its optimizer at the present learning rate."""
        return own_decay(*self.held_by[0]) if self.held_by else NO_DECAY

    @property
    def is_stepped(self) -> bool:
        """Whether an optimizer trains it."""
        return self.is_trained and bool(self.held_by)

    @property
    def is_decayed(self) -> bool:
        """Whether its optimizer's own weight_decay acts on it."""
        return self.is_stepped and self.decay.strength != 0.0

    @property
    def square(self) -> float:
        """The sum of b over all b·Σw² among its penalties."""
        return sum(applied.square for applied in self.penalties)

    @property
    def rate(self) -> float | None:
        """The share of a weight that all decay takes in a step at the highest learning rate."""
        optimizer, group = self.held_by[0]
        lr = highest_lr(group)
        rates = [own_decay(optimizer, group, lr).rate if self.decay.strength else 0.0]
        rates += [applied.rate(optimizer, group, lr) for applied in self.penalties]
        return None if None in rates else sum(filter(None, rates))


@dataclass(frozen=True)
class Snapshot:
    """A model, its optimizers and regularizer, and the length of the run, seen together."""

    model: nn.Module
    optimizers: tuple[Optimizer, ...]
    bound: BoundModel | None  # of the regularizer that was given
    parameters: tuple[AuditedParameter, ...]
    steps: int | None = None
    steps_per_epoch: int | None = None
    sample: Any = None
    clip: float | None = None

    def variable(self, optimizer: Optimizer) -> str:
        """The name that remedies use for an optimizer."""
        if len(self.optimizers) == 1:
            return "optimizer"
        return f"optimizers[{self.optimizers.index(optimizer)}]"

    @cached_property
    def scale_invariant(self) -> dict[str, str]:
        """Names of the weights whose scale has no effect, with what removes the scale."""
        removed_by = {each.name: each.divisor for each in self.parameters if each.divisor}
        model, prefix = unwrapped(self.model)
        weights = [
            each
            for each in self.parameters
            if each.kind == "weight" and each.name not in removed_by
        ]
        if self.sample is not None:
            names = {
                each.candidate.owners[0].path.removeprefix(prefix): each.name for each in weights
            }
            invariant = find_scale_invariant(model, list(names), self.sample)
            return removed_by | {names[path]: "what follows, on the sample" for path in invariant}
        for audited, norm in self._normalized:
            if audited in weights and removes_scale(norm, audited.candidate.owners[0].module):
                removed_by[audited.name] = type(norm).__name__
        return removed_by

    @cached_property
    def biases_without_effect(self) -> list[AuditedParameter]:
        """Biases that a normalization subtracts again."""
        return [
            each for each, norm in self._normalized if each.kind == "bias" and removes_bias(norm)
        ]

    @cached_property
    def _normalized(self) -> list[tuple[AuditedParameter, nn.Module]]:
        """The weights and biases of layers before a normalization, with that normalization."""
        norms = find_normalized_layers(unwrapped(self.model)[0])
        return [
            (audited, norms[owner.module])
            for audited in self.parameters
            for owner in audited.candidate.owners[:1]
            if len(audited.candidate.owners) == 1
            and owner.name == owner.alias
            and owner.key in {"weight", "bias"}
            and owner.module in norms
        ]


def take_snapshot(
    model: nn.Module, optimizers: Sequence[Optimizer], bound: BoundModel | None = None, **run: Any
) -> Snapshot:
    """Look at model, optimizers and regularizer as they are now.

    Raises
    ------
    ValueError
        If `bound` penalizes nothing of `model`.
    """
    pool = candidates(model)
    held_by: dict[int, list[tuple[Optimizer, Group]]] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                held_by.setdefault(id(parameter), []).append((optimizer, group))
    penalties: dict[int, list[AppliedPenalty]] = {}
    for parameter, applied in _find_applied_penalties(optimizers, bound):
        penalties.setdefault(id(parameter), []).append(applied)
    if bound is not None:
        in_model = {id(candidate.parameter) for candidate in pool}
        penalized = (each for each in bound.selected if each.penalty is not None)
        if all(id(each.candidate.parameter) not in in_model for each in penalized):
            raise ValueError(
                "regularizer penalizes no parameter of this model: build it from the same model"
            )
    parameters = tuple(
        AuditedParameter(candidate, tuple(held_by.get(key, ())), tuple(penalties.get(key, ())))
        for candidate in pool
        for key in [id(candidate.parameter)]
    )
    return Snapshot(model, tuple(optimizers), bound, parameters, **run)


def _find_applied_penalties(
    optimizers: Sequence[Optimizer], bound: BoundModel | None
) -> Iterator[tuple[Tensor, AppliedPenalty]]:
    """Every penalty that acts: attached to an optimizer, inside it, or in the loss."""
    acting: list[tuple[BoundModel, str]] = []
    for optimizer in optimizers:
        acting += [(attached.bound, attached.how) for attached in attachments_of(optimizer)]
        for group in optimizer.param_groups:
            inside, how = _find_penalty_inside(optimizer, group)
            if isinstance(inside, Penalty):
                for parameter in group["params"]:
                    yield parameter, AppliedPenalty(inside, inside, how, None, None)
            elif inside is not None and all(inside.bound is not other for other, _ in acting):
                acting.append((inside.bound, how))
    acts_already = any(other is bound for other, _ in acting)
    if bound is not None and bound.host is None and not acts_already:
        acting.append((bound, "loss"))
    for each, how in acting:
        each.refresh()
        for binding, part in each.active_parts:
            is_effective = isinstance(binding, EffectiveBinding)
            yield (
                part.parameter,
                AppliedPenalty(binding.penalty, binding.written, how, part, each, is_effective),
            )


def _find_penalty_inside(
    optimizer: Optimizer, group: Group
) -> tuple[Penalty | Regularized | None, str]:
    """The penalty that an optimizer of this library has inside, and how it acts."""
    if not isinstance(optimizer, SelfClipping):
        return None, "proximal"
    inside = optimizer.penalty_of(group)
    how = group["how"] if optimizer.has_penalty_in_groups else "proximal"
    return parse(inside) if isinstance(inside, str) else inside, how
