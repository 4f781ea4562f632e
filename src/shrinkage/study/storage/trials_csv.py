"""Write trials.csv, one row for each record."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from shrinkage.study.results import Results
from shrinkage.study.storage.atomic_write import write_atomically

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
)


def write_csv(results: Results, path: Path) -> None:
    """Write the records in the order of the question; the same records give the same file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("method", "strength", "seed", *COLUMNS))
    for record in results.records:
        trial = record.trial
        measured = [getattr(record, column) for column in COLUMNS]
        writer.writerow((trial.method, trial.strength, trial.seed, *measured))
    write_atomically(path, text.getvalue())
