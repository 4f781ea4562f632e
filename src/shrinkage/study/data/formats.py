"""Read files of each format as columns, without interpreting their cells."""

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
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import feather, parquet

from shrinkage.study.data.parse_csv import parse_csv
from shrinkage.study.data.rows_to_frame import NoTableError, Row, is_blank, rows_to_frame
from shrinkage.study.errors import UsageError


@dataclass(frozen=True)
class FileContent:
    """What a file holds."""

    frame: pd.DataFrame
    remarks: tuple[str, ...] = ()
    mark: str = "."  # the decimal mark where the cells leave it open
    target: str | None = None  # the column that is the target unless another is named


def _unzip(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [
            name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name
        ]
        if len(members) != 1:
            raise NoTableError(f"it must hold one file, and holds {len(members)}")
        return archive.read(members[0])


DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zip": _unzip,
}
READ_ERRORS = (  # those of pandas and pyarrow are ValueErrors
    OSError,
    EOFError,
    ValueError,
    KeyError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


def read_file(path: Path) -> FileContent:
    """The columns of a file, by the ending of its name.

    Raises
    ------
    UsageError
        For an ending that is not known, and a file that cannot be read.
    """
    endings = [ending.lower() for ending in path.suffixes]
    packed = DECOMPRESS.get(endings[-1]) if endings else None
    ending = (endings[-2:-1] if packed else endings[-1:]) or [""]
    reader = READERS.get(ending[0])
    if reader is None:
        raise UsageError(
            f"data {str(path)!r} must end in {', '.join(SUFFIXES)}, perhaps followed by "
            f"{', '.join(DECOMPRESS)}: convert it first"
        )
    try:
        with path.open("rb") as file:
            return reader(io.BytesIO(packed(file.read())) if packed else file)
    except ImportError as error:
        raise UsageError(
            f"data {str(path)!r} cannot be read without {error.name or 'openpyxl'}: pip install "
            f"{error.name or 'openpyxl'}, or save it as .csv"
        ) from None
    except READ_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"data {str(path)!r} cannot be read: {reason}") from None


def frame_from_arrays(X: object, y: object) -> pd.DataFrame:
    """A frame of the features X, as x0, x1 ... unless they have names, and the target y.

    Raises
    ------
    NoTableError
        For shapes other than (rows, features) and (rows,), and for a sparse matrix.
    """
    if callable(getattr(X, "toarray", None)):
        raise NoTableError("X is a sparse matrix, and columns are read whole: give X.toarray()")
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


def _read_text(file: BinaryIO) -> FileContent:
    frame, remarks, mark = parse_csv(file.read())
    return FileContent(frame, tuple(remarks), mark)


def _read_parquet(file: BinaryIO) -> FileContent:
    return _from_arrow(parquet.read_table(file, pre_buffer=False))


def _read_feather(file: BinaryIO) -> FileContent:
    with warnings.catch_warnings():  # later versions of pyarrow warn of the older format's reader
        warnings.simplefilter("ignore")
        return _from_arrow(feather.read_table(file, memory_map=False))


def _from_arrow(table: pyarrow.Table) -> FileContent:
    """The columns each in memory of its own, which arrow gives up column by column."""
    with warnings.catch_warnings():  # of what versions of pyarrow and pandas think of each other
        warnings.simplefilter("ignore")
        frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    pyarrow.default_memory_pool().release_unused()
    return FileContent(frame)


def _read_json(file: BinaryIO) -> FileContent:
    """A list of records, or columns by name."""
    return _from_json(json.load(file))


def _read_json_lines(file: BinaryIO) -> FileContent:
    return _from_json([json.loads(line) for line in file if line.strip()])


def _from_json(parsed: Any) -> FileContent:
    entries = list(parsed.values()) if isinstance(parsed, dict) else parsed
    if not isinstance(entries, list) or not all(
        isinstance(entry, list | dict) for entry in entries
    ):
        raise NoTableError("it must be a list of records, or lists by the names of columns")
    return FileContent(pd.DataFrame(parsed, dtype=object))


def _read_npz(file: BinaryIO) -> FileContent:
    arrays = np.load(file, allow_pickle=False)
    if isinstance(arrays, np.ndarray):
        raise NoTableError("it is one array: save X and y with numpy.savez")
    missing = [name for name in ("X", "y") if name not in arrays]
    if missing:
        raise NoTableError(f"it must hold arrays X and y, got {', '.join(arrays) or 'none'}")
    return FileContent(frame_from_arrays(arrays["X"], arrays["y"]), target="y")


def _read_excel(file: BinaryIO) -> FileContent:
    """The first sheet that has cells; a remark names the others."""
    with warnings.catch_warnings():  # openpyxl's, of styles and validations
        warnings.simplefilter("ignore")
        sheets = pd.read_excel(
            file,
            sheet_name=None,
            header=None,
            dtype=object,
            na_filter=False,
            engine="openpyxl",
        )
    filled = [name for name, sheet in sheets.items() if sheet.size]
    if not filled:
        raise NoTableError("it has no cells")
    frame, remarks = rows_to_frame(_sheet_rows(sheets[filled[0]]), "object")
    if len(filled) > 1:
        others = ", ".join(map(repr, map(str, filled[1:])))
        remarks.append(f"its first sheet, {str(filled[0])!r}, is read, and not {others}")
    return FileContent(frame, tuple(remarks))


def _sheet_rows(sheet: pd.DataFrame) -> Iterable[Row]:
    """The rows of a sheet that have a cell which is not blank, with their line numbers."""
    for line, cells in enumerate(sheet.itertuples(index=False, name=None), 1):
        if not all(map(is_blank, cells)):
            yield line, cells


READERS: dict[str, Callable[[BinaryIO], FileContent]] = {
    ".csv": _read_text,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
    ".tsv": _read_text,
    ".xlsx": _read_excel,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".feather": _read_feather,
}
SUFFIXES = tuple(READERS)
