"""A table ready to be split: features by kind, a target, a task; what cannot serve is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from shrinkage.study.errors import UsageError, nearest
from shrinkage.study.sources import Source
from shrinkage.study.spec import Study

ROW_NUMBER = r"unnamed.*|index|id|nr|no|#|row.*|.*[ _]id"  # names of columns that count the rows
FEW = 20  # an integer target with this many distinct values at most is classes


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
    notes: tuple[str, ...]  # what was left out, for the user to read

    @property
    def outputs(self) -> int:
        """How many outputs a model needs."""
        return len(self.classes) or 1

    @property
    def is_plane(self) -> bool:
        """Whether the features are two numbers, which can be drawn."""
        return self.frame.shape[1] == 2 and all(map(types.is_float_dtype, self.frame.dtypes))


def prepare(source: Source, study: Study) -> Table:
    """The table that `study` asks about.

    Raises
    ------
    UsageError
        For a target or subject column that is not there, a column that is all missing or holds
        infinity, one class only, a target that does not suit the task.
    """
    target = _column(source, study.target or source.target, "target")
    if study.subject is not None and _column(source, study.subject, "subject") == target:
        raise UsageError(f"subject {target!r} is the target: name another column")
    notes: list[str] = []
    frame = source.frame
    known = frame[target].notna().to_numpy()
    _refuse_holes(source.name, frame)
    if not known.all():
        notes.append(f"left out {int((~known).sum())} rows without a {target!r}")
        frame = frame.loc[known]
    task = study.task or _task(frame[target])
    values, classes = (_classes if task == "classes" else _numbers)(frame[target])
    features = frame.drop(columns=[target, *([study.subject] if study.subject else [])])
    kept = _features(features, source.name, notes)
    return Table(
        name=source.name,
        frame=kept,
        target=values,
        task=task,
        classes=classes,
        subjects=_subjects(frame, study.subject),
        digest=source.digest,
        notes=tuple(notes),
    )


def _column(source: Source, name: str | None, role: str) -> str:
    columns = list(map(str, source.frame.columns))
    short = columns if len(columns) <= 16 else [*columns[:8], "...", *columns[-8:]]
    listed = ", ".join(short)
    if name is None:
        raise UsageError(f"{role} is needed for {source.name}: name one of its columns, {listed}")
    if name not in columns:
        raise UsageError(
            f"{role} {name!r} is no column of {source.name}{nearest(name, columns)} "
            f"(there are {listed})"
        )
    return name


def _refuse_holes(name: str, frame: pd.DataFrame) -> None:
    if frame.empty:
        raise UsageError(f"data {name!r} has no rows")
    for column in frame.columns:
        if frame[column].isna().all():
            raise UsageError(f"column {column!r} of {name} is missing in every row: remove it")


def _task(target: pd.Series) -> str:
    if not types.is_numeric_dtype(target) or types.is_bool_dtype(target):
        return "classes"
    values = target.to_numpy(dtype=float)
    whole = bool(np.isfinite(values).all() and (values == np.round(values)).all())
    return "classes" if whole and len(np.unique(values)) <= FEW else "numbers"


def _classes(target: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    labels, index = np.unique(_labels(target), return_inverse=True)
    if len(labels) < 2:
        raise UsageError(
            f"target {target.name!r} has one class only, {_written(labels[0])!r}: "
            "there is nothing to tell apart"
        )
    if len(labels) > len(target) / 2:
        raise UsageError(
            f"target {target.name!r} has {len(labels)} different values in {len(target)} rows, "
            "too many for classes: name another column, or --task numbers if they are numbers"
        )
    return index.astype(np.int64), tuple(_written(label) for label in labels)


def _labels(target: pd.Series) -> np.ndarray:
    numeric = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    return target.to_numpy(dtype=float) if numeric else target.astype(str).to_numpy(dtype=str)


def _written(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)


def _numbers(target: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        values = target.to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise UsageError(
            f"target {target.name!r} holds text, which is no number: the task must be classes"
        ) from None
    if not np.isfinite(values).all():
        raise UsageError(f"target {target.name!r} holds infinite values: remove those rows")
    if np.ptp(values) == 0:
        raise UsageError(f"target {target.name!r} is {values[0]:g} in every row: nothing to learn")
    return values, ()


def _subjects(frame: pd.DataFrame, subject: str | None) -> np.ndarray | None:
    if subject is None:
        return None
    missing = int(frame[subject].isna().sum())
    if missing:
        raise UsageError(
            f"subject {subject!r} is missing in {missing} rows: fill it or remove them"
        )
    return np.asarray(pd.factorize(frame[subject])[0])


def _features(frame: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    """The columns as float64 or text, without those that only number or name the rows."""
    kept: dict[str, pd.Series] = {}
    for column in frame.columns:
        values = _feature(frame[column], name)
        reason = _why_out(str(column), values)
        if reason:
            notes.append(f"left out column {column!r}: {reason}")
        else:
            kept[str(column)] = values
    if not kept:
        out = f" ({'; '.join(notes)})" if notes else ""
        raise UsageError(f"data {name!r} has no column to learn from beside the target{out}")
    return pd.DataFrame(kept).reset_index(drop=True)


def _feature(column: pd.Series, name: str) -> pd.Series:
    if types.is_datetime64_any_dtype(column):
        days: pd.Series = (column - column.min()).dt.total_seconds() / 86400
        return days
    if not types.is_numeric_dtype(column):
        text = [np.nan if pd.isna(value) else str(value) for value in column]
        return pd.Series(text, column.index, dtype=object)
    values = pd.Series(column.to_numpy(dtype=float, na_value=np.nan), column.index)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise UsageError(
            f"column {column.name!r} of {name} is infinite in {infinite} rows: "
            "empty those cells or remove the rows"
        )
    return values


def _why_out(name: str, values: pd.Series) -> str:
    distinct = values.nunique()
    if distinct < len(values) or len(values) < 3:
        return ""
    if not types.is_float_dtype(values):
        return "every row has another text, as a name has"
    steps = np.diff(values.to_numpy())
    numbers = bool((steps == 1).all()) and re.fullmatch(ROW_NUMBER, name.lower())
    return "it numbers the rows" if numbers else ""
