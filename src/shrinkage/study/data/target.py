"""Read the column to predict: classes or numbers, and the rows that have a value in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from shrinkage.study.data.column_reading import Reading, join_words
from shrinkage.study.data.column_values import distinct_texts, means_missing, read_column
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize

MOST_CLASSES = 20  # an integer target with this many distinct values at most is classes
FREQUENT = 0.05  # share of the rows from which a word for "missing" is a class
ROWS_FOR_EACH_PART = 3  # rows of a class, so that training, validation and test can have one
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Target:
    """What is to be predicted for each row."""

    known: np.ndarray  # (all rows,): whether the row has a target
    values: np.ndarray  # (known rows,): class index, or number
    classes: tuple[str, ...]  # () for numbers
    reading: Reading
    notes: tuple[str, ...]

    @property
    def task(self) -> str:
        return "classes" if self.classes else "numbers"


def read_target(column: pd.Series, reading: Reading, task: str | None, data: str) -> Target:
    """The target in a column of `data`; the task is guessed from it unless it is given.

    Raises
    ------
    UsageError
        For a column without a value, one class only or nearly as many as rows, text in place of
        numbers, numbers that are infinite, beyond float32 or all the same.
    """
    name = reading.name
    notes: list[str] = []
    is_words = reading.kind in ("text", "empty") or (reading.kind, task) == ("truth", None)
    if reading.kind == "nested":
        raise UsageError(f"target {name!r} cannot be learned: {reading.done}")
    if is_words or (reading.kind != "number" and task == "classes"):
        values, reading = _read_labels(column, reading, notes)
    else:
        values = read_column(reading, column)
    known = ~np.asarray(pd.isna(values))
    if not known.any():
        raise UsageError(f"column {name!r} of {data} is missing in every row: name another target")
    if not known.all():
        notes.append(f"left out {pluralize(int((~known).sum()), 'row')} without a {name!r}")
    reading = replace(reading, role="target", missing=int((~known).sum()))
    values = values[known]
    if (task or _guess_task(values, reading.kind)) == "numbers":
        return Target(known, _check_numbers(values, name), (), reading, tuple(notes))
    index, classes = _encode_classes(values, name)
    notes += _describe_classes(name, classes, np.bincount(index))
    reading = replace(reading, levels=len(classes))
    return Target(known, index, classes, reading, tuple(notes))


def _read_labels(
    column: pd.Series, reading: Reading, notes: list[str]
) -> tuple[np.ndarray, Reading]:
    """The cells as labels; a word such as NA is a label where it is frequent enough."""
    codes, distinct = distinct_texts(column)
    amounts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    counts: Counter[str] = Counter()
    for text, amount in zip(distinct, amounts.tolist(), strict=True):
        if text:
            counts[text] += amount
    holes = sorted(filter(means_missing, counts))
    fewest = min((amount for word, amount in counts.items() if word not in holes), default=0)
    least = min(FREQUENT * counts.total(), max(2, fewest))
    classes = [word for word in holes if counts[word] >= least]
    lost = [word for word in holes if word not in classes]
    notes += [
        f"target {reading.name!r}: {word!r} is a class of {pluralize(counts[word], 'row')}; "
        "empty those cells if it means missing"
        for word in classes
    ]
    done = f"{', '.join(map(repr, lost))} {'means' if len(lost) == 1 else 'mean'} missing"
    known = [np.nan if not text or text in lost else text for text in distinct]
    labels = np.array([*known, np.nan], dtype=object)[codes]
    return labels, replace(reading, kind="text", done=done if lost else "")


def _guess_task(values: np.ndarray, kind: str) -> str:
    """Text and few whole numbers are classes, unless the numbers hardly repeat."""
    if values.dtype == object:
        return "classes"
    distinct = len(np.unique(values))
    whole = kind == "number" and bool(
        np.isfinite(values).all() and (values == values.round()).all()
    )
    return "classes" if whole and distinct <= min(MOST_CLASSES, len(values) / 2) else "numbers"


def _encode_classes(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    index, labels = pd.factorize(values, sort=True)
    classes = tuple(map(label_text, labels))
    if len(classes) < 2:
        raise UsageError(
            f"target {name!r} is {classes[0]!r} in every row: there is nothing to learn"
        )
    if len(classes) > len(values) / 2:
        raise UsageError(
            f"target {name!r} has {len(classes)} different values in {len(values)} rows, "
            "too many for classes: name another column, or --task regression if they are numbers"
        )
    return index.astype(np.int64), classes


def label_text(label: object) -> str:
    """A class as text: 1.0 is "1"."""
    return repr(float(label)).removesuffix(".0") if isinstance(label, float) else str(label)


def _check_numbers(numbers: np.ndarray, name: str) -> np.ndarray:
    if numbers.dtype == object:
        raise UsageError(
            f"target {name!r} holds text, such as {numbers[0]!r}, which is no number: the "
            "task must be classification"
        )
    if not np.isfinite(numbers).all():
        raise UsageError(f"target {name!r} holds infinite values: remove those rows")
    largest = numbers[np.abs(numbers).argmax()]
    if abs(largest) > LARGEST:
        raise UsageError(
            f"target {name!r} holds {largest:g}, which is beyond float32: write it in a larger "
            "unit, or its logarithm"
        )
    if np.ptp(numbers) == 0:
        raise UsageError(f"target {name!r} is {largest:g} in every row: nothing to learn")
    return numbers


def _describe_classes(name: str, classes: tuple[str, ...], counts: np.ndarray) -> list[str]:
    """Remarks on the classes: those with too few rows, and those that differ only in case."""
    remarks = []
    rare = [
        f"{label!r} ({pluralize(count, 'row')})"
        for label, count in zip(classes, counts, strict=True)
        if count < ROWS_FOR_EACH_PART
    ]
    if rare:
        remarks.append(
            f"target {name!r}: too few rows to be in each of training, validation and test: class "
            f"{join_words(rare)}"
        )
    alike = find_case_variants(classes)
    if alike:
        remarks.append(f"target {name!r}: {alike} are different classes")
    return remarks


def find_case_variants(labels: Sequence[str]) -> str:
    """The labels that differ only in case, as a list in words; "" if there are none."""
    times = Counter(label.lower() for label in labels)
    return join_words([repr(label) for label in labels if times[label.lower()] > 1])
