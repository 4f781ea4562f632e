"""Write trials.csv, one row for each record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shrinkage.study.results import Results
from shrinkage.study.storage.atomic_write import write_rows

COLUMNS = (
    "status",
    "reason",
    "train_score",
    "validation_score",
    "zeros",
    "weights",
    "dead_neurons",
    "neurons",
    "seconds",
    "engine",
)


def write_csv(results: Results, path: Path) -> None:
    """Write the records in the order of the question; the same records give the same file."""
    folds = results.folds
    rows: list[Sequence[object]] = [
        ("method", "strength", "seed", *(["fold"] if folds else []), *COLUMNS)
    ]
    for record in results.records:
        trial = record.trial
        measured = [getattr(record, column) for column in COLUMNS]
        split = (trial.seed // folds, trial.seed % folds + 1) if folds else (trial.seed,)
        rows.append((trial.method, trial.strength, *split, *measured))
    write_rows(path, rows)
