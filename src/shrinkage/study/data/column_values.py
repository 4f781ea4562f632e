"""Convert a column of any type to float64 or text, as its reading says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pandas.api import types
from pyarrow import compute

from shrinkage.study.data.column_reading import KINDS, Reading
from shrinkage.study.data.parse_date import EPOCH, EXAMPLES, parse_duration, parse_expected_days
from shrinkage.study.data.parse_number import MISSING, parse_number
from shrinkage.study.errors import UsageError

AROUND = " \t\r\n\v\f\u00a0\u2007\u2009\u202f\u200b\ufeff"  # stripped from both ends of a cell
TRUTH = {"true": 1.0, "false": 0.0}
DAY = 86400.0
NESTED = (list, tuple, dict, set, frozenset, np.ndarray, pd.Series, pd.DataFrame)


def read_column(reading: Reading, column: pd.Series) -> np.ndarray:
    """The values of a column as `reading` says: float64 or text, nan where a cell is missing.

    Raises
    ------
    UsageError
        For a cell that is not of the kind that the reading says.
    """
    type_kind = kind_of_type(column)
    if reading.kind == "text":
        codes, distinct = distinct_texts(column)
        known = [np.nan if means_missing(text) else text for text in distinct]
        return np.asarray(np.array([*known, np.nan], dtype=object)[codes])
    if type_kind == "text":
        return _read_texts(reading, column)
    if type_kind != reading.kind and {type_kind, reading.kind} != {"number", "truth"}:
        raise UsageError(
            f"column {reading.name!r} holds {KINDS[type_kind]}, "
            f"but is read as {KINDS[reading.kind]}"
        )
    return _convert_typed(reading, column)


def kind_of_type(column: pd.Series) -> str:
    """The kind that follows from the column's type; "text" where its cells must be looked at."""
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.kind not in "biuf":
        return "number" if types.is_numeric_dtype(column) else "text"
    if isinstance(column.dtype, pd.PeriodDtype) or types.is_datetime64_any_dtype(column):
        return "date"
    if types.is_timedelta64_dtype(column):
        return "duration"
    if types.is_bool_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype):
        return "text" if column.dtype == object else "truth"
    return "number" if types.is_numeric_dtype(column) else "text"


