"""Write files so that they are either complete or untouched."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

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
    """The file itself, with symbolic links resolved, and the draft beside it."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name a file in it")
    if real.exists() and not real.is_file():
        raise UsageError(f"{str(path)!r} is a device or a pipe; name a file")
    return real, real.with_name(f".{real.name}.draft")


def _unwritable_message(path: Path, error: OSError) -> str:
    return f"{str(path)!r} cannot be written: {error.strerror or error}"
