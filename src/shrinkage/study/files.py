"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from shrinkage.study.errors import StoppedError, UsageError


def write_whole(path: Path, text: str) -> None:
    """Write `text` beside `path`, then put it in its place.

    Raises
    ------
    StoppedError
        If the disk is full; what stood at `path` stands there still.
    UsageError
        If the folder cannot be written.
    """
    path = path.resolve()  # what a link names, not the link
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        if error.errno == errno.ENOSPC:
            raise StoppedError(
                f"the disk is full: {str(path)!r} was not written; make room and run again"
            ) from None
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None


def check_writable(path: Path) -> None:
    """Refuse a path at which `write_whole` could not write, before the work is done.

    Raises
    ------
    UsageError
    """
    draft = path.resolve().with_name(f".{path.name}.draft")
    try:
        if path.is_dir():
            raise UsageError(f"{str(path)!r} is a folder; name a file in it")
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
