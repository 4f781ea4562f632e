"""What the records of a study add up to: one cell for each method and strength."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from shrinkage.study.records import Choice, FeatureUse, Record


@dataclass(frozen=True)
class Cell:
    """The trials of one method at one strength. Means are over the seeds that have a score."""

    method: str
    strength: float
    seeds: int  # how many have a finite score
    diverged: int  # how many have none
    score: float  # mean validation score; nan without any seed
    error: float  # its standard error, sd/√seeds; nan with fewer than two seeds
    zeros: float
    dead_neurons: float
    neurons: int
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether every seed has a score, so that the cell may be chosen."""
        return self.seeds > 0 and self.diverged == 0


def estimate_mean(scores: Iterable[float | None]) -> tuple[float, float]:
    """The mean of the finite scores and its standard error, nan where there are too few.

    >>> estimate_mean([0.5, 1.0, None])
    (0.75, 0.25)
    """
    finite = [score for score in scores if score is not None and math.isfinite(score)]
    if not finite:
        return math.nan, math.nan
    mean, count = fmean(finite), len(finite)
    if count == 1:
        return mean, math.nan
    steps = [score - finite[0] for score in finite]  # exactly 0 where all are equal
    middle = fmean(steps)
    squares = math.fsum((step - middle) * (step - middle) for step in steps)
    return mean, math.sqrt(squares / (count - 1) / count)


def summarize(records: Sequence[Record]) -> list[Cell]:
    """One cell for each method and strength, the methods as they come, the strengths ascending."""
    methods = list(dict.fromkeys(record.trial.method for record in records))
    groups: dict[tuple[int, float], list[Record]] = {}
    for record in records:
        key = (methods.index(record.trial.method), record.trial.strength)
        groups.setdefault(key, []).append(record)
    return [_summarize_cell(groups[key]) for key in sorted(groups)]


def _summarize_cell(records: Sequence[Record]) -> Cell:
    sound = [
        record
        for record in records
        if record.status == "ok"
        and record.validation_score is not None
        and math.isfinite(record.validation_score)
    ]
    score, error = estimate_mean(record.validation_score for record in sound)

    def mean(values: Iterable[float]) -> float:
        return fmean(values) if sound else math.nan

    return Cell(
        method=records[0].trial.method,
        strength=records[0].trial.strength,
        seeds=len(sound),
        diverged=len(records) - len(sound),
        score=score,
        error=error,
        zeros=mean(record.zeros for record in sound),
        dead_neurons=mean(record.dead_neurons for record in sound),
        neurons=records[0].neurons,
        seconds=mean(record.seconds for record in sound),
    )


def merge_rules(choices: Sequence[Choice]) -> list[list[Choice]]:
    """The choices, those together that are of the same method and strength."""
    groups: dict[tuple[str, float], list[Choice]] = {}
    for choice in choices:
        groups.setdefault((choice.method, choice.strength), []).append(choice)
    return list(groups.values())


def predicts_a_constant(record: Record, model: str) -> bool:
    """Whether zeros cut a trained model's outputs off from its inputs.

    In "linear" and "mlp:..." this is so if no path of nonzero weights leads from an input to an
    output. Of other models it is only known where all their weights are 0.
    """
    weights = [array for array in record.state.values() if array.ndim >= 2]
    if not weights:
        return False
    if model != "linear" and not model.startswith("mlp:"):
        return not any(array.any() for array in weights)
    reachable = np.eye(weights[0].shape[1], dtype=bool)  # (units, inputs)
    for array in weights:
        reachable = (array != 0) @ reachable
    return not reachable.any()


def rank_features(uses: Sequence[FeatureUse]) -> list[FeatureUse]:
    """The inputs of one model from the most to the least important; unused ones come last."""
    return sorted(
        uses,
        key=lambda use: (use.kept > 0, use.importance, use.kept, use.coefficient or 0.0),
        reverse=True,  # inputs that tie stay in the order of the data
    )


def find_leading(uses: Sequence[FeatureUse], share: float = 0.95) -> tuple[list[str], float]:
    """The fewest inputs that have a share of the summed importance, and the share they have.

    Importances below 0, which are noise, count as 0. Without any importance there is no input.
    """
    ranked = [use for use in rank_features(uses) if use.kept and use.importance > 0]
    total = sum(use.importance for use in ranked)
    reached = 0.0
    for count, use in enumerate(ranked, 1):
        reached += use.importance
        if reached >= share * total:
            return [use.feature for use in ranked[:count]], reached / total
    return [], 0.0
