"""Decide which columns are features: columns that number or name the rows are left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from shrinkage.study.data.column_reading import Reading, join_clauses, name_columns
from shrinkage.study.data.column_values import read_column
from shrinkage.study.data.target import LARGEST, find_case_variants
from shrinkage.study.errors import UsageError

MOST_LEVELS = 50  # the most one-hot columns of a text column: its most frequent levels
NEARLY_ALL = 0.9  # share of distinct texts from which a column is taken to name the rows
FIRST_CELLS = 1000  # of a column, which are compared before the others
MANY_ROWS = 20  # rows from which a column that numbers them is known by its values alone
IDENTIFIER = re.compile(
    r"unnamed.*|index|idx|nr|no|num|#|obs|row.*|serial.*|(.*[ _.-])?(id|ids|uuid|guid)|.*[a-z]I[Dd]"
)
TIME = re.compile(
    r"(.*[^a-z])?(years?|months?|weeks?|days?|dates?|times?|hours?|minutes?|seconds?|quarters?|"
    r"periods?|age|epoch|yr|t)([^a-z].*)?"
)
NUMBERS_THE_ROWS = "it numbers the rows"


def read_feature(
    reading: Reading, column: pd.Series, known: np.ndarray, data: str
) -> tuple[Reading, np.ndarray | None]:
    """A column's reading, and its values in the rows with a target; None if it is left out.

    Raises
    ------
    UsageError
        For numbers that are infinite or beyond float32.
    """
    if reading.kind in ("empty", "nested"):
        done = reading.done or "missing in every row"
        missing = len(column) if reading.kind == "empty" else int(column.isna().sum())
        return replace(reading, role="left out", missing=missing, done=done), None
    values = read_column(reading, column)
    reason = _reason_to_leave_out(reading, values)
    values = values if known.all() else values[known]
    missing = int(pd.isna(values).sum())
    if missing == len(values):
        reason = "missing in every row that has a target"
    levels = _distinct_texts(values) if reading.kind == "text" else []
    reading = replace(reading, missing=missing, levels=len(levels))
    if reason:
        return replace(reading, role="left out", done=join_clauses(reason, reading.done)), None
    if reading.kind != "text":
        _refuse_huge(f"column {reading.name!r} of {data}", values)
        return reading, values
    return replace(reading, done=join_clauses(_describe_levels(levels), reading.done)), values


def _distinct_texts(values: np.ndarray) -> list[str]:
    """The distinct texts in the order of the rows, without nan."""
    return [text for text in pd.unique(values) if text == text]


def find_repeats(columns: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence for each column that repeats another, and one for the constant columns."""
    alike: dict[tuple[str, ...], list[str]] = {}  # columns whose first cells are the same
    sentences, constant = [], []
    for name, values in columns.items():
        if (values == values[0]).all():
            constant.append(name)
            continue
        others = alike.setdefault((values.dtype.str, *map(str, values[:FIRST_CELLS])), [])
        same = (other for other in others if _are_equal(values, columns[other]))
        first = next(same, None)
        if first is None:
            others.append(name)
        else:
            sentences.append(f"column {name!r} repeats column {first!r}")
    if constant:
        sentences.append(f"{name_columns(constant)}: the same in every row")
    return sentences


def _are_equal(values: np.ndarray, others: np.ndarray) -> bool:
    return pd.Series(values, copy=False).equals(pd.Series(others, copy=False))


def find_target_copies(
    columns: Mapping[str, np.ndarray], target: np.ndarray, classes: int
) -> list[str]:
    """A sentence for the columns that say the same as the target."""
    is_copy = partial(_maps_to_classes, classes=classes) if classes else _is_linear
    names = [name for name, values in columns.items() if is_copy(values, target)]
    if not names:
        return []
    return [
        f"{name_columns(names)}: the target in other words; leave out what is unknown before it is"
    ]


def _maps_to_classes(values: np.ndarray, target: np.ndarray, classes: int) -> bool:
    """Whether each value stands for one class, and each class for one value."""
    pairs: dict[object, int] = {}
    for value, label in zip(values.tolist(), target.tolist(), strict=True):
        key = value if value == value else None
        if pairs.setdefault(key, label) != label or len(pairs) > classes:
            return False
    return len(pairs) == classes == len(set(pairs.values()))


def _is_linear(values: np.ndarray, target: np.ndarray) -> bool:
    """Whether numbers are the target on another scale."""
    if values.dtype == object or np.isnan(values).any() or len(values) < 4 or not np.ptp(values):
        return False
    correlation = float(np.corrcoef(values, target)[0, 1])
    return abs(abs(correlation) - 1) < 1e-10


def _reason_to_leave_out(reading: Reading, values: np.ndarray) -> str:
    """Why a column is no feature, or ""."""
    if reading.kind == "text":
        distinct = len(_distinct_texts(values))
        present = len(values) - int(pd.isna(values).sum())
        if present >= 3 and distinct == present:
            return "every row has another text, as a name has"
        is_nearly = present >= MANY_ROWS and distinct > NEARLY_ALL * present
        return f"nearly every row has another text ({distinct} in {present})" if is_nearly else ""
    if reading.kind != "number" or len(values) < 3:
        return ""
    is_identifier = has_identifier_name(reading.name)
    with np.errstate(invalid="ignore"):  # infinite numbers are refused later
        rises_by_one = bool((np.diff(values) == 1).all())
    if rises_by_one and not reading.unit:
        return NUMBERS_THE_ROWS if is_identifier or _is_counter(reading.name, values) else ""
    is_whole = is_identifier and bool((values == np.round(values)).all())
    if is_whole and len(np.unique(values)) == len(values):
        return "every row has another number, as an identifier has"
    return ""


def _is_counter(name: str, numbers: np.ndarray) -> bool:
    """Whether numbers that rise by 1 number the rows, rather than years or days."""
    return len(numbers) >= MANY_ROWS and numbers[0] in (0, 1) and not TIME.fullmatch(name.lower())


def has_identifier_name(name: str) -> bool:
    """Whether a column's name says that it identifies rows or the subjects they belong to."""
    return bool(IDENTIFIER.fullmatch(name) or IDENTIFIER.fullmatch(name.lower()))


def _refuse_huge(name: str, numbers: np.ndarray) -> None:
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise UsageError(
            f"{name} is infinite in {infinite} rows: empty those cells or remove the rows"
        )
    largest = numbers[np.nanargmax(np.abs(numbers))]
    if abs(largest) > LARGEST:
        raise UsageError(
            f"{name} holds {largest:g}, which is beyond float32: write it "
            "in a larger unit, or its logarithm"
        )


def _describe_levels(distinct: Sequence[str]) -> str:
    if len(distinct) > MOST_LEVELS:
        return (
            f"text of more than {MOST_LEVELS} levels: the {MOST_LEVELS - 1} most frequent in the "
            "training part have a column each, the others share one"
        )
    alike = find_case_variants(distinct)
    return f"{alike} are different levels" if alike else ""
