"""Read new rows by the readings of the training table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shrinkage.study.data.column_reading import Reading, name_columns
from shrinkage.study.data.column_values import read_column
from shrinkage.study.data.encoding import Encoding, TextColumn
from shrinkage.study.data.sources import read_source
from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.formatting import pluralize

MOST_LEVELS = 3  # unknown levels that a note names


@dataclass(frozen=True)
class NewRows:
    """Rows to predict, in their order."""

    frame: pd.DataFrame  # the inputs, float64 or text; those without use are empty
    names: pd.DataFrame  # the columns that training left out as names or numbers of the rows
    target: pd.Series | None  # the column of the target, as it is written, if it is there
    notes: tuple[str, ...]  # sentences on the columns: absent and new ones
    doubts: tuple[str, ...]  # sentences on the cells: filled in, or of a level not known
    digest: str = ""  # of the data, as a model keeps that of its training table


def read_new_rows(
    data: Any, readings: Sequence[Reading], encoding: Encoding, kept: Collection[str]
) -> NewRows:
    """The inputs of a model from a file, a frame or an array.

    Raises
    ------
    UsageError
        If the data cannot be read, hold no rows, lack a column that the model uses, or hold in it
        a cell that is not of the kind of the training table.
    """
    names = [column.name for column in encoding.columns]
    source = read_source(_name_array(data, readings))
    frame = source.frame
    if frame.empty:
        raise UsageError(f"data {source.name!r} has no rows")
    absent = [name for name in names if name not in frame.columns]
    missing = [name for name in absent if name in kept]
    if missing:
        others = [name for name in frame.columns if name not in names]
        raise UsageError(
            f"{name_columns(missing)}: the model uses {'them' if len(missing) > 1 else 'it'}, and "
            f"{source.name} has no such column{suggest(missing[0], others)}; add it, with empty "
            "cells where nothing is known"
        )
    reading_of = {reading.name: reading for reading in readings}
    columns, notes = {}, list(source.notes)
    for name in names:
        if name not in kept:  # whatever it holds, it changes no prediction
            text = reading_of[name].kind == "text"
            empty: Any = np.full(len(frame), np.nan, dtype=object if text else float)
            columns[name] = empty
        else:
            columns[name] = read_column(reading_of[name], frame[name])
    notes += _describe_columns(list(frame.columns), absent, readings)
    target = next(reading.name for reading in readings if reading.role == "target")
    left_out = [reading.name for reading in readings if reading.role in ("left out", "subject")]
    inputs = {name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()}
    return NewRows(
        pd.DataFrame(inputs),
        frame[[name for name in left_out if name in frame.columns]],
        frame[target] if target in frame.columns else None,
        tuple(notes),
        tuple(_describe_cells(columns, encoding, kept)),
        source.digest,
    )


def _name_array(data: Any, readings: Sequence[Reading]) -> Any:
    """An array as a frame with the names of the training table's features."""
    is_table = isinstance(data, pd.DataFrame) or callable(getattr(data, "to_pandas", None))
    if is_table or not (isinstance(data, list) or callable(getattr(data, "__array__", None))):
        return data
    array = np.asarray(data)
    names = [r.name for r in readings if r.role == "feature" or r.role == "left out"]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise UsageError(
            f"data must have the shape (rows, {len(names)}) if it is an array, got {array.shape}: "
            "give a data frame with the names of the columns"
        )
    return pd.DataFrame(array, columns=names)


def _describe_columns(
    present: Sequence[str], absent: Sequence[str], readings: Sequence[Reading]
) -> list[str]:
    notes = []
    known = {reading.name for reading in readings}
    new = [name for name in present if name not in known]
    if absent:
        notes.append(f"{name_columns(absent)}: not in the data, and not used by the model")
    if new:
        notes.append(f"{name_columns(new)}: not in the training data, and ignored")
    return notes


def _describe_cells(
    columns: dict[str, np.ndarray], encoding: Encoding, kept: Collection[str]
) -> list[str]:
    notes = []
    for column in encoding.columns:
        if column.name not in kept:
            continue
        values = columns[column.name]
        empty = int(pd.isna(values).sum())
        if isinstance(column, TextColumn):
            unknown = column.find_unknown(values)
            if unknown.any():
                levels = list(dict.fromkeys(values[unknown]))
                listed = ", ".join(map(repr, levels[:MOST_LEVELS]))
                more = ", ..." if len(levels) > MOST_LEVELS else ""
                notes.append(
                    f"column {column.name!r}: {pluralize(int(unknown.sum()), 'row')} with a level "
                    f"that training has not seen ({listed}{more}), which counts as none of them"
                )
        elif empty:
            notes.append(
                f"column {column.name!r}: {pluralize(empty, 'empty cell')} filled with the median "
                f"of training, {column.fill:g}"
            )
    return notes
