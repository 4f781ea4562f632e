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
        """Inputs of shape (rows, 1), float64."""
        filled = np.where(np.isnan(values), self.fill, values)
        return np.asarray(((filled - self.mean) / self.scale)[:, None])


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
        """Inputs of shape (rows, width), float64."""
        filled = [value if value == value else MISSING for value in values]
        place = {level: index for index, level in enumerate(self.levels)}
        place |= dict.fromkeys(self.others, len(self.levels))
        inputs = np.zeros((len(filled), self.width))
        for row, value in enumerate(filled):
            if value in place:
                inputs[row, place[value]] = 1.0
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

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Inputs of shape (rows, width), float32, from float64 and text columns.

        Raises
        ------
        UsageError
            For a number that is infinite, or so far from the training rows that float32 cannot
            hold it.
        """
        parts = [column.encode(frame[column.name].to_numpy()) for column in self.columns]
        with np.errstate(over="ignore"):
            inputs = np.concatenate(parts, axis=1).astype(np.float32)
        bad = np.asarray(~np.isfinite(inputs).all(axis=0))
        if bad.any():
            name = next(name for name, inside in self.slices().items() if bad[inside].any())
            raise UsageError(
                f"column {name!r} holds a number that is infinite, or beyond float32 in standard "
                "deviations of the training rows: correct it, or empty the cell"
            )
        return inputs

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same encoding."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Encoding:
        """The encoding that `to_json` described."""
        columns = [_column_from_json(column) for column in fields["columns"]]
        return cls(tuple(columns), float(fields["center"]), float(fields["scale"]))


def _column_from_json(fields: Mapping[str, Any]) -> Column:
    if "levels" in fields:
        return TextColumn(fields["name"], tuple(fields["levels"]), tuple(fields["others"]))
    return NumberColumn(*(fields[key] for key in ("name", "fill", "mean", "scale")))