def distinct_texts(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The index of each row's text, -1 where there is none, and the distinct texts of a column.

    The texts are stripped of surrounding spaces, so that two of them may be equal.
    """
    if isinstance(column.dtype, pd.StringDtype):
        codes, distinct = pd.factorize(column.array)
    elif isinstance(column.dtype, pd.CategoricalDtype):
        codes, present = pd.factorize(column.array)
        distinct = [str(_cell_text(cell)) for cell in present]
    else:
        codes, distinct = pd.factorize(
            np.array([_cell_text(cell) for cell in column], dtype=object)
        )
    return codes, [text.strip(AROUND) for text in distinct]


def means_missing(text: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a text means a missing value, by common use or as one of `more`."""
    return text.lower() in MISSING or text in more


def parse_plain_numbers(distinct: Sequence[str]) -> np.ndarray | None:
    """Texts in the usual notation of numbers, as float64; None if one of them is not."""
    try:
        return np.asarray(pd.to_numeric(np.asarray(distinct, dtype=object)), dtype=float)
    except OverflowError:  # integers beyond float64
        return np.array([float(cell) for cell in distinct])
    except (ValueError, TypeError):
        return None


def cell_parser(reading: Reading) -> Callable[[str], float | None]:
    """The function that parses a text as `reading` says, and returns None where it cannot."""
    if reading.kind == "date":
        start = _days_since_epoch(reading.origin)
        return lambda text: (
            None if (day := parse_expected_days(text, reading.order)) is None else day - start
        )
    if reading.kind == "duration":
        return parse_duration
    if reading.kind == "truth":
        return lambda text: TRUTH.get(text.lower())

    def numeric(text: str) -> float | None:
        number = parse_number(text, reading.mark)
        return None if number is None or number.unit not in ("", reading.unit) else number.value

    return numeric


def read_plain_column(column: pd.Series) -> np.ndarray | None:
    """A text column as float64 if its cells are plain numbers or empty: the fast, usual case."""
    if not isinstance(column.dtype, pd.StringDtype):
        return None
    texts = pyarrow.array(column.array)
    filled = compute.if_else(compute.equal(texts, ""), None, texts)
    try:
        values = np.asarray(compute.cast(filled, pyarrow.float64()).to_numpy(zero_copy_only=False))
    except pyarrow.ArrowInvalid:  # pyarrow accepts no surrounding spaces
        return parse_plain_numbers(column.array)
    # A cell "nan" is a word for missing, which is reported: it needs the slow path.
    return values if np.isnan(values).sum() == filled.null_count else None


def _read_texts(reading: Reading, column: pd.Series) -> np.ndarray:
    if reading.kind == "number" and reading.mark == ".":
        plain = read_plain_column(column)
        if plain is not None:
            return plain
    codes, distinct = distinct_texts(column)
    places = [
        place for place, text in enumerate(distinct) if not means_missing(text, reading.holes)
    ]
    known = [distinct[place] for place in places]
    is_bare = reading.kind == "number" and reading.mark == "."
    numbers = parse_plain_numbers(known) if is_bare else None
    if numbers is None:
        parse = cell_parser(reading)
        parsed = [parse(text) for text in known]
        if None in parsed:
            kind = KINDS[reading.kind]
            if reading.kind == "date":
                kind += f" such as {EXAMPLES[reading.order]}"
            raise UsageError(
                f"column {reading.name!r} holds {known[parsed.index(None)]!r}, but is read as "
                f"{kind}: write it like the other cells, or empty it"
            )
        numbers = np.array(parsed, dtype=float)
    values = np.full(len(distinct) + 1, np.nan)
    values[places] = numbers
    return np.asarray(values[codes])


def _convert_typed(reading: Reading, column: pd.Series) -> np.ndarray:
    if reading.kind == "date":
        return _total_seconds(to_utc_dates(column) - pd.Timestamp(reading.origin)) / DAY
    if reading.kind == "duration":
        return _total_seconds(column)
    if column.dtype == np.float64:
        return column.to_numpy()  # the memory of the column itself
    with np.errstate(
        over="ignore"
    ):  # numbers too large for float64 become infinite, which is refused later
        return column.to_numpy(dtype=float, na_value=np.nan)


def _total_seconds(durations: pd.Series) -> np.ndarray:
    return np.asarray(durations.dt.total_seconds(), dtype=float)


def to_utc_dates(column: pd.Series) -> pd.Series:
    """A column of dates or periods as UTC dates without a time zone."""
    dates: pd.Series = column
    if isinstance(column.dtype, pd.PeriodDtype):
        dates = column.dt.to_timestamp()
    elif column.dt.tz is not None:
        dates = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates


def _days_since_epoch(origin: str) -> float:
    return float((date.fromisoformat(origin) - EPOCH.date()).days)


def _cell_text(cell: Any) -> str | float:
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


def refuse_complex(name: str, column: pd.Series) -> None:
    """Refuse a column of complex numbers."""
    is_complex = types.is_complex_dtype(column) or (
        column.dtype == object
        and any(isinstance(cell, complex | np.complexfloating) for cell in column)
    )
    if is_complex:
        raise complex_error(name)


def complex_error(name: str) -> UsageError:
    """The error for a column of complex numbers."""
    return UsageError(
        f"column {name!r} holds complex numbers: write the real and the imaginary part, or the "
        "modulus and the angle, as columns of their own"
    )


def find_nested_type(column: pd.Series) -> str:
    """The type of cells that hold several values, or bytes that are not text; "" without any."""
    if isinstance(column.dtype, pd.StringDtype):
        return ""
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    cells = column.cat.categories if is_categorical else column
    return next((type(cell).__name__ for cell in cells if _is_nested(cell)), "")


def _is_nested(cell: object) -> bool:
    if isinstance(cell, bytes):
        try:
            cell.decode()
        except UnicodeDecodeError:
            return True
    return isinstance(cell, NESTED)
