"""A column of any type becomes float64 or text, by a reading that also reads other tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pandas.api import types
from pyarrow import compute

from shrinkage.study.cells import MISSING, number
from shrinkage.study.errors import UsageError
from shrinkage.study.moments import EPOCH, days, seconds
from shrinkage.study.readings import KINDS, Reading

AROUND = " \t\r\n\v\f\u00a0\u2007\u2009\u202f\u200b\ufeff"  # left out at both ends of a cell
TRUTH = {"true": 1.0, "false": 0.0}
DAY = 86400.0


def apply(reading: Reading, column: pd.Series) -> np.ndarray:
    """The values of a column as `reading` says: float64 or text, nan where there is none.

    Raises
    ------
    UsageError
        For a cell that is no number, date, duration or truth value though the reading says so.
    """
    own = type_kind(column)
    if reading.kind == "text":
        codes, distinct = cells(column)
        known = [np.nan if is_hole(text) else text for text in distinct]
        return np.asarray(np.array([*known, np.nan], dtype=object)[codes])
    if own == "text":
        return _from_text(reading, column)
    if own != reading.kind and {own, reading.kind} != {"number", "truth"}:
        raise UsageError(
            f"column {reading.name!r} holds {KINDS[own]}, but is read as {KINDS[reading.kind]}"
        )
    return _from_type(reading, column)


def type_kind(column: pd.Series) -> str:
    """The kind of reading that the column's type alone gives; "text" if its cells must tell."""
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.kind not in "biuf":
        return "number" if types.is_numeric_dtype(column) else "text"
    if isinstance(column.dtype, pd.PeriodDtype) or types.is_datetime64_any_dtype(column):
        return "date"
    if types.is_timedelta64_dtype(column):
        return "duration"
    if types.is_bool_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype):
        return "text" if column.dtype == object else "truth"
    return "number" if types.is_numeric_dtype(column) else "text"


def cells(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The different texts of a column, and which of them each row has; -1 where it has none.

    The texts come without the spaces around, so that two of them may be the same.
    """
    if isinstance(column.dtype, pd.StringDtype):
        codes, distinct = pd.factorize(column.array)
    else:
        codes, distinct = pd.factorize(np.array([_written(cell) for cell in column], dtype=object))
    return codes, [text.strip(AROUND) for text in distinct]


def is_hole(text: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a text stands for nothing, by common use or as one of `more`."""
    return text.lower() in MISSING or text in more


def plain_numbers(distinct: Sequence[str]) -> np.ndarray | None:
    """Texts that any program reads as numbers, as float64; None if one of them is not."""
    try:
        return np.asarray(pd.to_numeric(np.asarray(distinct, dtype=object)), dtype=float)
    except OverflowError:  # integers beyond float64
        return np.array([float(cell) for cell in distinct])
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


def all_plain(column: pd.Series) -> np.ndarray | None:
    """A text column as float64 if its cells are plain numbers or empty: the usual, fast way."""
    if not isinstance(column.dtype, pd.StringDtype):
        return None
    texts = pyarrow.array(column.array)
    filled = compute.if_else(compute.equal(texts, ""), None, texts)
    try:
        values = np.asarray(compute.cast(filled, pyarrow.float64()).to_numpy(zero_copy_only=False))
    except pyarrow.ArrowInvalid:  # it knows no spaces around
        return plain_numbers(column.array)
    # A cell of "nan" is a word for missing, which is told.
    return values if np.isnan(values).sum() == filled.null_count else None


def _from_text(reading: Reading, column: pd.Series) -> np.ndarray:
    if reading.kind == "number" and reading.mark == ".":
        plain = all_plain(column)
        if plain is not None:
            return plain
    codes, distinct = cells(column)
    places = [place for place, text in enumerate(distinct) if not is_hole(text, reading.holes)]
    known = [distinct[place] for place in places]
    is_bare = reading.kind == "number" and reading.mark == "."
    numbers = plain_numbers(known) if is_bare else None
    if numbers is None:
        read = reader(reading)
        found = [read(text) for text in known]
        if None in found:
            raise UsageError(
                f"column {reading.name!r} holds {known[found.index(None)]!r}, but is read as "
                f"{KINDS[reading.kind]}: write it like the other cells, or empty it"
            )
        numbers = np.array(found, dtype=float)
    values = np.full(len(distinct) + 1, np.nan)
    values[places] = numbers
    return np.asarray(values[codes])


def _from_type(reading: Reading, column: pd.Series) -> np.ndarray:
    if reading.kind == "date":
        return _seconds(moments(column) - pd.Timestamp(reading.origin)) / DAY
    if reading.kind == "duration":
        return _seconds(column)
    with np.errstate(over="ignore"):  # what is too large for float64 is refused as infinite
        return column.to_numpy(dtype=float, na_value=np.nan)


def _seconds(durations: pd.Series) -> np.ndarray:
    return np.asarray(durations.dt.total_seconds(), dtype=float)


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
