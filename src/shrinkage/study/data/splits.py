"""Split the rows into training, validation and test part, and fit the preprocessing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype

from shrinkage.study.data.draw_rows import draw_rows, draw_stratified
from shrinkage.study.data.encoding import (
    Column,
    Encoding,
    fit_number_column,
    fit_text_column,
)
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.data.features import MOST_LEVELS
from shrinkage.study.data.table import Table, shuffle_units
from shrinkage.study.errors import UsageError
from shrinkage.study.spec import Study

MOST_BYTES = 500_000_000  # of parts that are kept, and those of two seeds in any case
TEST_SEED = 0  # the test part is the same for every seed


@dataclass(frozen=True)
class RowSplit:
    """The indices of the rows in each part."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that was fitted on the training part of one seed."""

    encoding: Encoding

    def features(self, frame: pd.DataFrame) -> np.ndarray:
        """The rows as arrays for the model; see `Encoding.encode`."""
        return self.encoding.encode(frame)

    def examples(self, table: Table, rows: np.ndarray) -> Examples:
        y = table.target[rows]
        if table.task == "numbers":
            with np.errstate(over="ignore"):
                y = ((y - self.encoding.center) / self.encoding.scale).astype(np.float32)
            if not np.isfinite(y).all():
                raise UsageError(
                    "the target holds a number that is beyond float32 in standard deviations of "
                    "its training part: it is a mistake, or its logarithm would serve better"
                )
        return Examples(self.encoding.encode(table.frame, rows), y, self.encoding.scale)


def split_rows(table: Table, study: Study, seed: int) -> RowSplit:
    """The rows of each part; the test part is the same for every seed.

    With K folds, `seed` numbers the pairs of a repetition and a fold: repetition·K + fold.

    Raises
    ------
    UsageError
        If there are too few rows or subjects for three parts, or for the folds.
    """
    rows = np.arange(len(table.target))
    rest, test = _split_off(rows, table, study.test, TEST_SEED)
    if study.folds is not None:
        repetition, fold = divmod(seed, study.folds)
        dealt = _deal_folds(rest, table, study.folds, repetition + 1)
        return RowSplit(rest[dealt != fold], rest[dealt == fold], test)
    train, validation = _split_off(rest, table, study.validation / (1 - study.test), seed + 1)
    return RowSplit(train, validation, test)


def fit_preprocessing(table: Table, rows: RowSplit) -> Preprocessing:
    """Fit medians, means, levels and the target's scale on the training part only."""
    numbers: list[Column] = []
    texts: list[Column] = []
    for name, column in table.frame.items():
        values = column.to_numpy()[rows.train]
        if is_float_dtype(column):
            numbers.append(fit_number_column(str(name), values))
        else:
            texts.append(fit_text_column(str(name), values, MOST_LEVELS))
    columns = (*numbers, *texts)
    if table.task == "classes":
        return Preprocessing(Encoding(columns))
    target = table.target[rows.train]
    return Preprocessing(Encoding(columns, float(target.mean()), float(target.std()) or 1.0))


def make_parts(table: Table, study: Study, seed: int) -> Parts:
    """The training and validation part that the trials of one seed see."""
    rows = split_rows(table, study, seed)
    preprocessing = fit_preprocessing(table, rows)
    return Parts(
        train=preprocessing.examples(table, rows.train),
        validation=preprocessing.examples(table, rows.validation),
        task=table.task,
        outputs=table.outputs,
    )


