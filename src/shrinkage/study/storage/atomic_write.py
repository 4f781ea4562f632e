"""Files that are whole or not there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from shrinkage.study.errors import StoppedError, UsageError, is_full


def write_atomically(path: Path, text: str) -> None:
    """Write `text` beside `path`, then put it in its place.

    Raises
    ------
    StoppedError
        If the disk is full; what stood at `path` stands there still.
    UsageError
        If the folder cannot be written, or at `path` is something else than a file.
    """
    try:
        real, draft = _resolve_paths(path)
        try:
            draft.write_text(text, encoding="utf-8", errors="backslashreplace")
            os.replace(draft, real)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        if is_full(error):
            raise StoppedError(
                f"the disk is full: {str(path)!r} was not written; make room and run again"
            ) from None
        raise UsageError(_unwritable_message(path, error)) from None


def check_writable(path: Path) -> None:
    """Refuse a path at which `write_whole` could not write, before the work is done.

    Raises
    ------
    UsageError
    """
    try:
        _, draft = _resolve_paths(path)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise UsageError(_unwritable_message(path, error)) from None


def _resolve_paths(path: Path) -> tuple[Path, Path]:
    """The file itself, which a link only names, and where it is written until it is whole."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")
    if real.exists() and not real.is_file():
        raise UsageError(f"{str(path)!r} is a device or a pipe; name a file")
    return real, real.with_name(f".{real.name}.draft")


def _unwritable_message(path: Path, error: OSError) -> str:
    return f"{str(path)!r} cannot be written: {error.strerror or error}"
