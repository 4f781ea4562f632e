"""How columns become the inputs of a model, as plain data that a file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from shrinkage.study.errors import UsageError

MISSING = "missing"  # the level of an empty cell of text


@final
@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: the input is (x − mean)/scale, where an empty cell counts as `fill`."""

    name: str
    fill: float  # the median of the training rows
    mean: float
    scale: float

    @property
    def width(self) -> int:
        """How many inputs of the model it makes."""
        return 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Inputs of shape (rows, 1), float32."""
        with np.errstate(over="ignore"):  # infinite ones are refused by `Encoding.encode`
            inputs = fill_missing(values, self.fill) - self.mean
            inputs /= self.scale
            return inputs.astype(np.float32)[:, None]


@final
@dataclass(frozen=True)
class TextColumn:
    """A column of text: an input for each level, which is 1 in the rows that hold it, else 0.

    The levels in `others` share the last input; a level that is in neither is 0 in all inputs.
    """

    name: str
    levels: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many inputs of the model it makes."""
        return len(self.levels) + bool(self.others)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Inputs of shape (rows, width), float32."""
        place = {level: index for index, level in enumerate(self.levels)}
        place |= dict.fromkeys(self.others, len(self.levels))
        codes, distinct = pd.factorize(values)
        places = np.array([place.get(text, -1) for text in [*distinct, MISSING]])[codes]
        rows = np.flatnonzero(places >= 0)
        inputs = np.zeros((len(values), self.width), dtype=np.float32)
        inputs[rows, places[rows]] = 1.0
        return inputs

    def find_unknown(self, values: np.ndarray) -> np.ndarray:
        """Whether each row holds a level that training has not seen."""
        known = {*self.levels, *self.others, MISSING}
        return np.array([value == value and value not in known for value in values], dtype=bool)


Column = NumberColumn | TextColumn


@final
@dataclass(frozen=True)
class Encoding:
    """The inputs of a model, in their order, and the scale of its target."""

    columns: tuple[Column, ...]
    center: float = 0.0  # of a number target: ŷ = center + scale·output
    scale: float = 1.0

    @property
    def width(self) -> int:
        """How many inputs the model has."""
        return sum(column.width for column in self.columns)

    def slices(self) -> dict[str, slice]:
        """Which inputs belong to each column, by its name."""
        ends = np.cumsum([column.width for column in self.columns]).tolist()
        return {
            column.name: slice(end - column.width, end)
            for column, end in zip(self.columns, ends, strict=True)
        }

    def encode(self, frame: pd.DataFrame, rows: np.ndarray | None = None) -> np.ndarray:
        """Inputs of shape (rows, width), float32, from float64 and text columns.

        Parameters
        ----------
        rows : int array, optional
            Which rows of the frame, and in which order; by default all.

        Raises
        ------
        UsageError
            For a number that is infinite, or so far from the training rows that float32 cannot
            hold it.
        """
        inputs = np.empty((len(frame) if rows is None else len(rows), self.width), np.float32)
        inside = self.slices()
        for column in self.columns:  # one at a time: no second copy of the table in memory
            values = frame[column.name].to_numpy()
            encoded = column.encode(values if rows is None else values[rows])
            if not np.isfinite(encoded).all():
                raise UsageError(
                    f"column {column.name!r} holds a number that is infinite, or beyond float32 in "
                    "standard deviations of the training rows: correct it, or empty the cell"
                )
            inputs[:, inside[column.name]] = encoded
        return inputs

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same encoding."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Encoding:
        """The encoding that `to_json` described."""
        columns = [_column_from_json(column) for column in fields["columns"]]
        return cls(tuple(columns), float(fields["center"]), float(fields["scale"]))


def fit_number_column(name: str, values: np.ndarray) -> NumberColumn:
    """The median, mean and standard deviation of a column; the scale of a constant one is 1."""
    known = values[~np.isnan(values)]
    fill = float(np.median(known)) if len(known) else 0.0
    filled = fill_missing(values, fill)
    mean, variance = float(filled.mean()), float(filled.var())
    # A variance that rounding alone can make is 0.
    epsilon, rows = float(np.finfo(float).eps), len(filled)
    is_constant = variance <= rows * epsilon * variance + (rows * mean * epsilon) ** 2
    return NumberColumn(name, fill, mean, 1.0 if is_constant else float(np.sqrt(variance)))


def fit_text_column(name: str, values: np.ndarray, most: int) -> TextColumn:
    """The levels of a column in alphabetical order; where they are more than `most`, the rarest
    share an input: of equally frequent ones the first.
    """
    codes, distinct = pd.factorize(values)
    amounts = np.bincount(codes[codes >= 0], minlength=len(distinct)).tolist()
    counts = dict(zip(distinct, amounts, strict=True))
    empty = int((codes < 0).sum())
    if empty:
        counts[MISSING] = counts.get(MISSING, 0) + empty
    levels = sorted(counts)
    if len(levels) <= most:
        return TextColumn(name, tuple(levels))
    rare = set(sorted(levels, key=counts.__getitem__)[: len(levels) - most + 1])
    return TextColumn(
        name,
        tuple(level for level in levels if level not in rare),
        tuple(level for level in levels if level in rare),
    )


def fill_missing(values: np.ndarray, fill: float) -> np.ndarray:
    """The numbers with `fill` in place of nan; the array itself where none is missing."""
    missing = np.isnan(values)
    return np.where(missing, fill, values) if missing.any() else values


def _column_from_json(fields: Mapping[str, Any]) -> Column:
    if "levels" in fields:
        return TextColumn(fields["name"], tuple(fields["levels"]), tuple(fields["others"]))
    return NumberColumn(*(fields[key] for key in ("name", "fill", "mean", "scale")))
