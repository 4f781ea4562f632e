"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
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
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise StoppedError(
                f"the disk is full: {str(path)!r} was not written; make room and run again"
            ) from None
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
