"""Write texts so that a file is either complete or untouched, and say why one cannot be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from shrinkage.atomic_file import draft_beside, replace_file
from shrinkage.study.errors import StoppedError, UsageError, is_full


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to a draft beside `path`, then move it into place.

    Raises
    ------
    StoppedError
        If the disk is full; what was at `path` is untouched.
    UsageError
        If the folder cannot be written, or `path` is a folder or a device.
    """
    try:
        _refuse_other_than_file(path)
        with replace_file(path) as draft:
            draft.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        if is_full(error):
            raise StoppedError(
                f"the disk is full: {str(path)!r} was not written; make room and run again"
            ) from None
        raise UsageError(_unwritable_message(path, error)) from None


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as a CSV file, as `write_atomically` does a text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue())


def check_writable(path: Path) -> None:
    """Refuse a path at which `write_atomically` could not write, before the work is done.

    Raises
    ------
    UsageError
    """
    try:
        _refuse_other_than_file(path)
        draft = draft_beside(path)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise UsageError(_unwritable_message(path, error)) from None


def _refuse_other_than_file(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{str(path)!r} is a device or a pipe; name a file")


def _unwritable_message(path: Path, error: OSError) -> str:
    return f"{str(path)!r} cannot be written: {error.strerror or error}"
