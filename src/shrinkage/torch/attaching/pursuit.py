"""The way to a wanted share of zeros: which units become zero in each step.

Under a count of what is not zero (L0, and over groups) each step sets the k units to zero that are
worth least (`scores`), and leaves the others as they are. Under other penalties the strength is
steered, so that their own prox makes the zeros. In the last step both set exactly k to zero, and
from then on these are held.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shrinkage.torch.attaching.pairs import Pair
from shrinkage.torch.attaching.scores import Units, zero_making_terms
from shrinkage.torch.binding.bindings import Binding, Reading
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.target import FILLED, Goal, Target
from shrinkage.torch.tensors.smallest import Pool, take_smallest

LONGEST_SEARCH = 60  # factors of 2
SMALL = 1 << 12  # units: so few may all become zero in one step
Read = Callable[[Pair], Sequence[Reading | None]]
MakePool = Callable[[Units, Pair, int], Pool]


@dataclass
class Aim:
    """A goal with the units of the bindings that it is for."""

    pattern: str
    goal: Goal
    units: list[Units]

    @property
    def by_groups(self) -> bool:
        return self.units[0].groups is not None

    @property
    def is_exact(self) -> bool:
        """Whether the share follows from a count, without a strength to be steered."""
        return all(units.binding.penalty.traits.is_count for units in self.units)


class Pursuit:
    """Leads the zeros of a bound model to its target, step by step."""

    def __init__(self, bound: BoundModel, target: Target, make_pool: MakePool) -> None:
        self.bound, self.target, self._make_pool = bound, target, make_pool
        self._aims: list[Aim] = []
        self._totals: dict[str, int] = {}
        self._made_from: object = None
        self.refresh()

    def refresh(self) -> None:
        """Find what each goal is for, again where the model has changed.

        Raises
        ------
        ValueError
            If a pattern matches nothing that can become zero.
        """
        if self._made_from is self.bound.bindings:
            return
        self._aims = find_aims(self.bound.active, self.target)
        self._totals = {
            units.binding.name: units.total for aim in self._aims for units in aim.units
        }
        self._made_from = self.bound.bindings

    @property
    def has_one_factor(self) -> bool:
        """Whether all strengths have the regularizer's factor."""
        return len(self._aims) == 1 or self.bound.held is not None

    def factor_of(self, binding: Binding) -> float:
        """The factor of a binding's strength: its goal's, or the regularizer's."""
        for aim in self._aims:
            if any(units.binding is binding for units in aim.units):
                return aim.goal.factor
        return self.bound.multiplier

    def step_(self, moved: Sequence[Pair], read: Read, prox_: Callable[..., None]) -> None:
        """Act in the step that the optimizer has just made; `prox_` applies penalties to pairs."""
        self.refresh()
        self.target.done += 1
        aimed = {id(units.binding) for aim in self._aims for units in aim.units}
        prox_([pair for pair in moved if id(pair[0]) not in aimed], self.bound.multiplier)
        for aim in self._aims:
            members = {id(units.binding) for units in aim.units}
            pairs = [pair for pair in moved if id(pair[0]) in members]
            if self.target.done <= self.target.start:
                prox_(pairs, 0.0)
            elif self.target.is_reached:
                prox_(pairs, 0.0)
                self._fill_(aim, pairs)
            elif aim.is_exact:
                self._project_(aim, pairs)
            else:
                if aim.goal.gap is None:
                    aim.goal.factor = self._first_factor(aim, pairs, read)
                aim.goal.steer(self.target.wanted(aim.goal), by_groups=aim.by_groups)
                self._tell_factor()
                self._shrink_(aim, pairs, prox_)
            is_counted = self.target.is_reached or not aim.is_exact
            if is_counted and self.target.done > self.target.start:
                aim.goal.zeros = self._share(aim)
        self._tell_factor()
        if self.target.is_reached:
            self.bound.hold_zeros()

    def _tell_factor(self) -> None:
        if len(self._aims) == 1:
            self.bound.factor = self._aims[0].goal.factor

    def _fill_(self, aim: Aim, pairs: Sequence[Pair]) -> None:
        """In the last step set exactly as many units to zero as are wanted, the smallest."""
        before = aim.goal.zeros
        self._project_(aim, pairs)
        if aim.is_exact:
            return
        aim.goal.filled = max(aim.goal.share - before, 0.0)
        if aim.goal.filled > FILLED:
            warnings.warn(
                f"target: at step {self.target.done} the strength had made {before:.1%} zeros, "
                f"where {aim.goal.share:.1%} were wanted; the smallest weights filled the gap; "
                "give it more target_steps, or take L0(1.0), whose zeros are set directly",
                stacklevel=5,
            )

    def _project_(self, aim: Aim, pairs: Sequence[Pair]) -> None:
        """Set the units that are worth least to zero, and leave the others as they are.

        Of a count the factor is what the last of them is worth. It is read where there are more
        zeros than before: else the last one was zero already and has moved a little since.
        """
        moving = {id(pair[0]): pair for pair in pairs}
        chosen = [units for units in aim.units if id(units.binding) in moving]
        others = [units for units in aim.units if id(units.binding) not in moving]
        total = sum(self._totals[units.binding.name] for units in aim.units)
        wanted = round(self.target.wanted(aim.goal) * total)
        count = wanted - sum(units.count_zeros() for units in others)
        if not chosen or count <= 0:
            return
        pools = [
            self._make_pool(units, moving[id(units.binding)], self._most(aim, units))
            for units in chosen
        ]
        worth = take_smallest(pools, count)
        full = [units for units, pool in zip(chosen, pools, strict=True) if pool.is_full]
        if full:
            self._tell_floor(aim, full[0])
        if aim.is_exact and worth < math.inf and wanted > round(aim.goal.zeros * total):
            aim.goal.factor = worth
        aim.goal.zeros = wanted / total

    def _first_factor(self, aim: Aim, pairs: Sequence[Pair], read: Read) -> float:
        """The factor at which half of the units would be zero after the ramp without a gradient.

        It is that at which a single prox would do it, found by factors of 2, over the number of
        steps. So the gains begin at the right order of magnitude, whatever strength was written.
        """
        units_of = {id(units.binding): units for units in aim.units}
        total = sum(self._totals[units.binding.name] for units in aim.units)

        def zeros_at(factor: float) -> int:
            return sum(units_of[id(p[0])].count_zeros_after(read(p), factor) for p in pairs)

        factor, half = self.bound.factor, total / 2
        by = 0.5 if zeros_at(factor) > half else 2.0
        for _ in range(LONGEST_SEARCH):
            if (zeros_at(factor * by) > half) is (by > 1.0):
                break
            factor *= by
        return factor / self.target.steps

    def _shrink_(self, aim: Aim, pairs: Sequence[Pair], prox_: Callable[..., None]) -> None:
        """Apply the prox at the steered strength; a layer at its floor keeps its largest units."""
        units_of = {id(units.binding): units for units in aim.units}
        near = []
        for pair in pairs:
            units = units_of[id(pair[0])]
            most = self._most(aim, units)
            if most <= SMALL or units.count_zeros() >= most / 2:
                near.append((pair, units, most, pair[0].read_array().detach().clone()))
        prox_(pairs, aim.goal.factor)
        for pair, units, most, before in near:
            if units.count_zeros() > most:
                pair[0].set_(before)
                take_smallest([self._make_pool(units, pair, most)], most)
                self._tell_floor(aim, units)

    def _most(self, aim: Aim, units: Units) -> int:
        total = self._totals[units.binding.name]
        return self.target.most(aim.goal, total, by_groups=aim.by_groups)

    def _tell_floor(self, aim: Aim, units: Units) -> None:
        """Say once that a layer would have lost more than the floor allows."""
        if self.target.has_told_floor:
            return
        self.target.has_told_floor = True
        total = self._totals[units.binding.name]
        kept = total - self._most(aim, units)
        warnings.warn(
            f"target: {units.binding.name} keeps {kept} of its {total} "
            f"{'groups' if aim.by_groups else 'entries'} (target_floor), though they are among the "
            "smallest; other layers become zero in their place, and the same may hold for them",
            stacklevel=6,
        )

    def _share(self, aim: Aim) -> float:
        total = sum(self._totals[units.binding.name] for units in aim.units)
        return sum(units.count_zeros() for units in aim.units) / total


