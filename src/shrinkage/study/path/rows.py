"""The rows of every network of a path: all but the test part, each seed's, each resample's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shrinkage.study.data.encoding import Encoding
from shrinkage.study.data.examples import Examples
from shrinkage.study.data.splits import RowSplit, fit_preprocessing, split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.spec import Study

MOST_ROWS = 5000  # that a network is fitted to; more would take long and change little
MOST_NUMBERS = 4_000_000  # rows times columns of one network


@dataclass(frozen=True)
class PathRows:
    """The encoded rows, and which of them each network is fitted to.

    The columns are standardized once, on all rows but the test part, so that every network of a
    path has the same columns; this uses no target and no test row.
    """

    rest: Examples  # all rows but the test part
    test: Examples
    fits: tuple[np.ndarray, ...]  # rows of `rest`: the whole, each seed, each resample
    validations: tuple[np.ndarray, ...]  # rows of `rest`, of each seed
    encoding: Encoding
    note: str  # on rows that were left out; "" for none


def collect_rows(table: Table, study: Study, resamples: int) -> PathRows:
    """The rows of a path with `study.seeds` splits and a number of resamples of half the rows."""
    splits = [split_rows(table, study, seed) for seed in range(study.seeds)]
    inside = np.sort(np.concatenate([splits[0].train, splits[0].validation]))
    preprocessing = fit_preprocessing(table, RowSplit(inside, inside[:0], splits[0].test))
    rest = preprocessing.examples(table, inside)
    whole = np.arange(len(inside))
    trains = [np.searchsorted(inside, np.sort(split.train)) for split in splits]
    subjects = None if table.subjects is None else table.subjects[inside]
    halves = [_draw_half(whole, subjects, seed) for seed in range(resamples)]
    most = max(100, min(MOST_ROWS, MOST_NUMBERS // rest.X.shape[1]))
    note = ""
    if len(whole) > most:
        note = (
            f"each model of the path is fitted to at most {most:,} of the {len(whole):,} rows, "
            "drawn at random"
        )
    return PathRows(
        rest=rest,
        test=preprocessing.examples(table, splits[0].test),
        fits=tuple(_draw_rows(rows, most) for rows in [whole, *trains, *halves]),
        validations=tuple(np.searchsorted(inside, np.sort(s.validation)) for s in splits),
        encoding=preprocessing.encoding,
        note=note,
    )


def _draw_rows(rows: np.ndarray, most: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _draw_half(rows: np.ndarray, subjects: np.ndarray | None, seed: int) -> np.ndarray:
    """Half of the rows, or the rows of half of the subjects, without replacement."""
    generator = np.random.default_rng(seed)
    units = rows if subjects is None else np.unique(subjects)
    half = generator.choice(units, max(1, len(units) // 2), replace=False)
    return np.sort(half) if subjects is None else rows[np.isin(subjects, half)]
