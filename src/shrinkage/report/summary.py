"""What the records of a study add up to: one cell for each method and strength."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shrinkage.report.text import is_number
from shrinkage.study.records import Choice, Record, Results


@dataclass(frozen=True)
class Cell:
    """The seeds of one method at one strength."""

    method: str
    strength: float
    seeds: int  # how many have a score
    diverged: int
    score: float  # mean over the seeds that have one; nan without any
    error: float  # its standard error; nan with fewer than two seeds
    zeros: float  # mean share of exact zeros

    @property
    def sound(self) -> bool:
        """Whether every seed came through, so that the cell may be chosen."""
        return self.seeds > 0 and self.diverged == 0


def mean_and_error(scores: Iterable[float | None]) -> tuple[float, float]:
    """The mean of the finite scores and its standard error, nan where there are too few."""
    finite = np.array([score for score in scores if is_number(score)], dtype=float)
    if finite.size == 0:
        return math.nan, math.nan
    if finite.size == 1:
        return float(finite[0]), math.nan
    return float(finite.mean()), float(finite.std(ddof=1) / math.sqrt(finite.size))


def method_order(results: Results) -> list[str]:
    """Each method once: the one without a penalty first, then as asked, chosen or recorded."""
    asked = results.question.get("methods")
    names = [str(name) for name in asked] if isinstance(asked, (list, tuple)) else []
    chosen = [choice.method for choice in results.choices]
    recorded = [record.trial.method for record in results.records]
    present = set(chosen) | set(recorded)
    unique = dict.fromkeys(name for name in [*names, *chosen, *recorded] if name in present)
    return sorted(unique, key=lambda name: name != "none")


def cells(records: Sequence[Record]) -> list[Cell]:
    """One cell for each method and strength, strengths ascending."""
    groups: dict[tuple[str, float], list[Record]] = {}
    for record in records:
        groups.setdefault((record.trial.method, record.trial.strength), []).append(record)
    return [_cell(*groups[key], method=key[0], strength=key[1]) for key in sorted(groups)]


def _cell(*records: Record, method: str, strength: float) -> Cell:
    scored = [
        record for record in records if record.status == "ok" and is_number(record.validation_score)
    ]
    score, error = mean_and_error(record.validation_score for record in scored)
    zeros, _ = mean_and_error(record.zeros for record in scored)
    return Cell(
        method=method,
        strength=strength,
        seeds=len(scored),
        diverged=len(records) - len(scored),
        score=score,
        error=error,
        zeros=zeros,
    )


def diverged(records: Sequence[Record]) -> list[Record]:
    """The trials that did not come through."""
    return [record for record in records if record.status != "ok"]


def chosen_records(records: Sequence[Record], choice: Choice) -> list[Record]:
    """The trials of a chosen strength that came through, first seed first."""
    found = [
        record
        for record in records
        if record.trial.method == choice.method
        and record.trial.strength == choice.strength
        and record.status == "ok"
    ]
    return sorted(found, key=lambda record: record.trial.seed)


def pareto_front(candidates: Sequence[Cell]) -> list[Cell]:
    """The sound cells that no other beats in both score and zeros, zeros ascending."""
    front: list[Cell] = []
    sound = [cell for cell in candidates if cell.sound]
    for cell in sorted(sound, key=lambda cell: (-cell.zeros, -cell.score)):
        if not front or cell.score > front[-1].score:
            front.append(cell)
    return front[::-1]
