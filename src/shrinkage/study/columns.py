"""A column of any type becomes float64 or text, by a reading that also reads other tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from shrinkage.study.cells import MISSING, number
from shrinkage.study.errors import UsageError
from shrinkage.study.moments import EPOCH, days, seconds
from shrinkage.study.readings import KINDS, Reading

AROUND = " \t\r\n\v\f\u00a0\u2007\u2009\u202f\u200b\ufeff"  # left out at both ends of a cell
TRUTH = {"true": 1.0, "false": 0.0}
DAY = 86400.0


def apply(reading: Reading, column: pd.Series) -> pd.Series:
    """The column as `reading` says: float64 or text in the same rows, nan where nothing is.

    Raises
    ------
    UsageError
        For a cell that is no number, date, duration or truth value though the reading says so.
    """
    own = type_kind(column)
    if reading.kind == "text":
        text = texts(column)
        return text.astype(object).mask(is_hole(text), np.nan)
    if own == "text":
        return _from_text(reading, texts(column))
    if own != reading.kind and {own, reading.kind} != {"number", "truth"}:
        raise UsageError(
            f"column {reading.name!r} holds {KINDS[own]}, but is read as {KINDS[reading.kind]}"
        )
    return _from_type(reading, column)


def type_kind(column: pd.Series) -> str:
    """The kind of reading that the column's type alone gives; "text" if its cells must tell."""
    if isinstance(column.dtype, pd.PeriodDtype) or types.is_datetime64_any_dtype(column):
        return "date"
    if types.is_timedelta64_dtype(column):
        return "duration"
    if types.is_bool_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype):
        return "text" if column.dtype == object else "truth"
    return "number" if types.is_numeric_dtype(column) else "text"


def texts(column: pd.Series) -> pd.Series:
    """The cells as text without the spaces around, nan where there is no cell."""
    if not isinstance(column.dtype, pd.StringDtype):
        written = [_written(cell) for cell in column]
        column = pd.Series(written, column.index, dtype=object, name=column.name)
    return column if column.isna().all() else column.str.strip(AROUND)


def is_hole(text: pd.Series, more: tuple[str, ...] = ()) -> pd.Series:
    """Where a text stands for nothing, by common use or as one of `more`."""
    if text.isna().all():
        return text.isna()
    return text.isna() | text.str.lower().isin(MISSING) | text.isin(more)


def plain_numbers(distinct: pd.Index) -> np.ndarray | None:
    """Texts that any program reads as numbers, as float64; None if one of them is not."""
    try:
        return np.asarray(pd.to_numeric(np.asarray(distinct, dtype=object)), dtype=float)
    except (ValueError, TypeError):
        return None


def reader(reading: Reading) -> Callable[[str], float | None]:
    """What turns a text into a number by `reading`: None if it cannot."""
    if reading.kind == "date":
        start = _day(reading.origin)
        return lambda text: None if (day := days(text, reading.order)) is None else day - start
    if reading.kind == "duration":
        return seconds
    if reading.kind == "truth":
        return lambda text: TRUTH.get(text.lower())

    def numeric(text: str) -> float | None:
        found = number(text, reading.mark)
        return None if found is None or found.unit not in ("", reading.unit) else found.value

    return numeric


def _from_text(reading: Reading, text: pd.Series) -> pd.Series:
    known = text[~is_hole(text, reading.holes)]
    codes, distinct = pd.factorize(known)
    is_bare = reading.kind == "number" and reading.mark == "."
    numbers = plain_numbers(distinct) if is_bare else None
    if numbers is None:
        read = reader(reading)
        found = [read(cell) for cell in distinct]
        if None in found:
            raise UsageError(
                f"column {reading.name!r} holds {distinct[found.index(None)]!r}, but is read as "
                f"{KINDS[reading.kind]}: write it like the other cells, or empty it"
            )
        numbers = np.array(found, dtype=float)
    return pd.Series(numbers[codes], known.index).reindex(text.index)


def _from_type(reading: Reading, column: pd.Series) -> pd.Series:
    if reading.kind == "date":
        return _seconds(moments(column) - pd.Timestamp(reading.origin)) / DAY
    if reading.kind == "duration":
        return _seconds(column)
    with np.errstate(over="ignore"):  # what is too large for float64 is refused as infinite
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), column.index)


def _seconds(durations: pd.Series) -> pd.Series:
    seconds: pd.Series = durations.dt.total_seconds()
    return seconds


def moments(column: pd.Series) -> pd.Series:
    """A column of dates or periods as dates of UTC without a time zone."""
    dates: pd.Series = column
    if isinstance(column.dtype, pd.PeriodDtype):
        dates = column.dt.to_timestamp()
    elif column.dt.tz is not None:
        dates = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates


def _day(origin: str) -> float:
    return float((date.fromisoformat(origin) - EPOCH.date()).days)


def _written(cell: Any) -> str | float:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return cell.decode()
    if cell is None or pd.isna(cell):
        return np.nan
    if isinstance(cell, float | np.floating):
        number = float(cell)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(cell, np.datetime64 | np.timedelta64):
        cell = cell.item()
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return str(pd.Timedelta(cell)) if isinstance(cell, timedelta) else str(cell)
