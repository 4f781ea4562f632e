"""Make a table that is ready to be split: features, a target and a task."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pandas.api import types

from shrinkage.study.data.column_reading import Reading, describe_changes
from shrinkage.study.data.column_values import distinct_texts, read_column
from shrinkage.study.data.features import (
    NUMBERS_THE_ROWS,
    find_repeats,
    find_target_copies,
    has_identifier_name,
    read_feature,
)
from shrinkage.study.data.infer_readings import infer_readings
from shrinkage.study.data.sources import Source
from shrinkage.study.data.target import read_target
from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.formatting import pluralize
from shrinkage.study.spec import Study

SAMPLE_SEED = 0
LEAST_SUBJECTS = 3  # one for each of training, validation and test


@dataclass(frozen=True)
class Table:
    """Features and target of every row that has a target."""

    name: str
    frame: pd.DataFrame  # features alone: float64 columns, and object columns of text
    target: np.ndarray  # (rows,): class index, or number
    task: str  # "classes" or "numbers"
    classes: tuple[str, ...]  # () for numbers
    subjects: np.ndarray | None  # (rows,): index of the row's subject
    digest: str
    notes: tuple[str, ...]  # what was left out and changed, in sentences for the user
    readings: tuple[Reading, ...] = ()  # one per column of the source, including the target
    all_rows: int | None = None  # how many there are, where these are a sample of them

    @property
    def outputs(self) -> int:
        """How many outputs a model needs: one logit for two classes, else one for each class."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def is_plane(self) -> bool:
        """Whether the features are two numbers, which can be drawn."""
        return self.frame.shape[1] == 2 and all(map(types.is_float_dtype, self.frame.dtypes))


def prepare_table(source: Source, study: Study) -> Table:
    """The table that `study` asks about.

    Raises
    ------
    UsageError
        For a target or subject column that is not there, complex numbers, numbers that are
        infinite or beyond float32, one class only, a target that does not suit the task, and
        where no column is left to learn from.
    """
    name = _check_column(source, study.target or source.target, "target")
    if study.subject is not None and _check_column(source, study.subject, "subject") == name:
        raise UsageError(f"subject {name!r} is the target: name another column")
    if source.frame.empty:
        raise UsageError(f"data {source.name!r} has no rows")
    decisions = infer_readings(source.frame, source.mark)
    target = read_target(source.frame[name], decisions[name], study.task, source.name)
    subjects = (
        _encode_subjects(source.frame[study.subject][target.known], study.subject)
        if study.subject
        else None
    )
    special = {name: target.reading}
    if study.subject:
        special[study.subject] = replace(decisions[study.subject], role="subject", done="")
    columns, readings = _read_features(source, decisions, special, target.known)
    table = Table(
        name=source.name,
        frame=_make_frame(columns),
        target=target.values,
        task=target.task,
        classes=target.classes,
        subjects=subjects,
        digest=source.digest,
        notes=(
            *source.notes,
            *target.notes,
            *describe_changes(readings),
            *find_repeats(columns),
            *find_target_copies(columns, target.values, len(target.classes)),
        ),
        readings=tuple(readings),
    )
    return table if study.sample is None else draw_sample(table, study.sample)


def draw_sample(table: Table, count: int) -> Table:
    """Rows drawn at random from every class in its share; of subjects, all rows or none.

    The same table gives the same sample, in the order of its rows.
    """
    rows = len(table.target)
    if count >= rows:
        told = f"sample is {count:,}, and there are {pluralize(rows, 'row')}: all are used"
        return replace(table, notes=(*table.notes, told))
    units = np.arange(rows) if table.subjects is None else table.subjects
    order = shuffle_units(units, table.target, len(table.classes), SAMPLE_SEED)
    chosen = max(LEAST_SUBJECTS, round(count * len(order) / rows))
    drawn = order[np.linspace(0, len(order), min(chosen, len(order)), endpoint=False, dtype=int)]
    kept = np.flatnonzero(np.isin(units, drawn))
    return replace(
        table,
        frame=table.frame.iloc[kept].reset_index(drop=True),
        target=table.target[kept],
        subjects=None if table.subjects is None else table.subjects[kept],
        all_rows=rows,
    )


def shuffle_units(units: np.ndarray, target: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """The units 0, 1, ... of rows in random order, and those of one class after another.

    A unit of several rows counts for its most frequent class. Every k-th unit has its share of
    each class.
    """
    count = int(units.max()) + 1
    order = np.random.default_rng(seed).permutation(count)
    if not classes:
        return order
    if count == len(target):
        class_of = target[np.argsort(units)]
    else:
        pairs = np.bincount(units * classes + target, minlength=count * classes)
        class_of = pairs.reshape(count, classes).argmax(axis=1)
    return np.asarray(order[np.argsort(class_of[order], kind="stable")])


def _check_column(source: Source, name: str | None, role: str) -> str:
    columns = list(map(str, source.frame.columns))
    short = columns if len(columns) <= 16 else [*columns[:8], "...", *columns[-8:]]
    listed = ", ".join(short)
    if name is None:
        raise UsageError(f"{role} is needed for {source.name}: name one of its columns, {listed}")
    if name not in columns:
        raise UsageError(
            f"{role} {name!r} is no column of {source.name}{suggest(name, columns)} "
            f"(there are {listed})"
        )
    return name


def _encode_subjects(column: pd.Series, subject: str) -> np.ndarray:
    codes, distinct = distinct_texts(column)
    labels = np.array([*distinct, ""], dtype=object)[codes]
    missing = int((labels == "").sum())
    if missing:
        raise UsageError(
            f"subject {subject!r} is missing in {pluralize(missing, 'row')}: "
            "fill it in or remove them"
        )
    return np.asarray(pd.factorize(labels)[0])


def _read_features(
    source: Source,
    decisions: dict[str, Reading],
    special: dict[str, Reading],
    known: np.ndarray,
) -> tuple[dict[str, np.ndarray], list[Reading]]:
    """The columns to learn from, and the readings of all columns in their order."""
    kept: dict[str, np.ndarray] = {}
    readings = []
    for name, decision in decisions.items():
        if name in special:
            readings.append(special[name])
            continue
        reading, values = read_feature(decision, source.frame[name], known, source.name)
        readings.append(reading)
        if values is not None:
            kept[name] = values
    if not kept:
        kept = _keep_counters(source, decisions, readings, known)
    if not kept:
        out = "; ".join(describe_changes(readings))
        raise UsageError(
            f"data {source.name!r} has no column to learn from beside the target"
            f"{f' ({out})' if out else ''}"
        )
    return kept, readings


def _make_frame(columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """The columns as a frame, without a second copy of them in memory."""
    series = {
        name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in columns.items()
    }
    return pd.DataFrame(series, copy=False)


def _keep_counters(
    source: Source, decisions: dict[str, Reading], readings: list[Reading], known: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns that seem to number the rows, where there is nothing else to learn from."""
    kept = {}
    for place, reading in enumerate(readings):
        if reading.done.startswith(NUMBERS_THE_ROWS) and not has_identifier_name(reading.name):
            readings[place] = decisions[reading.name]
            kept[reading.name] = read_column(decisions[reading.name], source.frame[reading.name])[
                known
            ]
    return kept