def find_aims(bindings: Sequence[Binding], target: Target) -> list[Aim]:
    """What each goal is for: the first pattern that matches a name wins.

    Raises
    ------
    ValueError
    """
    found: dict[str, list[Units]] = {pattern: [] for pattern in target.goals}
    for binding in bindings:
        aliases = [name for part in binding.parts for name in part.aliases]
        pattern = target.find_pattern([binding.name, *aliases])
        prices = zero_making_terms(binding.penalty)
        if pattern is None or not prices:
            continue
        grouped = (term for term in prices if getattr(term, "groups", None) is not None)
        price = next(grouped, prices[0])
        found[pattern].append(Units(binding, getattr(price, "groups", None), price))
    for pattern, units in found.items():
        where = "" if pattern == "*" else f" in {pattern!r}"
        if not units:
            raise ValueError(
                f"target: no penalty{where} makes zeros whose share could be led; give it one that "
                "does, such as L0(1.0), L1(1e-4) or GroupLasso(1e-3), on " + _names(bindings)
            )
        if len({each.groups is None for each in units}) > 1:
            first = next(each for each in units if each.groups is None)
            second = next(each for each in units if each.groups is not None)
            raise ValueError(
                f"target{where} would count entries in {first.binding.name} and groups in "
                f"{second.binding.name} together; give a mapping of patterns to shares"
            )
    return [Aim(pattern, target.goals[pattern], units) for pattern, units in found.items()]


def _names(bindings: Sequence[Binding]) -> str:
    names = [binding.name for binding in bindings]
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
