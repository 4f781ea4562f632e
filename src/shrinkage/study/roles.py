"""Which columns are features: what counts or names the rows is left out, what is odd is told."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
from pandas.api import types

from shrinkage.study.columns import apply
from shrinkage.study.errors import UsageError
from shrinkage.study.readings import Reading, joined, named
from shrinkage.study.targets import LARGEST, same_but_case

LEVELS = 50  # one-hot columns of one text column at most: the most frequent
NEARLY = 0.9  # share of different texts from which a column names the rows
MANY = 20  # rows from which a column that counts them is known by its values alone
IDENTIFIER = re.compile(
    r"unnamed.*|index|idx|(.*[ _.-])?(id|ids|uuid|guid|nr|no|num|#)|row.*|.*[a-z]I[Dd]|serial.*",
)
TIME = re.compile(
    r"(.*[^a-z])?(years?|months?|weeks?|days?|dates?|times?|hours?|minutes?|seconds?|quarters?|"
    r"periods?|age|epoch|yr|t)([^a-z].*)?"
)
COUNTS = "it numbers the rows"


def feature(
    reading: Reading, column: pd.Series, known: np.ndarray, data: str
) -> tuple[Reading, pd.Series | None]:
    """A column's reading, and its values in the rows that have a target; None if it is left out.

    Raises
    ------
    UsageError
        For numbers that are infinite or beyond float32.
    """
    if reading.kind in ("empty", "nested"):
        done = reading.done or "it is missing in every row"
        missing = len(column) if reading.kind == "empty" else int(column.isna().sum())
        return replace(reading, role="left out", missing=missing, done=done), None
    values = apply(reading, column)
    reason = _why_out(reading, values)
    values = values[known].reset_index(drop=True)
    if values.isna().all():
        reason = "it is missing in every row that has a target"
    is_text = reading.kind == "text"
    reading = replace(
        reading,
        missing=int(values.isna().sum()),
        levels=values.nunique() if is_text else 0,
    )
    if reason:
        return replace(reading, role="left out", done=reason), None
    if not is_text:
        _refuse_huge(f"column {reading.name!r} of {data}", values)
        return reading, values
    return replace(reading, done=joined(_of_levels(values), reading.done)), values


def repeats(frame: pd.DataFrame) -> list[str]:
    """A sentence for each column that repeats another, and for those that never change."""
    seen: dict[object, str] = {}
    told, constant = [], []
    for name in frame.columns:
        column = frame[name]
        if column.nunique(dropna=False) == 1:
            constant.append(name)
            continue
        content = (
            column.to_numpy().tobytes()
            if types.is_float_dtype(column)
            else tuple(column.fillna(""))
        )
        first = seen.setdefault(content, name)
        if first != name:
            told.append(f"column {name!r} repeats column {first!r}")
    if constant:
        told.append(f"{named(constant)}: the same in every row")
    return told


def copies(frame: pd.DataFrame, target: np.ndarray, classes: int) -> list[str]:
    """A sentence for the columns that are the target in other words."""
    own = [
        name
        for name in frame.columns
        if (_names_classes if classes else _is_linear)(frame[name], target, classes)
    ]
    if not own:
        return []
    return [f"{named(own)}: the target in other words; leave out what is not known before it is"]


def _names_classes(column: pd.Series, target: np.ndarray, classes: int) -> bool:
    if column.nunique(dropna=False) != classes:
        return False
    codes = pd.factorize(column, use_na_sentinel=False)[0]
    return len(np.unique(codes * classes + target)) == classes


def _is_linear(column: pd.Series, target: np.ndarray, _: int) -> bool:
    if not types.is_float_dtype(column) or column.isna().any() or len(column) < 4:
        return False
    spread = float(column.std())
    if spread == 0:
        return False
    scores = (column.to_numpy() - column.mean()) / spread
    goal = (target - target.mean()) / target.std(ddof=1)
    return bool(abs(abs(scores @ goal) / (len(goal) - 1) - 1) < 1e-10)


def _why_out(reading: Reading, values: pd.Series) -> str:
    """Why a column is no feature, or ""."""
    present = values.dropna()
    distinct = present.nunique()
    if reading.kind == "text":
        if len(present) >= 3 and distinct == len(present):
            return "every row has another text, as a name has"
        if len(present) >= MANY and distinct > NEARLY * len(present):
            return f"nearly every row has another text ({distinct} in {len(present)})"
        return ""
    if reading.kind != "number" or distinct < len(values) or len(values) < 3:
        return ""
    numbers = values.to_numpy()
    is_identifier = is_named_identifier(reading.name)
    if (np.diff(numbers) == 1).all():
        if is_identifier or is_counter(reading.name, numbers):
            return COUNTS
    elif is_identifier and (numbers == np.round(numbers)).all():
        return "every row has another number, as an identifier has"
    return ""


def is_counter(name: str, numbers: np.ndarray) -> bool:
    """Whether numbers that rise by 1 count the rows, and not years or days."""
    return len(numbers) >= MANY and numbers[0] in (0, 1) and not TIME.fullmatch(name.lower())


def is_named_identifier(name: str) -> bool:
    """Whether a column's name says that it identifies rows, or what they belong to."""
    return bool(IDENTIFIER.fullmatch(name) or IDENTIFIER.fullmatch(name.lower()))


def _refuse_huge(name: str, values: pd.Series) -> None:
    numbers = values.to_numpy(dtype=float)
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


def _of_levels(values: pd.Series) -> str:
    distinct = tuple(values.dropna().unique())
    if len(distinct) > LEVELS:
        return (
            f"text of more than {LEVELS} levels: the {LEVELS - 1} most frequent in the training "
            "part have a column each, the others share one"
        )
    alike = same_but_case(distinct)
    return f"{alike} are different levels" if alike else ""
