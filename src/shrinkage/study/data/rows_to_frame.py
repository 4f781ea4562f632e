"""Turn rows of cells, from a text file or a sheet, into columns with names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import pandas as pd

from shrinkage.study.data.parse_number import parse_number
from shrinkage.study.formatting import pluralize

Row = tuple[int, Sequence[Any]]  # the line on which it ends, and its cells
HEAD_ROWS = 200  # rows from which the number of cells in a row is judged
CHUNK_ROWS = 10_000  # rows that are held as Python lists at a time
MOST_SHOWN = 60  # characters shown of a line that is left out


class NoTableError(ValueError):
    """The rows make no table; the message says why."""


@dataclass
class Remarks:
    """What was unusual in the rows so far."""

    above: list[str] = field(default_factory=list)  # lines above the names
    comments: list[int] = field(default_factory=list)  # lines
    short: list[int] = field(default_factory=list)  # lines
    unnamed: bool = False  # rows have one cell more than there are names

    def describe(self) -> list[str]:
        sentences = []
        if self.above:
            sentences.append(f"left out above the names: {'; '.join(map(repr, self.above))}")
        if self.comments:
            sentences.append(
                f"left out {pluralize(len(self.comments), 'comment')} after a #, the first in line "
                f"{self.comments[0]}"
            )
        if self.unnamed:
            sentences.append(
                "the rows have one cell more than there are names: the first column is taken to "
                "be the one without a name, as R writes row names"
            )
        if self.short:
            sentences.append(
                f"{pluralize(len(self.short), 'row')} with fewer cells than there are names, "
                f"the first in line {self.short[0]}: the absent cells are missing values"
            )
        return sentences


def rows_to_frame(
    rows: Iterable[Row], dtype: str = "string[pyarrow]"
) -> tuple[pd.DataFrame, list[str]]:
    """The table in `rows`, whose first row with more than one cell has the names; and remarks.

    Raises
    ------
    NoTableError
        Without a row, for a first row of numbers, a name that stands twice, a row with more cells
        than there are names.
    """
    remarks = Remarks()
    stream = iter(rows)
    head = [(line, cells) for line, cells in islice(stream, HEAD_ROWS) if cells]
    width = Counter(len(cells) for _, cells in head).most_common(1)[0][0] if head else 0
    head = list(_drop_comments(head, width, remarks))
    while width > 1 and head and sum(not is_blank(cell) for cell in head[0][1]) <= 1:
        above = " ".join(str(cell) for cell in head.pop(0)[1] if not is_blank(cell))
        remarks.above += [above[:MOST_SHOWN]] if above else []
    if not head:
        raise NoTableError("it has no line of column names")
    names = _read_names(list(head.pop(0)[1]), [cells for _, cells in head], remarks)
    others = _drop_comments(((line, cells) for line, cells in stream if cells), width, remarks)
    frame = _fill_frame(names, chain(head, others), dtype, remarks)
    return frame, remarks.describe()


def is_blank(cell: object) -> bool:
    """Whether a cell is empty."""
    return not cell.strip() if isinstance(cell, str) else cell is None or cell != cell


def _drop_comments(rows: Iterable[Row], width: int, remarks: Remarks) -> Iterator[Row]:
    for line, cells in rows:
        if len(cells) != width and isinstance(cells[0], str) and cells[0].lstrip()[:1] == "#":
            remarks.comments.append(line)
        else:
            yield line, cells


def _read_names(first: list[Any], rows: Sequence[Sequence[Any]], remarks: Remarks) -> list[str]:
    """The names in the first row; a blank one is "Unnamed: 3", as in pandas."""
    _refuse_numbers(first)
    if rows and Counter(map(len, rows)).most_common(1)[0][0] == len(first) + 1:
        if all(len(row) <= len(first) or is_blank(row[len(first)]) for row in rows):
            first = [*first, ""]  # a separator at the end of every row
        else:
            first = ["", *first]
            remarks.unnamed = True
    if all(len(str(cell)) > 1 and str(cell)[0] == str(cell)[-1] == "'" for cell in first):
        first = [cell[1:-1] for cell in first]
    names = [
        f"Unnamed: {place}" if is_blank(cell) else str(cell).strip(" \t\r\n\u00a0\ufeff")
        for place, cell in enumerate(first)
    ]
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise NoTableError(f"it has column {twice!r} twice: rename one of them")
    return names


def _refuse_numbers(first: Sequence[Any]) -> None:
    """Refuse fractions and repeated numbers as names: such a row holds data."""
    numbers = [parse_number(str(cell).strip()) for cell in first if not is_blank(cell)]
    values = [number.value for number in numbers if number is not None and not number.unit]
    has_fractions = sum(not value.is_integer() for value in values) > len(first) / 2
    if has_fractions or (len(values) == len(first) > len(set(values))):
        line = ", ".join(str(cell) for cell in first)[:MOST_SHOWN]
        raise NoTableError(
            f"its first line, {line!r}, is numbers: put a line with the columns' names above it"
        )


def _fill_frame(
    names: list[str], rows: Iterable[Row], dtype: str, remarks: Remarks
) -> pd.DataFrame:
    stream = _fit_width(rows, len(names), remarks)
    frames: list[pd.DataFrame] = []
    while True:
        chunk = list(islice(stream, CHUNK_ROWS))
        if frames and not chunk:
            break
        columns: Iterable[Any] = zip(*chunk, strict=True) if chunk else ([] for _ in names)
        series = (pd.Series(list(cells), dtype=dtype) for cells in columns)
        frames.append(pd.DataFrame(dict(zip(names, series, strict=True))))
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _fit_width(rows: Iterable[Row], width: int, remarks: Remarks) -> Iterator[Sequence[Any]]:
    """Each row with as many cells as there are names."""
    for line, cells in rows:
        if len(cells) > width and not all(map(is_blank, cells[width:])):
            raise NoTableError(
                f"line {line} has {len(cells)} cells, and there are {width} names: put quotation "
                "marks around a cell that holds a separator"
            )
        if len(cells) < width:
            remarks.short.append(line)
            yield [*cells, *[""] * (width - len(cells))]
        else:
            yield cells if len(cells) == width else cells[:width]
