"""What acts on each parameter of a model: optimizers, their own decay, penalties and their ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty, parse
from shrinkage.torch.auditing.invariance import kills_bias, normalized, undoes_scale, without_scale
from shrinkage.torch.binding.bound import Part
from shrinkage.torch.binding.core import BoundModel, Host, attachments_of
from shrinkage.torch.binding.max_norm import SelfClipping
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.facts.weight_decay import Decay, highest_lr, own_decay, steady_step
from shrinkage.torch.models.normalized import divided_by_size
from shrinkage.torch.models.owners import Candidate, candidates, unwrapped

UNHELD = Decay(0.0, "coupled", 0.0, False)


@dataclass(frozen=True)
class Pull:
    """A penalty on one parameter, and how it reaches it."""

    penalty: Penalty  # with its groups resolved
    written: Penalty  # as the user wrote it
    how: str
    part: Part | None  # None: a bare penalty inside the optimizer
    regularizer: BoundModel | None

    @property
    def attachment(self) -> Host | None:
        return None if self.regularizer is None else self.regularizer.host

    @property
    def square(self) -> float:
        """The b of its b·Σw², with the factor of now."""
        factor = 1.0 if self.regularizer is None else self.regularizer.factor
        return factor * self.penalty.split().square

    def rate(self, optimizer: Optimizer, group: Group, lr: float) -> float | None:
        """The share of a weight that its squares take in a step, where it is known."""
        if not self.square:
            return 0.0
        if self.how == "decoupled" and self.attachment is not None:
            amount = float(self.attachment.amount(group, lr))
            return 2.0 * amount * self.penalty.split().square
        steady = steady_step(optimizer, group, lr)
        return None if steady is None else 2.0 * steady * self.square


@dataclass(frozen=True, eq=False)
class Subject:
    """One parameter with all that acts on it."""

    candidate: Candidate
    holders: tuple[tuple[Optimizer, Group], ...]  # one for each time that an optimizer holds it
    pulls: tuple[Pull, ...]

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def parameter(self) -> Tensor:
        return self.candidate.parameter

    @property
    def is_trained(self) -> bool:
        return self.parameter.requires_grad

    @property
    def kind(self) -> str:
        """ "weight", or what it is instead; a tied one is a weight if it is one anywhere."""
        kinds = [owner.kind for owner in self.candidate.owners]
        return "weight" if "weight" in kinds else kinds[0]

    @property
    def divided(self) -> str | None:
        """What divides a weight by its own size before it is used, or None."""
        return divided_by_size(self.candidate.owners[0])

    @property
    def decay(self) -> Decay:
        """The decay of its optimizer at the present learning rate."""
        return own_decay(*self.holders[0]) if self.holders else UNHELD

    @property
    def square(self) -> float:
        """The b of all b·Σw² among its penalties."""
        return sum(pull.square for pull in self.pulls)

    @property
    def rate(self) -> float | None:
        """The share of a weight that all decay takes in a step at the highest learning rate."""
        optimizer, group = self.holders[0]
        lr = highest_lr(group)
        rates = [own_decay(optimizer, group, lr).rate if self.decay.strength else 0.0]
        rates += [pull.rate(optimizer, group, lr) for pull in self.pulls]
        return None if None in rates else sum(filter(None, rates))


@dataclass(frozen=True)
class Picture:
    """A model, its optimizers and regularizer, and the length of the run, seen together."""

    model: nn.Module
    optimizers: tuple[Optimizer, ...]
    regularizer: BoundModel | None
    subjects: tuple[Subject, ...]
    steps: int | None = None
    steps_per_epoch: int | None = None
    sample: Any = None
    clip: float | None = None

    def variable(self, optimizer: Optimizer) -> str:
        """What remedies call an optimizer."""
        if len(self.optimizers) == 1:
            return "optimizer"
        return f"optimizers[{[id(one) for one in self.optimizers].index(id(optimizer))}]"

    @cached_property
    def unfelt_scales(self) -> dict[str, str]:
        """Weights whose scale the output does not feel, by name, with what undoes it."""
        found = {one.name: kind for one in self.subjects if (kind := one.divided) is not None}
        model, prefix = unwrapped(self.model)
        weights = [one for one in self.subjects if one.kind == "weight" and one.name not in found]
        if self.sample is not None:
            paths = {one.candidate.owners[0].path.removeprefix(prefix): one for one in weights}
            blind = without_scale(model, list(paths), self.sample)
            return found | {paths[path].name: "what follows, on the sample" for path in blind}
        for subject, norm in self._before_a_normalization:
            if subject in weights and undoes_scale(norm, subject.candidate.owners[0].module):
                found[subject.name] = type(norm).__name__
        return found

    @cached_property
    def dead_biases(self) -> list[Subject]:
        """Biases that a normalization takes off again."""
        before = self._before_a_normalization
        return [subject for subject, norm in before if subject.kind == "bias" and kills_bias(norm)]

    @cached_property
    def _before_a_normalization(self) -> list[tuple[Subject, nn.Module]]:
        norms, found = normalized(unwrapped(self.model)[0]), []
        for subject in self.subjects:
            owner = subject.candidate.owners[0]
            plain = len(subject.candidate.owners) == 1 and owner.name == owner.alias
            if plain and owner.key in {"weight", "bias"} and owner.module in norms:
                found.append((subject, norms[owner.module]))
        return found


def picture(
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    regularizer: BoundModel | None = None,
    **run: Any,
) -> Picture:
    """Look at model, optimizers and regularizer as they are now.

    Raises
    ------
    ValueError
        If `regularizer` penalizes nothing of `model`.
    """
    pool = candidates(model)
    holders: dict[int, list[tuple[Optimizer, Group]]] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                holders.setdefault(id(parameter), []).append((optimizer, group))
    pulls: dict[int, list[Pull]] = {}
    for parameter, pull in _pulls(optimizers, regularizer):
        pulls.setdefault(id(parameter), []).append(pull)
    if regularizer is not None:
        mine = {id(one.parameter) for one in pool}
        selected = (one for one in regularizer.selected if one.penalty is not None)
        if all(id(one.candidate.parameter) not in mine for one in selected):
            raise ValueError(
                "regularizer penalizes no parameter of this model: build it from the same model"
            )
    subjects = [
        Subject(one, tuple(holders.get(key, ())), tuple(pulls.get(key, ())))
        for one in pool
        for key in [id(one.parameter)]
    ]
    return Picture(model, tuple(optimizers), regularizer, tuple(subjects), **run)


def _pulls(
    optimizers: Sequence[Optimizer], regularizer: BoundModel | None
) -> Iterator[tuple[Tensor, Pull]]:
    """Every penalty that acts: attached to an optimizer, inside it, or in the loss."""
    acting: list[tuple[BoundModel, str]] = []
    for optimizer in optimizers:
        acting += [(other.bound, other.how) for other in attachments_of(optimizer)]
        for group in optimizer.param_groups:
            inside, how = _inside(optimizer, group)
            if isinstance(inside, Penalty):
                for parameter in group["params"]:
                    yield parameter, Pull(inside, inside, how, None, None)
            elif inside is not None and all(inside.bound is not other for other, _ in acting):
                acting.append((inside.bound, how))
    is_at_work = any(other is regularizer for other, _ in acting)
    if regularizer is not None and regularizer.host is None and not is_at_work:
        acting.append((regularizer, "loss"))
    for each, how in acting:
        each.refresh()
        for binding, part in each.active_parts:
            yield part.parameter, Pull(binding.penalty, binding.written, how, part, each)


def _inside(optimizer: Optimizer, group: Group) -> tuple[Penalty | Regularized | None, str]:
    """The penalty that an optimizer of this library has inside, and its way."""
    if isinstance(optimizer, SelfClipping) and optimizer.has_penalty_in_groups:
        inside = group["penalty"]
        return parse(inside) if isinstance(inside, str) else inside, group["how"]
    return getattr(optimizer, "penalty", None), "proximal"
