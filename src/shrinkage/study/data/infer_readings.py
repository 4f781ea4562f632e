"""Infer how the columns of a table are to be read, from all their cells and never by the target.

The cells of a column are interpreted together: whether "03/04/2021" begins with the day or the
month, and whether "1,500" is 1500 or 1.5, follows from the other cells of the column, and where
they leave it open, from the other columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd

from shrinkage.study.data.column_reading import Reading, join_clauses, join_words
from shrinkage.study.data.column_values import (
    TRUTH,
    complex_error,
    distinct_texts,
    find_nested_type,
    kind_of_type,
    means_missing,
    parse_plain_numbers,
    read_plain_column,
    refuse_complex,
    to_utc_dates,
)
from shrinkage.study.data.parse_date import EPOCH, parse_days, parse_duration, parse_expected_days
from shrinkage.study.data.parse_number import CURRENCY, Number, parse_number
from shrinkage.study.formatting import pluralize

MOST_MISFITS = 5  # the most distinct texts among numbers that are taken to mean missing
LEAST_SHARE = 0.9  # the least share of the cells that must then be numbers
FEW_VALUES = 20  # and the column must have more distinct numbers: fewer may be codes
TRUE_FALSE = "true is 1 and false is 0"
COMPLEX = re.compile(r"\(?[-+]?[\d.]+(e[-+]?\d+)?[-+][\d.]+(e[-+]?\d+)?[ij]\)?", re.IGNORECASE)
PARTIAL = re.compile(rf"{CURRENCY}|%|")  # units that may be absent from some cells of a column

# The readings that a column's cells allow. The key is what each would prove about the whole table:
# "." or "," is its decimal mark, "day" or "month" comes first in its dates; "" proves nothing.
Candidates = Mapping[str, Reading]
Counts = Counter[str]  # how many rows have each text


def infer_readings(frame: pd.DataFrame, mark: str = ".") -> dict[str, Reading]:
    """How each column is read; `mark` is the decimal mark where no column settles it.

    Raises
    ------
    UsageError
        For a column of complex numbers.
    """
    choices = {str(name): _possible_readings(str(name), frame[name]) for name in frame.columns}
    proven = {next(iter(readings)) for readings in choices.values() if len(readings) == 1}
    marks, orders = proven & {".", ","}, proven & {"day", "month"}
    mark = marks.pop() if len(marks) == 1 else mark
    order = orders.pop() if len(orders) == 1 else "day" if mark == "," else "month"
    return {name: _pick_reading(readings, (mark, order)) for name, readings in choices.items()}


def _pick_reading(choices: Candidates, preferred: Sequence[str]) -> Reading:
    if len(choices) == 1:
        return next(iter(choices.values()))
    return next(choices[key] for key in preferred if key in choices)


def _possible_readings(name: str, column: pd.Series) -> Candidates:
    kind = kind_of_type(column)
    refuse_complex(name, column)
    if column.isna().all():
        return {"": Reading(name, "empty")}
    if kind == "text":
        nested = find_nested_type(column)
        if nested:
            done = f"its cells are of type {nested}: spread them over columns of their own"
            return {"": Reading(name, "nested", done=done)}
        return _readings_of_text(name, column)
    if kind == "date":
        first = (to_utc_dates(column).min() - pd.Timestamp(0)).total_seconds() / 86400
        return {"": _date_reading(Reading(name, kind), first)}
    done = {"truth": TRUE_FALSE, "duration": "durations in seconds"}.get(kind, "")
    return {"": Reading(name, kind, done=done)}


def _readings_of_text(name: str, column: pd.Series) -> Candidates:
    plain = read_plain_column(column)
    if plain is not None and np.isfinite(plain).any():
        distinct = [cell for cell in map(str.strip, column.dropna().unique().tolist()) if cell]
        if parse_days(distinct[0], "digits") is None:
            return _plain_readings(Reading(name, "number"), distinct)
    codes, distinct = distinct_texts(column)
    amounts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    counts: Counter[str] = Counter()
    words: set[str] = set()
    for text, amount in zip(distinct, amounts.tolist(), strict=True):
        if means_missing(text):
            words.add(text)
        else:
            counts[text] += amount
    base = Reading(name, "text", done=_describe_missing_words(sorted(words - {""})))
    if not counts:
        return {"": Reading(name, "empty")}
    if isinstance(column.dtype, pd.CategoricalDtype):
        return {"": base}
    if len(counts) >= 3 and all(parse_days(cell, "digits") is not None for cell in counts):
        return {
            "": _date_reading(
                replace(base, kind="date", order="digits"), _earliest_day(counts, "digits")
            )
        }
    if parse_plain_numbers(list(counts)) is not None:
        return _plain_readings(base, list(counts))
    if all(cell.lower() in TRUTH for cell in counts):
        return {"": replace(base, kind="truth", done=join_clauses(TRUE_FALSE, base.done))}
    if all(COMPLEX.fullmatch(cell) for cell in counts):
        raise complex_error(name)
    return _formatted_readings(base, counts)


def _plain_readings(base: Reading, distinct: Sequence[str]) -> Candidates:
    """Numbers in the usual notation; points may still separate thousands if they do elsewhere."""
    zeros = any(cell[0] == "0" and len(cell) > 1 and cell.isdigit() for cell in distinct)
    done = join_clauses("leading zeros are left out", base.done) if zeros else base.done
    plain = replace(base, kind="number", done=done)
    if not any("." in cell for cell in distinct):
        return {"": plain}
    if not all(parse_number(cell, ",") for cell in distinct):
        return {".": plain}
    counts = Counter(distinct)
    return {".": plain, ",": _compare_marks({",": _number_reading(base, counts, ",")}, counts)[","]}


def _formatted_readings(base: Reading, counts: Counts) -> Candidates:
    """Numbers, dates or durations as people write them: the kind that fits best, else text."""
    fits: dict[tuple[str, str], list[str]] = {}
    for kind, key, parse in _parsers():
        misfits = _find_misfits(counts, parse)
        if misfits is not None and (kind != "number" or _has_one_unit(counts, parse)):
            fits[kind, key] = misfits
    if not fits:
        return {"": replace(base, done=_describe_mixed(base, counts))}
    least = min(map(len, fits.values()))
    best = {key: misfits for key, misfits in fits.items() if len(misfits) == least}
    kind = next(iter(best))[0]
    forms = [form for fitting_kind, form in best if fitting_kind == kind]
    readings = {form: _make_reading(base, counts, kind, form, best[kind, form]) for form in forms}
    if kind == "number" and len(forms) == 2:
        return _compare_marks(readings, counts)
    if kind == "date" and len(readings) == 2 and "." in str(next(iter(counts))):
        readings.pop("month", None)  # with points between, the day comes first in every country
    return readings if kind != "duration" else {"": readings[""]}


Parser = Callable[[str], object]


def _parsers() -> Iterator[tuple[str, str, Parser]]:
    yield "number", ".", partial(parse_number, mark=".")
    yield "number", ",", partial(parse_number, mark=",")
    for order in ("iso", "day", "month", "name", "quarter"):
        yield "date", order, partial(parse_days, order=order)
    yield "duration", "", parse_duration


def _find_misfits(counts: Counts, parse: Parser) -> list[str] | None:
    """The texts that `parse` cannot parse, or None if they are too many to mean missing."""
    misfits: list[str] = []
    for cell in counts:
        if parse(cell) is None:
            misfits.append(cell)
            if len(misfits) > MOST_MISFITS:
                return None
    lost = sum(counts[cell] for cell in misfits)
    is_rare = lost <= (1 - LEAST_SHARE) * counts.total() and len(counts) - len(misfits) > FEW_VALUES
    return misfits if is_rare or not misfits else None


def _has_one_unit(counts: Counts, parse: Parser) -> bool:
    """Whether the numbers have a single unit; a word such as kg must stand beside all but 0."""
    numbers = [number for cell in counts if isinstance(number := parse(cell), Number)]
    units = {number.unit for number in numbers if number.unit or number.value}
    named = units - {""}
    return len(named) <= 1 and (len(units) <= 1 or all(map(PARTIAL.fullmatch, named)))


def _compare_marks(readings: Candidates, counts: Counts) -> Candidates:
    """The readings by both decimal marks, with an example; only one if they agree."""
    differing = next(
        (text for text in counts if parse_number(text, ".") != parse_number(text, ",")), None
    )
    if differing is None:
        return {"": readings["."]}
    described = {}
    for mark, reading in readings.items():
        number = parse_number(differing, mark)
        is_usual = mark == "." and "," not in differing
        example = (
            "" if is_usual or number is None else f"{differing!r} is read as {number.value:.12g}"
        )
        described[mark] = replace(reading, done=join_clauses(reading.done, example))
    return described


def _make_reading(
    base: Reading, counts: Counts, kind: str, form: str, misfits: Sequence[str]
) -> Reading:
    if kind == "date":  # one that begins with the year is read in every order
        misfits = [cell for cell in misfits if parse_expected_days(cell, form) is None]
    if misfits:
        words = _describe_missing_words(sorted(misfits))
        base = replace(base, holes=tuple(misfits), done=join_clauses(base.done, words))
    if kind == "number":
        return _number_reading(base, counts, form)
    if kind == "duration":
        return replace(base, kind=kind, done=join_clauses("durations in seconds", base.done))
    reading = replace(base, kind=kind, order=form)
    if form in ("day", "month"):
        order = "day, month, year" if form == "day" else "month, day, year"
        example = next(cell for cell in counts if parse_days(cell, form) is not None)
        reading = replace(reading, done=join_clauses(f"{example!r} is read as {order}", base.done))
    return _date_reading(reading, _earliest_day(counts, form))


def _number_reading(base: Reading, counts: Counts, mark: str) -> Reading:
    numbers = {cell: parsed for cell in counts if (parsed := parse_number(cell, mark)) is not None}
    styles = frozenset().union(*(parsed.style for parsed in numbers.values()))
    unit = max((parsed.unit for parsed in numbers.values()), default="")
    lacking = sum(not parsed.unit and parsed.value != 0 for parsed in numbers.values())
    clauses = []
    left_out = [
        *(["thousands separators"] if "thousands" in styles else []),
        *([unit] if unit else []),
    ]
    if left_out:
        clauses.append(f"{' and '.join(left_out)} left out")
    if unit and lacking:
        clauses.append(
            f"{unit} is absent from {pluralize(lacking, 'distinct cell')}, which are read alike"
        )
    if mark == "," and any("," in cell for cell in numbers):
        clauses.append("commas are decimal marks")
    if "parentheses" in styles:
        clauses.append("numbers in parentheses are below 0")
    if "scale" in styles:
        clauses.append("K, M and B are thousands, millions and billions")
    done = join_clauses(f"read as numbers, {'; '.join(clauses)}" if clauses else "", base.done)
    return replace(base, kind="number", mark=mark, unit=unit, done=done)


def _date_reading(reading: Reading, first: float) -> Reading:
    origin = (EPOCH + timedelta(days=np.floor(first))).date().isoformat()
    return replace(reading, origin=origin, done=join_clauses(f"days since {origin}", reading.done))


def _earliest_day(counts: Counts, order: str) -> float:
    return min(day for cell in counts if (day := parse_expected_days(cell, order)) is not None)


def _describe_missing_words(words: Sequence[str]) -> str:
    if not words:
        return ""
    quoted = ", ".join(map(repr, words))
    return f"{quoted} {'means' if len(words) == 1 else 'mean'} missing"


def _describe_mixed(base: Reading, counts: Counts) -> str:
    """What to report of a text column in which most cells are numbers."""
    texts = [
        cell for cell in counts if parse_number(cell) is None and parse_number(cell, ",") is None
    ]
    amount = counts.total() - sum(counts[cell] for cell in texts)
    units = sorted(
        {number.unit for cell in counts if (number := parse_number(cell)) and number.unit}
    )
    if not texts and len(units) > 1 and all(map(PARTIAL.fullmatch, units)):
        return join_clauses(
            f"text, as its numbers have units of several kinds: {join_words(units[:4])}", base.done
        )
    if len(counts) <= FEW_VALUES or 2 * amount < counts.total() or not texts:
        return base.done
    examples = ", ".join(map(repr, texts[:3]))
    clause = f"text, though {amount} of its {counts.total()} cells are numbers"
    return join_clauses(f"{clause}: not so {examples}", base.done)
