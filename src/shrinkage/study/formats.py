"""Files of each format become columns as they came: nothing is judged here."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shrinkage.study.delimited import from_text
from shrinkage.study.errors import UsageError
from shrinkage.study.rectangles import NoTableError, Row, framed, is_blank


@dataclass(frozen=True)
class Content:
    """What a file holds."""

    frame: pd.DataFrame
    remarks: tuple[str, ...] = ()
    mark: str = "."  # the decimal mark where the cells leave it open
    target: str | None = None  # the column that is the target unless another is named


def _unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [
            one for one in archive.namelist() if not one.endswith("/") and "__MACOSX" not in one
        ]
        if len(members) != 1:
            raise NoTableError(f"it must hold one file, and holds {len(members)}")
        return archive.read(members[0])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zip": _unzipped,
}
FAULTS = (  # pandas' and pyarrow's are ValueErrors
    OSError,
    EOFError,
    ValueError,
    KeyError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


def content(path: Path) -> Content:
    """The columns of a file, by the ending of its name.

    Raises
    ------
    UsageError
        For an ending that is not known, and a file that cannot be read.
    """
    endings = [ending.lower() for ending in path.suffixes]
    packed = PACKED.get(endings[-1]) if endings else None
    ending = (endings[-2:-1] if packed else endings[-1:]) or [""]
    reader = READERS.get(ending[0])
    if reader is None:
        raise UsageError(
            f"data {str(path)!r} must end in {', '.join(SUFFIXES)}, perhaps followed by "
            f"{', '.join(PACKED)}: convert it first"
        )
    try:
        own = path.read_bytes()
        return reader(packed(own) if packed else own)
    except ImportError as error:
        raise UsageError(
            f"data {str(path)!r} cannot be read without {error.name or 'openpyxl'}: pip install "
            f"{error.name or 'openpyxl'}, or save it as .csv"
        ) from None
    except FAULTS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"data {str(path)!r} cannot be read: {reason}") from None


def from_arrays(X: object, y: object) -> pd.DataFrame:
    """A frame of the features X, as x0, x1 ... unless they have names, and the target y.

    Raises
    ------
    NoTableError
        For shapes other than (rows, features) and (rows,).
    """
    features: Any = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    target = np.asarray(y)
    if features.ndim == 1:
        features = features[:, None]
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if features.ndim != 2 or target.ndim != 1 or len(features) != len(target):
        raise NoTableError(
            "X must have the shape (rows, features) and y the shape (rows,), "
            f"got {features.shape} and {target.shape}"
        )
    if isinstance(features, pd.DataFrame):
        return features.assign(y=target)
    names = [f"x{index}" for index in range(features.shape[1])]
    return pd.DataFrame(features, columns=names).assign(y=target)


def _text(own: bytes) -> Content:
    frame, remarks, mark = from_text(own)
    return Content(frame, tuple(remarks), mark)


def _parquet(own: bytes) -> Content:
    return Content(pd.read_parquet(io.BytesIO(own)))


def _feather(own: bytes) -> Content:
    return Content(pd.read_feather(io.BytesIO(own)))


def _json(own: bytes) -> Content:
    """A list of records, or columns by name."""
    return _from_json(json.loads(own))


def _json_lines(own: bytes) -> Content:
    return _from_json([json.loads(line) for line in own.splitlines() if line.strip()])


def _from_json(found: Any) -> Content:
    parts = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(parts, list) or not all(isinstance(part, list | dict) for part in parts):
        raise NoTableError("it must be a list of records, or lists by the names of columns")
    return Content(pd.DataFrame(found, dtype=object))


def _npz(own: bytes) -> Content:
    arrays = np.load(io.BytesIO(own), allow_pickle=False)
    if isinstance(arrays, np.ndarray):
        raise NoTableError("it is one array: save X and y with numpy.savez")
    missing = [name for name in ("X", "y") if name not in arrays]
    if missing:
        raise NoTableError(f"it must hold arrays X and y, got {', '.join(arrays) or 'none'}")
    return Content(from_arrays(arrays["X"], arrays["y"]), target="y")


def _sheets(own: bytes) -> Content:
    """The first sheet that has cells; the others are named."""
    with warnings.catch_warnings():  # openpyxl's, of styles and validations
        warnings.simplefilter("ignore")
        sheets = pd.read_excel(
            io.BytesIO(own),
            sheet_name=None,
            header=None,
            dtype=object,
            na_filter=False,
            engine="openpyxl",
        )
    filled = [name for name, sheet in sheets.items() if sheet.size]
    if not filled:
        raise NoTableError("it has no cells")
    frame, remarks = framed(_rows(sheets[filled[0]]), "object")
    if len(filled) > 1:
        others = ", ".join(map(repr, map(str, filled[1:])))
        remarks.append(f"its first sheet, {str(filled[0])!r}, is read, and not {others}")
    return Content(frame, tuple(remarks))


def _rows(sheet: pd.DataFrame) -> Iterable[Row]:
    """The rows of a sheet that have a cell, each without the blank ones at its end."""
    for line, cells in enumerate(sheet.itertuples(index=False, name=None), 1):
        if not all(map(is_blank, cells)):
            yield line, cells


READERS: dict[str, Callable[[bytes], Content]] = {
    ".csv": _text,
    ".parquet": _parquet,
    ".npz": _npz,
    ".tsv": _text,
    ".xlsx": _sheets,
    ".json": _json,
    ".jsonl": _json_lines,
    ".feather": _feather,
}
SUFFIXES = tuple(READERS)
