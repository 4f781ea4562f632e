"""What is kept of a study's data and of its run, and how the data are described before it."""

from __future__ import annotations

import dataclasses
import platform
import sys
import textwrap
from datetime import UTC, datetime
from importlib.metadata import version

import shrinkage
from shrinkage.study.baseline import score_baseline
from shrinkage.study.data.column_reading import summarize_features
from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.formatting import count_rows, pluralize
from shrinkage.study.records import TASKS, Data
from shrinkage.study.spec import Study

MOST_SHOWN = 400  # characters of a note on the terminal
SHORTENED = " ... (the report has all)"


def describe_table(table: Table) -> list[str]:
    """Lines on how the data were read, so that a misreading is noticed before the training."""
    rows, features = table.frame.shape
    text = table.frame.select_dtypes(object).shape[1]
    kinds = f", {text} of them text" if text else ""
    target = f"{len(table.classes)} classes" if table.classes else "numbers"
    other, otherwise = ("numbers", "regression") if table.classes else ("classes", "classification")
    first = (
        f"{table.name}: {count_rows(rows, table.all_rows)}, "
        f"{pluralize(features, 'feature')}{kinds}, {TASKS[table.task]} with a target of "
        f"{target} (--task {otherwise} if they are {other})"
    )
    notes = [
        textwrap.shorten(f"{table.name}: {note}", MOST_SHOWN, placeholder=SHORTENED)
        for note in table.notes
    ]
    return [first, *summarize_features(table.readings), *notes]


def collect_provenance(command: str) -> dict[str, str]:
    """When, by which command and with which versions a study is run."""
    libraries = ("torch", "numpy", "scikit-learn", "pandas", "joblib")
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        **{name: version(name) for name in libraries},
        "shrinkage": shrinkage.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def describe_data(table: Table, study: Study) -> Data:
    """What the results keep of the data, with the scores of the trivial model."""
    rows = split_rows(table, study, 0)
    data: Data = {
        "name": table.name,
        "task": table.task,
        "rows": len(table.target),
        **({"all_rows": table.all_rows} if table.all_rows else {}),
        "features": table.frame.shape[1],
        "classes": list(table.classes),
        "train": len(rows.train),
        "validation": len(rows.validation),
        "test": len(rows.test),
        "notes": list(table.notes),
        "trivial": dataclasses.asdict(score_baseline(table, study)),
        "readings": [dataclasses.asdict(reading) for reading in table.readings],
    }
    if table.is_plane:
        x, y = (table.frame[column].fillna(0.0).tolist() for column in table.frame.columns)
        data["columns"] = list(table.frame.columns)
        data["points"] = {"x": x, "y": y, "label": table.target.tolist()}
    return data
