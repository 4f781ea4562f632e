"""A study's folder: one SQLite file, written record by record, from which all else is made."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shrinkage.study import rows
from shrinkage.study.choose import choose
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.identity import differences
from shrinkage.study.records import Choice, Record, Results
from shrinkage.study.verdict import verdict

FILE = "study.sqlite"
LOCK = "study.lock"
FULL = "the disk is full"


class Store:
    """The open folder of one study, held by this process alone. Made by `opened`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    def add(self, record: Record) -> None:
        """Keep one record, in a transaction of its own.

        Raises
        ------
        StoppedError
            If the disk is full; the records before this one are safe.
        """
        with _full_disk_says_so(self.folder), self._connection:
            self._connection.execute(rows.INSERT_RECORD, rows.from_record(record))

    def finish(self, choices: Sequence[Choice]) -> None:
        """Keep what was chosen and how it did on the test part, all of it or nothing."""
        with _full_disk_says_so(self.folder), self._connection:
            self._connection.execute("DELETE FROM choices")
            self._connection.executemany(rows.INSERT_CHOICE, map(rows.from_choice, choices))
            _write(self._connection, {"finished": True})

    def is_finished(self) -> bool:
        """Whether the choices are made."""
        return _is_finished(_read(self._connection))

    def results(self) -> Results:
        """All of it, read back."""
        return _results(self._connection)


@contextmanager
def opened(
    folder: Path,
    identity: Mapping[str, object],
    facts: Mapping[str, Mapping[str, object]],
) -> Iterator[Store]:
    """The store in `folder`, new or taken up again; `facts` are kept when it is new.

    Raises
    ------
    UsageError
        If the folder cannot be written, is in use by another process, holds another study, or
        holds a file that is no study.
    """
    if (folder / "report.html").exists() and not (folder / FILE).exists():
        raise UsageError(
            f"out {str(folder)!r} holds a report.html and no study: name another folder, so that "
            "it is not written over"
        )
    with _locked(folder), closing(_connect(folder / FILE)) as connection:
        with _full_disk_says_so(folder):
            _begin(connection, identity, facts)
        there = _read(connection)["identity"]
        if there != identity:
            raise UsageError(
                f"out {str(folder)!r} holds another study, different in "
                f"{differences(there, identity)}: name another folder, or delete that one"
            )
        with _full_disk_says_so(folder), connection:  # what else is asked or known this time
            _write(connection, {key: facts[key] for key in ("question", "data")})
        yield Store(folder, connection)


def _begin(
    connection: sqlite3.Connection,
    identity: Mapping[str, object],
    facts: Mapping[str, Mapping[str, object]],
) -> None:
    """Make the tables of a new study and write down its question, all of it or nothing."""
    if rows.has_tables(connection):
        return
    with connection:
        connection.execute("BEGIN")
        for statement in rows.TABLES:
            connection.execute(statement)
        _write(connection, {"identity": identity, **facts})


def load(folder: str | Path) -> Results:
    """The study in `folder`, finished or not, without training anything.

    Raises
    ------
    UsageError
        If there is no study in `folder`.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise UsageError(f"folder {str(folder)!r} holds no study: there is no {FILE} in it")
    with closing(_connect(path)) as connection:
        if not rows.has_tables(connection):
            raise UsageError(f"folder {str(folder)!r} holds a study with nothing in it yet")
        return _results(connection)


def _results(connection: sqlite3.Connection) -> Results:
    kept = _read(connection)
    question = kept["question"]
    place = {method: index for index, method in enumerate(question["methods"])}
    records = sorted(
        map(rows.to_record, connection.execute(rows.SELECT_RECORDS)),
        key=lambda r: (place[r.trial.method], r.trial.strength, r.trial.seed),
    )
    choices = [rows.to_choice(row) for row in connection.execute(rows.SELECT_CHOICES)]
    results = Results(
        question=question,
        provenance=kept["provenance"],
        data=kept["data"],
        records=records,
        choices=choices or choose(records, question["seeds"]),
        verdict="",
    )
    return replace(results, verdict=verdict(results)) if _is_finished(kept) else results


def _is_finished(kept: Mapping[str, object]) -> bool:
    return bool(kept.get("finished") or kept.get("verdict"))  # earlier versions kept its words


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=10)
        # The journal beside the file survives any kill and works on every file system.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{str(path)!r} cannot be opened as a study: {error}") from None
    return connection


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: an exclusive lock, which the system lifts when the process is gone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    except OSError as error:
        raise UsageError(_unwritable(folder, error.strerror)) from None
    except sqlite3.OperationalError as error:
        raise UsageError(_unwritable(folder, error)) from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise UsageError(_unwritable(folder, error)) from None
            raise UsageError(
                f"out {str(folder)!r} is in use by another shrinkage compare: "
                "wait for it, or name another folder"
            ) from None
        yield


def _unwritable(folder: Path, reason: object) -> str:
    return f"out {str(folder)!r} cannot be written ({reason}): name another folder"


@contextmanager
def _full_disk_says_so(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if "full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
            raise StoppedError(
                f"{FULL}: {str(folder)!r} keeps the records so far; make room and run the same "
                "command again to go on"
            ) from None
        raise


def _read(connection: sqlite3.Connection) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in connection.execute("SELECT * FROM study")}


def _write(connection: sqlite3.Connection, values: Mapping[str, object]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO study VALUES (?, ?)",
        [(key, json.dumps(value)) for key, value in values.items()],
    )