class SeedParts(Sequence[Parts]):
    """The parts of every seed, of which those asked for last are kept.

    Trials come seed by seed, so that the parts of many rows are made when their seed's turn comes
    and are in memory for a few seeds only. Those of fewer rows are all made at once, and a number
    that no model can take is refused before the first trial.
    """

    def __init__(self, table: Table, study: Study) -> None:
        self._table, self._study = table, study
        self._kept: dict[int, Parts] = {}
        self._lock = threading.Lock()  # trials in threads ask for the parts of a seed at one time
        self._most = 1
        self.seed_bytes = sum(part.X.nbytes + part.y.nbytes for part in _examples(self[0]))
        self._most = min(len(self), max(2, MOST_BYTES // self.seed_bytes))
        if self._most == len(self):
            for seed in range(len(self)):
                self[seed]

    @property
    def kept_bytes(self) -> int:
        """The most bytes that the parts have in memory."""
        return self.seed_bytes * self._most

    def __len__(self) -> int:
        return self._study.splits

    @overload
    def __getitem__(self, seed: int) -> Parts: ...
    @overload
    def __getitem__(self, seed: slice) -> list[Parts]: ...
    def __getitem__(self, seed: int | slice) -> Parts | list[Parts]:
        if isinstance(seed, slice):
            return [self[each] for each in range(len(self))[seed]]
        seed = range(len(self))[seed]
        with self._lock:
            parts = self._kept.pop(seed, None) or make_parts(self._table, self._study, seed)
            self._kept[seed] = parts  # the last in order
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
            return parts


def _examples(parts: Parts) -> tuple[Examples, Examples]:
    return parts.train, parts.validation


def _split_off(
    rows: np.ndarray, table: Table, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split `rows` in two parts, the second with a share of them, or of the subjects."""
    if table.subjects is not None:
        return _split_off_subjects(rows, table.subjects, share, seed)
    size = max(2, round(share * len(rows)))
    if len(rows) - size < 2:
        raise UsageError(
            f"data {table.name!r} has {len(table.target)} rows with a target: a study needs 6 or "
            "more, two for each of training, validation and test"
        )
    labels = table.target[rows]
    if table.task == "classes" and _can_stratify(labels, size):
        first, second = draw_stratified(labels, size, seed)
    else:
        first, second = draw_rows(len(rows), size, seed)
    return rows[first], rows[second]


def _split_off_subjects(
    rows: np.ndarray, subjects: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    present, subject = np.unique(subjects[rows], return_inverse=True)
    different = len(present)
    size = max(1, round(share * different))
    if different - size < 1:
        raise UsageError(
            f"subject has {len(np.unique(subjects))} different values: a study needs 3 or more, "
            "one for each of training, validation and test"
        )
    is_drawn = np.isin(subject, draw_rows(different, size, seed)[1])
    first, second = np.flatnonzero(~is_drawn), np.flatnonzero(is_drawn)
    if len(first) < 2 or len(second) < 2:
        raise UsageError("subject leaves a part with fewer than two rows: name a coarser column")
    return rows[first], rows[second]


def _deal_folds(rows: np.ndarray, table: Table, folds: int, seed: int) -> np.ndarray:
    """The fold of each row, (rows,): all rows of a subject are in one fold.

    The rows, or the subjects, are shuffled, ordered by class, and dealt out in turn, so that each
    fold has its share of every class. A subject counts for its most frequent class.
    """
    unit = np.arange(len(rows))
    what, least = "two rows", 2
    if table.subjects is not None:
        unit = np.unique(table.subjects[rows], return_inverse=True)[1]
        what, least = "one subject", 1
    count = int(unit.max()) + 1
    if count < least * folds:
        raise UsageError(
            f"folds must be at most {count // least} here, {what} outside the test part for each, "
            f"got {folds}"
        )
    order = shuffle_units(unit, table.target[rows], len(table.classes), seed)
    fold_of = np.empty(count, dtype=np.int64)
    fold_of[order] = np.arange(count) % folds
    dealt = fold_of[unit]
    if np.bincount(dealt, minlength=folds).min() < 2:
        raise UsageError("subject leaves a fold with fewer than two rows: name fewer folds")
    return np.asarray(dealt)


def _can_stratify(labels: np.ndarray, size: int) -> bool:
    counts = np.unique(labels, return_counts=True)[1]
    return bool(counts.min() >= 2 and len(counts) <= min(size, len(labels) - size))
