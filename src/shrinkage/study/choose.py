"""From records to choices: the strength of each method, by two rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from shrinkage.study.records import Choice, Record


@dataclass(frozen=True)
class Cell:
    """One method at one strength, over its seeds."""

    method: str
    strength: float
    mean: float
    se: float  # sd/√K; nan with one seed
    zeros: float
    dead_neurons: float
    neurons: int
    seconds: float


def choose(records: Sequence[Record], seeds: int) -> list[Choice]:
    """Two choices a method, "best" and "one-se"; one for "none".

    Best is the strength with the highest mean validation score, of equals the strongest. One
    standard error: the strongest strength whose mean lies within one standard error of the best's
    mean. A strength with a diverged seed, with a score that is not finite, or with fewer than
    `seeds`, is not chosen.
    """
    choices: list[Choice] = []
    for method in dict.fromkeys(record.trial.method for record in records):
        own = [record for record in records if record.trial.method == method]
        grid = sorted({record.trial.strength for record in own})
        cells = [
            cell
            for strength in grid
            if (cell := _cell([r for r in own if r.trial.strength == strength], seeds))
        ]
        if not cells:
            continue
        best = max(cells, key=lambda cell: (cell.mean, cell.strength))
        choices.append(_choice(best, "best", grid))
        if method != "none":
            floor = best.mean - (0.0 if math.isnan(best.se) else best.se)
            within = [cell for cell in cells if cell.mean >= floor]
            strongest = max(within, key=lambda cell: cell.strength)
            choices.append(_choice(strongest, "one-se", grid))
    return choices


def mean_and_error(scores: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error, which is nan with one score."""
    error = stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
    return fmean(scores), error


def _cell(records: Sequence[Record], seeds: int) -> Cell | None:
    scores = [
        r.validation_score
        for r in records
        if r.validation_score is not None and math.isfinite(r.validation_score)
    ]
    if len(scores) < seeds:
        return None
    first = records[0]
    mean, error = mean_and_error(scores)
    return Cell(
        method=first.trial.method,
        strength=first.trial.strength,
        mean=mean,
        se=error,
        zeros=fmean(r.zeros for r in records),
        dead_neurons=fmean(r.dead_neurons for r in records),
        neurons=first.neurons,
        seconds=fmean(r.seconds for r in records),
    )


def _choice(cell: Cell, rule: str, grid: Sequence[float]) -> Choice:
    edges = {grid[0]: "lowest", grid[-1]: "highest"} if len(grid) > 1 else {}
    return Choice(
        method=cell.method,
        rule=rule,
        strength=cell.strength,
        edge=edges.get(cell.strength, ""),
        validation_mean=cell.mean,
        validation_se=cell.se,
        test_scores=[],
        zeros=cell.zeros,
        dead_neurons=cell.dead_neurons,
        neurons=cell.neurons,
        seconds=cell.seconds,
        surface=None,
    )
