"""Which columns are features: what counts or names the rows is left out, what is odd is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from shrinkage.study.columns import apply
from shrinkage.study.errors import UsageError
from shrinkage.study.readings import Reading, joined, named
from shrinkage.study.targets import LARGEST, same_but_case

LEVELS = 50  # one-hot columns of one text column at most: the most frequent
NEARLY = 0.9  # share of different texts from which a column names the rows
MANY = 20  # rows from which a column that counts them is known by its values alone
IDENTIFIER = re.compile(
    r"unnamed.*|index|idx|nr|no|num|#|obs|row.*|serial.*|(.*[ _.-])?(id|ids|uuid|guid)|.*[a-z]I[Dd]"
)
TIME = re.compile(
    r"(.*[^a-z])?(years?|months?|weeks?|days?|dates?|times?|hours?|minutes?|seconds?|quarters?|"
    r"periods?|age|epoch|yr|t)([^a-z].*)?"
)
COUNTS = "it numbers the rows"


def feature(
    reading: Reading, column: pd.Series, known: np.ndarray, data: str
) -> tuple[Reading, np.ndarray | None]:
    """A column's reading, and its values in the rows that have a target; None if it is left out.

    Raises
    ------
    UsageError
        For numbers that are infinite or beyond float32.
    """
    if reading.kind in ("empty", "nested"):
        done = reading.done or "missing in every row"
        missing = len(column) if reading.kind == "empty" else int(column.isna().sum())
        return replace(reading, role="left out", missing=missing, done=done), None
    values = apply(reading, column)
    reason = _why_out(reading, values)
    values = values[known]
    missing = int(pd.isna(values).sum())
    if missing == len(values):
        reason = "missing in every row that has a target"
    is_text = reading.kind == "text"
    reading = replace(
        reading,
        missing=missing,
        levels=len(_present(values, is_text)) if is_text else 0,
    )
    if reason:
        return replace(reading, role="left out", done=joined(reason, reading.done)), None
    if not is_text:
        _refuse_huge(f"column {reading.name!r} of {data}", values)
        return reading, values
    return replace(
        reading, done=joined(_of_levels(list(_present(values, is_text))), reading.done)
    ), values


def _present(values: np.ndarray, is_text: bool) -> list[str] | np.ndarray:
    """The different values, without nan."""
    if is_text:
        return list(dict.fromkeys(value for value in values if value == value))
    return np.unique(values[~np.isnan(values)])


def repeats(columns: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence for each column that repeats another, and for those that never change."""
    seen: dict[object, str] = {}
    told, constant = [], []
    for name, values in columns.items():
        content = values.tobytes() if values.dtype != object else tuple(map(str, values))
        first = seen.setdefault(content, name)
        if len(set(values[:2].tolist())) == 1 and len(set(values.tolist())) == 1:
            constant.append(name)
        elif first != name:
            told.append(f"column {name!r} repeats column {first!r}")
    if constant:
        told.append(f"{named(constant)}: the same in every row")
    return told


def copies(columns: Mapping[str, np.ndarray], target: np.ndarray, classes: int) -> list[str]:
    """A sentence for the columns that are the target in other words."""
    is_copy = partial(_names_classes, classes=classes) if classes else _is_linear
    own = [name for name, values in columns.items() if is_copy(values, target)]
    if not own:
        return []
    return [f"{named(own)}: the target in other words; leave out what is not known before it is"]


def _names_classes(values: np.ndarray, target: np.ndarray, classes: int) -> bool:
    """Whether each value stands for one class, and each class for one value."""
    pairs: dict[object, int] = {}
    for value, own in zip(values.tolist(), target.tolist(), strict=True):
        key = value if value == value else None
        if pairs.setdefault(key, own) != own or len(pairs) > classes:
            return False
    return len(pairs) == classes == len(set(pairs.values()))


def _is_linear(values: np.ndarray, target: np.ndarray) -> bool:
    """Whether numbers are the target on another scale."""
    if values.dtype == object or np.isnan(values).any() or len(values) < 4 or not np.ptp(values):
        return False
    correlation = float(np.corrcoef(values, target)[0, 1])
    return abs(abs(correlation) - 1) < 1e-10


def _why_out(reading: Reading, values: np.ndarray) -> str:
    """Why a column is no feature, or ""."""
    is_text = reading.kind == "text"
    distinct = len(_present(values, is_text))
    if is_text:
        present = sum(value == value for value in values)
        if present >= 3 and distinct == present:
            return "every row has another text, as a name has"
        is_nearly = present >= MANY and distinct > NEARLY * present
        return f"nearly every row has another text ({distinct} in {present})" if is_nearly else ""
    if reading.kind != "number" or distinct < len(values) or len(values) < 3:
        return ""
    is_identifier = is_named_identifier(reading.name)
    if (np.diff(values) == 1).all() and not reading.unit:
        return COUNTS if is_identifier or _is_counter(reading.name, values) else ""
    if is_identifier and (values == np.round(values)).all():
        return "every row has another number, as an identifier has"
    return ""


def _is_counter(name: str, numbers: np.ndarray) -> bool:
    """Whether numbers that rise by 1 count the rows, and not years or days."""
    return len(numbers) >= MANY and numbers[0] in (0, 1) and not TIME.fullmatch(name.lower())


def is_named_identifier(name: str) -> bool:
    """Whether a column's name says that it identifies rows, or what they belong to."""
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


def _of_levels(distinct: Sequence[str]) -> str:
    if len(distinct) > LEVELS:
        return (
            f"text of more than {LEVELS} levels: the {LEVELS - 1} most frequent in the training "
            "part have a column each, the others share one"
        )
    alike = same_but_case(distinct)
    return f"{alike} are different levels" if alike else ""
