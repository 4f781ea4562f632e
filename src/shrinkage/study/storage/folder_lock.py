"""Lock a study's folder, so that only one process writes it at a time."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from shrinkage.study.errors import UsageError
from shrinkage.study.storage.database import REMEDY, is_locked

LOCK = "study.lock"
WAIT = 0.2  # seconds, as `is_in_use` holds the lock for a moment


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create and lock the folder; the system releases the lock when the process ends.

    Raises
    ------
    UsageError
        If the folder cannot be written, or another process holds it.
    """
    with closing(_acquire_lock(folder)):
        yield


def is_in_use(folder: Path) -> bool:
    """Whether a process holds the folder's lock."""
    path = folder / LOCK
    if not path.is_file():
        return False
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("SELECT * FROM sqlite_master")
        except sqlite3.Error as error:
            return is_locked(error)
    return False


def check_free(folder: Path) -> None:
    """Refuse what `lock_folder` would refuse; nothing is made.

    Raises
    ------
    UsageError
    """
    try:
        ground = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not (ground.is_dir() and os.access(ground, os.W_OK)):
            number = errno.EACCES if ground.is_dir() else errno.ENOTDIR
            raise OSError(number, os.strerror(number))
    except OSError as error:
        raise UsageError(unwritable_message(folder, error)) from None
    if is_in_use(folder):
        raise _in_use_error(folder)


def _acquire_lock(folder: Path) -> sqlite3.Connection:
    """A connection that holds the lock on the lock file and writes nothing into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / LOCK, timeout=WAIT, isolation_level=None)
    except (OSError, ValueError, sqlite3.Error) as error:  # ValueError: a null character
        raise UsageError(unwritable_message(folder, error)) from None
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if is_locked(error):
            raise _in_use_error(folder) from None
        if isinstance(error, sqlite3.OperationalError):
            raise UsageError(unwritable_message(folder, error)) from None
        raise UsageError(
            f"{str(folder / LOCK)!r} is no lock of shrinkage ({error}): {REMEDY}"
        ) from None
    return lock


def unwritable_message(folder: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"out {str(folder)!r} cannot be written ({reason}): name another folder"


def _in_use_error(folder: Path) -> UsageError:
    return UsageError(
        f"out {str(folder)!r} is in use by another shrinkage compare: wait for it, or name "
        "another folder"
    )
