"""How a wanted share of zeros is reached: which units become zero in each step.

Each step sets the k units to zero that are worth least (`scores`). Under a count of what is not
zero (L0, and over groups) nothing else is moved. Under other penalties their own prox comes first,
at the strength that holds the zeros of the step before (`find_factor`), so that these are the
penalty's own; the step adds what the ramp asks for beyond them. After the last step the zeros are
held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shrinkage.torch.attaching.pairs import Pair
from shrinkage.torch.attaching.proximal import Proximal
from shrinkage.torch.attaching.scores import Units, zero_making_terms
from shrinkage.torch.binding.bindings import Binding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.target import FILLED, Goal, Target
from shrinkage.torch.models.selection import list_nearest
from shrinkage.torch.tensors.smallest import take_smallest
from shrinkage.user_warning import warn_user

NEAR = 0.9  # of a layer's limit: from so many expected zeros on it is watched
HELD, NEARLY = 0.995, 0.0025  # the share of the zeros that is to be held, give or take
FIRST, MOST = 1.1, 100.0  # the factor of the first move of a search, squared up to the last
DRIFT = 1.02  # a search begins lower by this, so that it comes to the least strength
SMALLEST, LARGEST = 1e-15, 1e15
PRECISE = 1.001
Moved = dict[Units, Pair]  # what of an aim's units the optimizer has just moved


@dataclass
class Aim:
    """A goal with the units of the bindings that it is for."""

    goal: Goal
    units: list[Units]

    @property
    def by_groups(self) -> bool:
        return self.units[0].groups is not None

    @property
    def is_exact(self) -> bool:
        """Whether the share follows from a count, without a strength to be steered."""
        return all(units.binding.penalty.traits.is_count for units in self.units)

    @property
    def total(self) -> int:
        """How many units there are."""
        return sum(units.total for units in self.units)

    def measure_share(self) -> float:
        """The share of its units that are zero now."""
        return sum(units.count_zeros() for units in self.units) / self.total


class Pursuit:
    """Leads the zeros of a bound model to its target, step by step."""

    def __init__(self, bound: BoundModel, target: Target, proximal: Proximal) -> None:
        self.bound, self.target, self._proximal = bound, target, proximal
        self._made_from = bound.bindings
        self._aims = find_aims(bound.active, target)

    def act_(self, moved: Sequence[Pair]) -> None:
        """Act in the step that the optimizer has just made."""
        self._proximal.note_moves(moved)
        if not self.target.is_reached:
            self._step_(moved)
        elif len(self._aims) == 1 or self.bound.held is not None:
            self._proximal.apply_(moved, self.bound.multiplier)
        else:  # each goal has found a factor of its own
            factors = {u.binding: aim.goal.factor for aim in self._aims for u in aim.units}
            for pair in moved:
                self._proximal.apply_([pair], factors.get(pair[0], self.bound.multiplier))

    def _step_(self, moved: Sequence[Pair]) -> None:
        """Make a step towards the target.

        Raises
        ------
        ValueError
            If the model has changed, and a pattern matches nothing that can become zero.
        """
        if self._made_from is not self.bound.bindings:
            self._aims = find_aims(self.bound.active, self.target)
            self._made_from = self.bound.bindings
        pair_of = {pair[0]: pair for pair in moved}
        led = {units.binding for aim in self._aims for units in aim.units}
        others = [pair for pair in moved if pair[0] not in led]
        self._proximal.apply_(others, self.bound.multiplier)
        for aim in self._aims:
            pairs = {u: pair_of[u.binding] for u in aim.units if u.binding in pair_of}
            if not pairs:
                continue
            aim.goal.done += 1
            if aim.goal.done <= self.target.start:
                self._proximal.apply_(list(pairs.values()), 0.0)
            elif aim.is_exact:
                self._project_(aim, pairs)
            else:
                self._shrink_(aim, pairs)
                self._fill_(aim, pairs)
        self._tell_factor()
        if self.target.is_reached:
            self.bound.hold_zeros()

    def _tell_factor(self) -> None:
        if len(self._aims) == 1:
            self.bound.factor = self._aims[0].goal.factor

    def _fill_(self, aim: Aim, pairs: Moved) -> None:
        """Add the smallest units to the zeros that the strength holds; at the end say how many."""
        is_end = aim.goal.done == self.target.end
        held = aim.measure_share() if is_end else 0.0
        self._project_(aim, pairs)
        if not is_end:
            return
        aim.goal.filled = max(aim.goal.share - held, 0.0)
        if aim.goal.filled > FILLED + 1.0 / aim.total:  # few groups are no finer than a point
            warn_user(
                f"target: at step {aim.goal.done} the strength holds {held:.1%} zeros, where "
                f"{aim.goal.share:.1%} are wanted; the smallest weights fill the gap; give it more "
                "target_steps, or take L0(1.0), whose zeros are set directly",
            )

    def _project_(self, aim: Aim, pairs: Moved) -> None:
        """Set the units that are worth least to zero, and leave the others as they are.

        Under a count the factor becomes the worth of the last of them, if there are more
        zeros than before: else the last one was zero already and has moved a little since.
        """
        wanted = round(self.target.wanted(aim.goal) * aim.total)
        count = wanted - sum(units.count_zeros() for units in aim.units if units not in pairs)
        if count <= 0:
            return
        pools = {
            units: self._proximal.make_pool(units, pair, self._most(aim, units))
            for units, pair in pairs.items()
        }
        worth = take_smallest(list(pools.values()), count)
        for units, pool in pools.items():
            if pool.is_full:
                self._tell_floor(aim, units)
        if aim.is_exact and 0.0 < worth < math.inf and wanted > round(aim.goal.zeros * aim.total):
            aim.goal.factor = worth
        aim.goal.zeros = wanted / aim.total if worth > 0.0 else aim.measure_share()

    def _shrink_(self, aim: Aim, pairs: Moved) -> None:
        """Apply the prox at the strength that holds the zeros of the step before."""
        if aim.goal.zeros == 0.0:
            aim.goal.factor = self.bound.factor
            self._proximal.apply_(list(pairs.values()), 0.0)
            return
        zeros_after = {
            units: units.zeros_after(self._proximal.read(pair)) for units, pair in pairs.items()
        }
        factor = find_factor(
            lambda factor: sum(zeros(factor) for zeros in zeros_after.values()),
            aim.goal.factor,
            aim.goal.zeros * sum(units.total for units in pairs),
        )
        if factor == 0.0:
            self._proximal.apply_(list(pairs.values()), 0.0)
            return
        aim.goal.factor = factor
        self._tell_factor()
        near = {
            units: units.binding.read_array().detach().clone()
            for units, zeros in zeros_after.items()
            if zeros(factor) > NEAR * self._most(aim, units)
        }
        self._proximal.apply_(list(pairs.values()), factor)
        for units, before in near.items():
            most = self._most(aim, units)
            if units.count_zeros() > most:  # the layer keeps its largest units
                units.binding.set_(before)
                take_smallest([self._proximal.make_pool(units, pairs[units], most)], most)
                self._tell_floor(aim, units)

    def _most(self, aim: Aim, units: Units) -> int:
        return self.target.most(aim.goal, units.total, by_groups=aim.by_groups)

    def _tell_floor(self, aim: Aim, units: Units) -> None:
        """Say once that a layer would have lost more than the floor allows."""
        if self.target.has_told_floor:
            return
        self.target.has_told_floor = True
        kept = units.total - self._most(aim, units)
        warn_user(
            f"target: {units.binding.name} keeps {kept} of its {units.total} "
            f"{'groups' if aim.by_groups else 'entries'} (target_floor), though they are among the "
            "smallest; other layers become zero in their place, and the same may hold for them",
        )


def find_factor(zeros_at: Callable[[float], float], last: float, zeros: float) -> float:
    """The factor near the last one at which `zeros_at` is nearly `zeros`; 0 if none is needed.

    Under a penalty such as L1 it is the least one whose prox leaves the zeros of the step before at
    zero. To make zeros by the prox alone would take a far greater one in a short ramp: large
    weights would have to be shrunk through, all others with them, and the flat part of a concave
    penalty shrinks nothing.

    >>> round(find_factor(lambda factor: 1000 * min(factor, 1.0), 1.0, 500.0), 2)
    0.5
    """
    aim, near = HELD * zeros, max(NEARLY * zeros, 0.5)

    def excess(factor: float) -> float:
        gap = zeros_at(factor) - aim
        return 0.0 if abs(gap) <= near else gap

    found = factor = last / DRIFT
    first = gap = excess(factor)
    by = FIRST if first < 0.0 else 1.0 / FIRST
    while gap * first > 0.0:  # until two factors have the aim between them
        found, factor = factor, factor * by
        if factor < SMALLEST:
            return 0.0  # more is zero without a penalty
        if not factor <= LARGEST:  # NaN too, with which nothing would ever change
            return last
        gap = excess(factor)
        by = min(by * by, MOST) if by > 1.0 else max(by * by, 1.0 / MOST)
    if gap == 0.0:
        return factor
    low, high = min(found, factor), max(found, factor)
    while high > PRECISE * low:
        middle = math.sqrt(low * high)
        gap = excess(middle)
        if gap == 0.0:
            return middle
        low, high = (middle, high) if gap < 0.0 else (low, middle)
    return low


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
            raise ValueError(_explain_nothing(pattern, bindings, target))
        if len({each.groups is None for each in units}) > 1:
            first = next(each for each in units if each.groups is None)
            second = next(each for each in units if each.groups is not None)
            raise ValueError(
                f"target{where} would count entries in {first.binding.name} and groups in "
                f"{second.binding.name} together; give a mapping of patterns to shares"
            )
    return [Aim(target.goals[pattern], units) for pattern, units in found.items()]


def _explain_nothing(pattern: str, bindings: Sequence[Binding], target: Target) -> str:
    """The sentence for a pattern whose share is of nothing."""
    aliases = [(b.name, *(name for part in b.parts for name in part.aliases)) for b in bindings]
    matched = [names for names in aliases if any(fnmatchcase(n, pattern) for n in names)]
    if not matched and bindings:
        nearest = list_nearest(pattern, [binding.name for binding in bindings])
        return f"target: pattern {pattern!r} matches no penalized parameter; {nearest}"
    earlier = {target.find_pattern(names) for names in matched} - {pattern}
    if len(earlier) == 1 and all(target.find_pattern(names) != pattern for names in matched):
        return (
            f"target: pattern {pattern!r} is left with nothing, since the earlier pattern "
            f"{earlier.pop()!r} takes all it matches; put {pattern!r} first"
        )
    where = "" if pattern == "*" else f" in {pattern!r}"
    penalized = ", ".join(binding.name for binding in bindings[:3]) + " ..." * (len(bindings) > 3)
    return (
        f"target: no penalty{where} makes zeros whose share could be led; give it one that "
        f"does, such as L0(1.0), L1(1e-4) or GroupLasso(1e-3), on {penalized}"
    )
