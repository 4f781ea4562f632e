"""Where data come from: what is embedded, scikit-learn's packaged sets, files, data frames."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from shrinkage.study.errors import UsageError, nearest
from shrinkage.study.spiral import spiral

PACKAGED: dict[str, Callable[..., datasets.Bunch]] = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}
NAMES = ("spiral", *PACKAGED)
SUFFIXES = (".csv", ".parquet", ".npz")


@dataclass(frozen=True)
class Source:
    """Columns as they came."""

    name: str
    frame: pd.DataFrame
    target: str | None  # the column that is the target unless another is named
    digest: str  # sha256 of the data's bytes


def read(data: str | pd.DataFrame) -> Source:
    """The columns that `data`, a name, a path or a frame, stands for.

    Raises
    ------
    UsageError
        If there is no such data set or file, or the file cannot be read.
    """
    if isinstance(data, pd.DataFrame):
        return Source("data frame", data, None, _frame_digest(data))
    if data == "spiral":
        frame = spiral()
        return Source(data, frame, "target", _frame_digest(frame))
    if data in PACKAGED:
        return _packaged(data)
    path = Path(data).expanduser()
    if not path.is_file():
        known = [*NAMES, *_neighbours(path)]
        raise UsageError(
            f"data {data!r} is no file and no data set{nearest(data, known)} "
            f"(there are {', '.join(NAMES)}; files end in {', '.join(SUFFIXES)})"
        )
    return _file(path)


def _packaged(name: str) -> Source:
    bunch = PACKAGED[name](as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch:
        frame = frame.assign(target=np.array(bunch.target_names).astype(str)[frame["target"]])
    return Source(name, frame, "target", _frame_digest(frame))


def _neighbours(path: Path) -> list[str]:
    if not path.parent.is_dir():
        return []
    return [str(path.parent / found.name) for found in path.parent.iterdir() if found.is_file()]


def _file(path: Path) -> Source:
    readers = {".csv": _csv, ".parquet": _parquet, ".npz": _npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"data {str(path)!r} must end in {', '.join(SUFFIXES)}: convert it first")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = reader(path)
    except UsageError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:  # pandas' and pyarrow's are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text; save it as such"
        raise UsageError(f"data {str(path)!r} cannot be read: {reason}") from None
    frame.columns = frame.columns.map(str)
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise UsageError(f"data {str(path)!r} has column {twice[0]!r} twice: rename one of them")
    return Source(path.name, frame, "y" if path.suffix.lower() == ".npz" else None, digest)


def _csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8") as file:
        header = file.readline()
    separator = max(",;\t", key=header.count)
    names = next(csv.reader([header.removeprefix("\ufeff")], delimiter=separator), [])
    twice = [name for name, times in Counter(map(str.strip, names)).items() if name and times > 1]
    if twice:  # pandas would rename the second one
        raise UsageError(f"data {str(path)!r} has column {twice[0]!r} twice: rename one of them")
    # A question mark for what is missing is the habit of many public tables.
    options: dict[str, Any] = {"sep": separator, "na_values": ["?"], "low_memory": False}
    frame: pd.DataFrame = pd.read_csv(path, **options)
    if separator != "," and any(map(_has_decimal_commas, map(frame.get, frame.columns))):
        frame = pd.read_csv(path, decimal=",", **options)
    return frame.rename(columns=str.strip)


def _has_decimal_commas(column: Any) -> bool:
    written = column.dropna().astype(str)
    return bool(written.str.contains(",").any()) and bool(
        written.str.fullmatch(r"\s*-?\d+(,\d+)?([eE][-+]?\d+)?\s*").all()
    )


def _parquet(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def _npz(path: Path) -> pd.DataFrame:
    with np.load(path, allow_pickle=False) as arrays:
        missing = [name for name in ("X", "y") if name not in arrays]
        if missing:
            raise UsageError(
                f"data {str(path)!r} must hold arrays X and y, got {', '.join(arrays) or 'none'}"
            )
        X, y = arrays["X"], arrays["y"]
    if X.ndim == 1:
        X = X[:, None]
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y):
        raise UsageError(
            f"data {str(path)!r} must hold X of shape (rows, features) and y of shape (rows,), "
            f"got {X.shape} and {y.shape}"
        )
    frame = pd.DataFrame(X, columns=[f"x{index}" for index in range(X.shape[1])])
    return frame.assign(y=y)


def _frame_digest(frame: pd.DataFrame) -> str:
    digest = hashlib.sha256(repr(list(frame.columns)).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
