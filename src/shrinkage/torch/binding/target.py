"""A wanted share of zeros, the ramp that leads to it, and how far training has come on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from shrinkage.penalties.arrays import checked_number
from shrinkage.user_warning import warn_user

FLOOR, GROUP_FLOOR = 0.02, 0.1
FILLED = 0.01  # a larger gap at the end is warned of


@dataclass
class Goal:
    """One share of zeros, and the strength found for it."""

    share: float
    factor: float = 1.0
    done: int = 0  # steps that have moved some of its weights, since it was attached
    zeros: float = 0.0  # the share of zeros after the last step
    filled: float = 0.0  # how much of the share was set to zero at the end, beyond the strength's


@dataclass
class Target:
    """Shares of zeros by patterns of names, and the cubic ramp from `start` over `steps` steps."""

    goals: dict[str, Goal]
    start: int
    steps: int
    floor: float | None
    has_told_floor: bool = False

    @property
    def end(self) -> int:
        """The step in which a goal is reached."""
        return self.start + self.steps

    @property
    def done(self) -> int:
        """The steps that all goals have made."""
        return min(goal.done for goal in self.goals.values())

    @property
    def is_reached(self) -> bool:
        return self.done >= self.end

    def find_pattern(self, names: Iterable[str]) -> str | None:
        """The first pattern that matches one of the names of a parameter, or None."""
        names = list(names)
        return next((p for p in self.goals if any(fnmatchcase(name, p) for name in names)), None)

    def wanted(self, goal: Goal) -> float:
        """S·(1 − (1 − p)³), where p goes from 0 to 1."""
        p = min(max((goal.done - self.start) / self.steps, 0.0), 1.0)
        return goal.share * (1.0 - (1.0 - p) ** 3)

    def most(self, goal: Goal, units: int, *, by_groups: bool) -> int:
        """How many of a layer's units may be zero: at least one stays, and the floor's share."""
        if self.floor is not None:
            floor = self.floor
        elif by_groups:
            floor = min(GROUP_FLOOR, (1.0 - goal.share) / 2.0)
        else:
            floor = min(FLOOR, (1.0 - goal.share) / 5.0)
        return max(units - max(math.ceil(floor * units - 1e-9), 1), 0)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as numbers and text."""
        goals = {pattern: asdict(goal) for pattern, goal in self.goals.items()}
        return {"has_told_floor": self.has_told_floor, "goals": goals}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; warn of a goal that had another share, and start new ones at 0."""
        self.has_told_floor = bool(state["has_told_floor"])
        for pattern, goal in self.goals.items():
            saved = dict(state["goals"].get(pattern, {}))
            share = saved.pop("share", goal.share)
            for name, value in saved.items():
                setattr(goal, name, value)
            if share == goal.share:
                continue
            if goal.done >= self.end:
                then = (
                    f"the present ramp ends at step {self.end} and the saved run has made "
                    f"{goal.done}, so that the saved zeros stay; for more of them give a "
                    f"target_start of {goal.done} and target_steps"
                )
            else:
                then = "the ramp goes on to the present one"
            where = "" if pattern == "*" else f" in {pattern}"
            warn_user(
                f"the saved run had the target {share:g}{where}, and this one has "
                f"{goal.share:g}: {then}",
            )

    def __str__(self) -> str:
        texts = []
        for pattern, goal in self.goals.items():
            where = "" if pattern == "*" else f" in {pattern}"
            filled = f", the last {goal.filled:.1%} the smallest" if goal.filled > 0 else ""
            texts.append(f"{goal.zeros:.1%} zeros of {goal.share:.1%} wanted{where}{filled}")
        is_reached, end = self.is_reached, self.end
        when = f"reached at step {end}" if is_reached else f"step {self.done} of {end}"
        return f"target: {'; '.join(texts)} ({when})"


def make_target(
    target: float | Mapping[str, float] | None,
    start: int | None,
    steps: int | None,
    floor: float | None,
) -> Target | None:
    """The target of `attach`, from its arguments, which are checked."""
    if target is None:
        for name, value in (("start", start), ("steps", steps), ("floor", floor)):
            if value is not None:
                raise ValueError(f"target_{name} goes with target=, a share of zeros such as 0.9")
        return None
    shares = target if isinstance(target, Mapping) else {"*": target}
    if not shares:
        raise ValueError("target is an empty mapping; give a share such as 0.9, or leave it out")
    goals = {}
    for pattern, share in shares.items():
        name = "target" if pattern == "*" else f"target[{pattern!r}]"
        if not isinstance(pattern, str):
            raise TypeError(f"target maps patterns of names to shares, got the key {pattern!r}")
        number = checked_number(name, share)
        if not 0.0 < number < 1.0:
            hint = f"; {number:g} % is {number / 100:g}" if 1.0 < number < 100.0 else ""
            raise ValueError(
                f"{name} must be a share of zeros between 0 and 1, both excluded, got "
                f"{number:g}{hint}"
            )
        goals[pattern] = Goal(number)
    if steps is None:
        raise ValueError(
            "target needs target_steps, the steps over which the zeros are made: about a third of "
            "the training, with as many after it to refit"
        )
    if floor is not None:
        floor = checked_number("target_floor", floor)
        largest = max(goal.share for goal in goals.values())
        if not 0.0 <= floor <= 1.0 - largest:
            raise ValueError(
                f"target_floor must be between 0 and 1 − target = {1.0 - largest:g}, got "
                f"{floor:g}: it is the share of each layer that stays"
            )
    start = _checked_count("target_start", 0 if start is None else start, 0)
    return Target(goals, start, _checked_count("target_steps", steps, 1), floor)


def _checked_count(name: str, value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of steps >= {least}, got {value!r}")
    return value
