"""What can be said of a study that is not finished: the choices so far, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shrinkage.study.choosing import choose
from shrinkage.study.formatting import pluralize
from shrinkage.study.method import parse_method
from shrinkage.study.records import Choice, Record, count_splits
from shrinkage.study.scores import Metric


def count_trials(question: Mapping[str, Any]) -> int:
    """How many trials the question has, recorded or not."""
    return count_splits(question) * _count_cells(question)


def find_complete(records: Sequence[Record], question: Mapping[str, Any]) -> list[int]:
    """The splits, numbered as in a trial's seed, of which every trial is recorded."""
    if not records:
        return []
    recorded = Counter(record.trial.seed for record in records)
    cells = _count_cells(question)
    return sorted(split for split, trials in recorded.items() if trials == cells)


def find_comparable(records: Sequence[Record], question: Mapping[str, Any]) -> list[Record]:
    """The records of the splits that are complete, or all before there is one.

    Means over different splits would differ by the splits alone.
    """
    complete = set(find_complete(records, question))
    return [record for record in records if not complete or record.trial.seed in complete]


def choose_so_far(
    records: Sequence[Record], question: Mapping[str, Any], metric: Metric
) -> list[Choice]:
    """The choices by the splits that are complete, or by all trials before there is one."""
    complete = find_complete(records, question)
    if not complete:  # and the ends of the grid are not known yet
        return [replace(choice, edge="") for choice in choose(records, 1, metric)]
    return choose(find_comparable(records, question), len(complete), metric)


def describe_unfinished(records: Sequence[Record], question: Mapping[str, Any]) -> str:
    """How far the study is, and which trials its choices so far are based on."""
    if not records:
        return "This study has no trials yet."
    total, splits = count_trials(question), count_splits(question)
    repeat = "fold" if question.get("folds") else "seed"
    if len(records) >= total:
        return (
            f"This study is not finished: all {pluralize(total, 'trial')} are recorded, and the "
            "chosen models are not scored yet."
        )
    progress = f"This study is not finished: {len(records):,} of {pluralize(total, 'trial')}"
    if all(record.status != "ok" for record in records):
        return (
            f"{progress} are recorded. Every trial so far has diverged; trials.csv has the reasons."
        )
    complete = len(find_complete(records, question))
    by = f"{complete} of {pluralize(splits, repeat)}, of which every trial is recorded"
    if complete == 0:
        by = f"the trials that there are, as no {repeat} is complete"
    return (
        f"{progress} are recorded. What is shown is based on {by}; shrinkage report shows more "
        "when there is more."
    )


def _count_cells(question: Mapping[str, Any]) -> int:
    """How many pairs of a method and a strength there are."""
    grid = len(question["strengths"])
    return sum(grid if parse_method(m).strength is None else 1 for m in question["methods"])
