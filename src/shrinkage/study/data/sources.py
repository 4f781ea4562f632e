"""Where data come from: the built-in sets, those of scikit-learn, files, data frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shrinkage.study.data.column_values import kind_of_type
from shrinkage.study.data.formats import SUFFIXES, frame_from_arrays, read_file
from shrinkage.study.data.generated import make_friedman, make_spiral
from shrinkage.study.data.rows_to_frame import NoTableError
from shrinkage.study.errors import UsageError, suggest

GENERATED: dict[str, Callable[[], pd.DataFrame]] = {
    "friedman": make_friedman,
    "spiral": make_spiral,
}
PACKAGED = ("digits", "breast_cancer", "wine", "iris", "diabetes")  # in scikit-learn
NAMES = (*GENERATED, *PACKAGED)


@dataclass(frozen=True)
class Source:
    """Columns before any interpretation: those of a text file are text."""

    name: str
    frame: pd.DataFrame
    target: str | None  # the column that is the target unless another is named
    digest: str  # sha256 of the data's bytes
    notes: tuple[str, ...] = ()  # remarks on the file
    mark: str = "."  # the decimal mark where the cells leave it open


def read_source(data: Any) -> Source:
    """The columns that `data` stands for.

    Parameters
    ----------
    data : str, path, data frame or pair
        The name of a data set, the path of a file, a frame of pandas (or of polars and others
        that have `to_pandas`), or two arrays (X, y).

    Raises
    ------
    UsageError
        If there is no such data set or file, or the file cannot be read.
    """
    if not isinstance(data, str | Path):
        return _from_memory(data)
    name = str(data)
    if name in GENERATED:
        frame = GENERATED[name]()
        return Source(name, frame, "target", _hash_frame(frame))
    if name in PACKAGED:
        return _load_packaged(name)
    path = Path(name).expanduser()
    if not path.is_file():
        known = [*NAMES, *_list_neighbours(path)]
        raise UsageError(
            f"data {name!r} is no file and no data set{suggest(name, known)} "
            f"(there are {', '.join(NAMES)}; files end in {', '.join(SUFFIXES)})"
        )
    content = read_file(path)
    frame, notes = _normalize_names(content.frame, f"data {str(path)!r}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(
        path.name, frame, content.target, digest, (*content.remarks, *notes), content.mark
    )


def _load_packaged(name: str) -> Source:
    from sklearn import datasets  # takes a second, which a prediction can do without

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch:
        frame = frame.assign(target=np.array(bunch.target_names).astype(str)[frame["target"]])
    return Source(name, frame, "target", _hash_frame(frame))


def _list_neighbours(path: Path) -> list[str]:
    if not path.parent.is_dir():
        return []
    return [
        str(path.parent / neighbour.name)
        for neighbour in path.parent.iterdir()
        if neighbour.is_file()
    ]


def _from_memory(data: Any) -> Source:
    to_pandas = getattr(data, "to_pandas", None)
    target = None
    if callable(to_pandas):
        data = to_pandas()
    if isinstance(data, tuple) and len(data) == 2:
        try:
            data, target = frame_from_arrays(*data), "y"
        except NoTableError as error:
            raise UsageError(f"data: {error}") from None
    if not isinstance(data, pd.DataFrame):
        raise UsageError(
            "data must be a name, a path, a data frame or a pair of arrays (X, y), got "
            f"{type(data).__name__}"
        )
    frame, notes = _normalize_names(data, "data frame")
    return Source("data frame", frame, target, _hash_frame(frame), notes)


def _normalize_names(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The frame with text as column names and numbered rows, and notes on what that left out."""
    notes: tuple[str, ...] = ()
    if any(name is not None for name in frame.index.names):
        index = ", ".join(repr(str(name)) for name in frame.index.names)
        notes = (f"the frame's index {index} is no column: reset_index() makes it one",)
    if isinstance(frame.columns, pd.MultiIndex):
        names = ["_".join(str(part) for part in name if str(part)) for name in frame.columns]
    else:
        names = list(map(str, frame.columns))
    frame = frame.set_axis(names, axis="columns").reset_index(drop=True)
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise UsageError(f"{source} has column {repeated[0]!r} twice: rename one of them")
    return frame, notes


def _type_name(column: pd.Series) -> str:
    """The kind of a column by its type; categories are hashed like their texts."""
    return "category" if isinstance(column.dtype, pd.CategoricalDtype) else kind_of_type(column)


def _hash_frame(frame: pd.DataFrame) -> str:
    kinds = [(name, _type_name(column)) for name, column in frame.items()]
    digest = hashlib.sha256(repr(kinds).encode())
    try:
        cells = pd.util.hash_pandas_object(frame, index=False)
    except (TypeError, ValueError):  # lists, dictionaries and long doubles have no hash
        objects = [name for name in frame.columns if frame[name].dtype in (object, np.longdouble)]
        cells = pd.util.hash_pandas_object(
            frame.assign(**{name: frame[name].map(repr) for name in objects}), index=False
        )
    digest.update(cells.to_numpy().tobytes())
    return digest.hexdigest()
