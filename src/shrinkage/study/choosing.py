"""The strength of each method, chosen by two rules from the records."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shrinkage.study.records import Choice, Record
from shrinkage.study.scores import Metric
from shrinkage.study.summary import Cell, summarize


def choose(records: Sequence[Record], seeds: int, metric: Metric) -> list[Choice]:
    """Two choices a method, "best" and "one-se"; one for "none".

    "best" is the strength with the best mean validation score, and among equals the strongest.
    "one-se" is the strongest strength whose mean lies within one standard error of the best mean.
    A strength is not chosen if one of its seeds diverged, or fewer than `seeds` have a score.
    """
    summary = summarize(records)
    choices: list[Choice] = []
    for method in dict.fromkeys(cell.method for cell in summary):
        cells = [cell for cell in summary if cell.method == method]
        sound = [cell for cell in cells if cell.is_sound and cell.seeds >= seeds]
        if not sound:
            continue
        grid = [cell.strength for cell in cells]
        best = max(sound, key=lambda cell: (metric.gain(cell.score), cell.strength))
        choices.append(_make_choice(best, "best", grid))
        if method != "none":
            floor = metric.gain(best.score) - (0.0 if math.isnan(best.error) else best.error)
            within = [cell for cell in sound if metric.gain(cell.score) >= floor]
            strongest = max(within, key=lambda cell: cell.strength)
            choices.append(_make_choice(strongest, "one-se", grid))
    return choices


def _make_choice(cell: Cell, rule: str, grid: Sequence[float]) -> Choice:
    edges = {grid[0]: "lowest", grid[-1]: "highest"} if len(grid) > 1 else {}
    return Choice(
        method=cell.method,
        rule=rule,
        strength=cell.strength,
        edge=edges.get(cell.strength, ""),
        validation_mean=cell.score,
        validation_se=cell.error,
        test_scores=[],
        zeros=cell.zeros,
        dead_neurons=cell.dead_neurons,
        neurons=cell.neurons,
        seconds=cell.seconds,
        surface=None,
    )
