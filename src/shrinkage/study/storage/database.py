"""The SQLite file of a study: it is opened only if it is one, and every error is a sentence."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from shrinkage.study.errors import StoppedError, UsageError, is_full
from shrinkage.study.storage import sqlite_rows

APPLICATION = 0x73686B67  # "shkg", which SQLite's header keeps to name the program of a file
VERSION = 2  # of the tables; in the first, records have no engine
TIMEOUT = 30.0  # seconds to wait while another program holds the file
FULL = "the disk is full"
REMEDY = "move it away, or name another folder"


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; nothing is created unless `create` says so."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=TIMEOUT,
        isolation_level=None,
        check_same_thread=False,  # records are written by a thread, while no other uses it
    )
    # A damaged text must not make other rows unreadable; it is noticed by its value.
    connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection to a file that is created where there is none.

    A finished transaction is on the disk, and a kill at any moment leaves it whole or undone.
    """
    with explain_read_errors(path):
        connection = connect(path, create=True)
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def has_study(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds a study; False where it is empty.

    Raises
    ------
    UsageError
        If the file belongs to another program, to another version of shrinkage, or is damaged.
    """
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    present, expected = list_tables(connection), _expected_tables()
    if version < VERSION and present.get("records", ["engine"])[-1] != "engine":
        present["records"].append("engine")
    if application not in (0, APPLICATION) or (application == 0 and version):
        raise UsageError(_foreign_message(path))
    if version > VERSION:
        raise UsageError(_newer_message(path))
    if not present:
        return False
    if present != expected:
        if all(set(expected[name]) <= set(present.get(name, ())) for name in expected):
            raise UsageError(_newer_message(path))
        raise UsageError(
            damaged_message(path, "tables are missing") if application else _foreign_message(path)
        )
    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise UsageError(damaged_message(path, str(state).splitlines()[-1]))
    return True


def check_file(path: Path) -> None:
    """Refuse an existing file that is not a study, before anything is written beside it."""
    if not path.exists():
        return
    if not path.is_file():
        raise UsageError(f"{str(path)!r} is no file: {REMEDY}")
    with explain_read_errors(path), closing(connect(path)) as connection:
        has_study(connection, path)


def list_tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of every table and view, by its name."""
    query = (
        "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c "
        "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "ORDER BY m.name, c.cid"
    )
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(query):
        columns.setdefault(table, []).append(column)
    return columns


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Write in one transaction, which also marks the file as a study.

    Raises
    ------
    StoppedError
        If the disk is full or fails, or another program holds the file.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.Error, OSError, OverflowError) as error:  # OverflowError: more than 2 GB
        raise StoppedError(_write_error_message(path, error)) from None


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read what is stored at one moment, while another process may be writing.

    The writer waits for the end of the block, which should do nothing else than read.
    """
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):  # a file that cannot be read has ended the transaction
            connection.execute("ROLLBACK")


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file at `path` into a UsageError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise UsageError(_read_error_message(path, error)) from None


def damaged_message(path: Path, reason: str) -> str:
    return f"{str(path)!r} is damaged ({reason}), and was left as it is: {REMEDY}"


def is_locked(error: Exception) -> bool:
    return "is locked" in str(error)


@functools.cache
def _expected_tables() -> dict[str, list[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in sqlite_rows.TABLES:
            connection.execute(statement)
        return list_tables(connection)


def _foreign_message(path: Path) -> str:
    return f"{str(path)!r} is the database of another program, and no study: {REMEDY}"


def _newer_message(path: Path) -> str:
    return (
        f"{str(path)!r} was made by a later version of shrinkage: install that, or name another "
        "folder"
    )


def _locked_message(path: Path) -> str:
    return (
        f"{str(path)!r} is locked by another program, such as a database browser: close it there "
        "and run the same command again"
    )


def _read_error_message(path: Path, error: Exception) -> str:
    if is_locked(error):
        return _locked_message(path)
    if isinstance(error, OSError) or any(
        words in str(error) for words in ("unable to open", "I/O error", "readonly", "is full")
    ):
        return f"{str(path)!r} cannot be read ({error}): see to its disk, or name another folder"
    return f"{str(path)!r} cannot be opened as a study ({error}): {REMEDY}"


def _write_error_message(path: Path, error: Exception) -> str:
    folder = str(path.parent)
    if is_full(error):
        return (
            f"{FULL}: {folder!r} keeps the records so far; make room and run the same "
            "command again to go on"
        )
    if is_locked(error):
        return _locked_message(path)
    return (
        f"{str(path)!r} cannot be written any more ({error}): the records so far are kept in it; "
        "see to its folder and run the same command again to go on"
    )
