"""A study's folder: one SQLite file, written record by record, from which all else is made."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shrinkage.study import database, facts, rows
from shrinkage.study.choose import choose
from shrinkage.study.errors import UsageError
from shrinkage.study.identity import differences
from shrinkage.study.locking import locked, unwritable
from shrinkage.study.records import Choice, Record, Results
from shrinkage.study.verdict import verdict

FILE = "study.sqlite"


class Store:
    """The open folder of one study, held by this process alone. Made by `opened`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.unreadable = 0  # records that were taken out when the folder was opened
        self._path = folder / FILE
        self._connection = connection

    def add(self, record: Record) -> None:
        """Keep one record, in a transaction of its own.

        Raises
        ------
        StoppedError
            If the disk is full or fails; the records before this one are safe.
        """
        with database.writing(self._connection, self._path):
            self._connection.execute(rows.INSERT_RECORD, rows.from_record(record))

    def finish(self, choices: Sequence[Choice]) -> None:
        """Keep what was chosen and how it did on the test part, all of it or nothing."""
        with database.writing(self._connection, self._path):
            self._connection.execute("DELETE FROM choices")
            self._connection.executemany(rows.INSERT_CHOICE, map(rows.from_choice, choices))
            facts.write(self._connection, {"finished": True})

    def is_finished(self) -> bool:
        """Whether the choices are made."""
        with database.read_in_sentences(self._path):
            kept = facts.read(self._connection, self._path)
            choices = _choices(self._connection, kept["question"])
        return bool(kept["finished"]) and choices is not None

    def results(self) -> Results:
        """All of it, read back."""
        with database.read_in_sentences(self._path):
            return _results(self._connection, self._path)[0]

    def _take_out_unreadable(self) -> None:
        """Make room for the trials whose records are damaged: they will be run again."""
        with database.read_in_sentences(self._path):
            _, unreadable = _results(self._connection, self._path)
        if not unreadable:
            return
        with database.writing(self._connection, self._path):
            self._connection.executemany(rows.DELETE_RECORD, [(row,) for row in unreadable])
        self.unreadable = len(unreadable)

    def _describe_anew(self, described: Mapping[str, Mapping[str, object]]) -> None:
        """Write what else is asked this time, or known of the data, where that has changed."""
        with database.read_in_sentences(self._path):
            kept = facts.read(self._connection, self._path)
        now = {key: described[key] for key in ("question", "data")}
        if json.dumps(now) != json.dumps({key: kept[key] for key in now}):
            with database.writing(self._connection, self._path):
                facts.write(self._connection, now)


@contextmanager
def opened(
    folder: Path,
    identity: Mapping[str, object],
    described: Mapping[str, Mapping[str, object]],
) -> Iterator[Store]:
    """The store in `folder`, new or taken up again; what is `described` is kept when it is new.

    Raises
    ------
    UsageError
        If the folder cannot be written, is in use by another process, holds another study, or
        holds a file that is no study or is damaged.
    """
    path = folder / FILE
    try:
        if (folder / "report.html").exists() and not path.exists():
            raise UsageError(
                f"out {str(folder)!r} holds a report.html and no study: name another folder, so "
                "that it is not written over"
            )
        database.check(path)
    except OSError as error:
        raise UsageError(unwritable(folder, error)) from None
    with locked(folder), closing(_connected(path)) as connection:
        with database.read_in_sentences(path):
            begun = database.is_begun(connection, path)
        if not begun:
            _begin(connection, path, {"identity": identity, **described})
        with database.read_in_sentences(path):
            there = facts.read(connection, path)["identity"]
        if there != identity:
            raise UsageError(
                f"out {str(folder)!r} holds another study, different in "
                f"{differences(there, identity)}: name another folder, or delete that one"
            )
        store = Store(folder, connection)
        store._take_out_unreadable()
        store._describe_anew(described)
        yield store


def load(folder: str | Path) -> Results:
    """The study in `folder`, finished or not, without training anything.

    A damaged record is left out, with a warning.

    Raises
    ------
    UsageError
        If there is no study in `folder`, or its file is damaged.
    """
    path = Path(folder) / FILE
    with database.read_in_sentences(path):
        if not path.is_file():
            raise UsageError(f"folder {str(folder)!r} holds no study: there is no {FILE} in it")
        with closing(database.connect(path)) as connection:
            if not database.is_begun(connection, path):
                raise UsageError(f"folder {str(folder)!r} holds a study with nothing in it yet")
            results, unreadable = _results(connection, path)
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} damaged records of {str(path)!r} are left out: the same compare "
            "command runs these trials again",
            stacklevel=2,
        )
    return results


def _connected(path: Path) -> sqlite3.Connection:
    """A connection to write through."""
    with database.read_in_sentences(path):
        connection = database.connect(path, create=True)
        # A transaction is on the disk when it has ended, and a kill at any moment leaves it whole.
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def _begin(
    connection: sqlite3.Connection, path: Path, described: Mapping[str, Mapping[str, object]]
) -> None:
    """Make the tables of a new study and write down its question, all of it or nothing."""
    with database.writing(connection, path):
        for statement in rows.TABLES:
            connection.execute(statement)
        facts.write(connection, described)


def _results(connection: sqlite3.Connection, path: Path) -> tuple[Results, list[int]]:
    """The study as it is there, and the row numbers of the records that cannot be read."""
    kept = facts.read(connection, path)
    question = kept["question"]
    records, unreadable = _records(connection, question)
    choices = _choices(connection, question)
    results = Results(
        question=question,
        provenance=kept["provenance"],
        data=kept["data"],
        records=records,
        choices=choices or choose(records, question["seeds"]),
        verdict="",
    )
    if kept["finished"] and choices is not None:
        results = replace(results, verdict=verdict(results))
    return results, unreadable


def _records(
    connection: sqlite3.Connection, question: Mapping[str, Any]
) -> tuple[list[Record], list[int]]:
    """The records in the order of the question, and the row numbers of those that are damaged."""
    records, unreadable = [], []
    for number, *row in connection.execute(rows.SELECT_RECORDS):
        try:
            records.append(rows.to_record(row, question))
        except MemoryError:
            raise
        except Exception:  # whatever damaged bytes lead zipfile, zlib, json and numpy to say
            unreadable.append(number)
    place = {method: index for index, method in enumerate(question["methods"])}
    records.sort(key=lambda r: (place[r.trial.method], r.trial.strength, r.trial.seed))
    return records, unreadable


def _choices(connection: sqlite3.Connection, question: Mapping[str, Any]) -> list[Choice] | None:
    """The choices that were kept; None if one of them is damaged, as all can be made again."""
    try:
        return [rows.to_choice(row, question) for row in connection.execute(rows.SELECT_CHOICES)]
    except (MemoryError, sqlite3.Error):
        raise
    except Exception:  # as for records
        return None
