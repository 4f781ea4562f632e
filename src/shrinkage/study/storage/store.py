"""A study's folder: one SQLite file, written record by record; everything else is made from it."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.identity import check_same
from shrinkage.study.recommending import find_recommended
from shrinkage.study.records import Choice, FeatureUse, Record, Trial
from shrinkage.study.results import Results
from shrinkage.study.scores import find_metric
from shrinkage.study.storage import database, metadata, sqlite_rows
from shrinkage.study.storage.folder_lock import check_free, lock_folder, unwritable_message
from shrinkage.study.unfinished import choose_so_far
from shrinkage.study.verdict import write_verdict
from shrinkage.user_warning import warn_user

FILE = "study.sqlite"


class Store:
    """The open folder of one study, locked by this process. Made by `open_store`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.damaged = 0  # how many records were removed when the folder was opened
        self._path = folder / FILE
        self._connection = connection
        self._records: list[Record] = []  # what the file holds, which no other process changes

    def add(self, *records: Record) -> None:
        """Write a record, or several, in one transaction.

        Raises
        ------
        StoppedError
            If the disk is full or fails; the records before this one are safe.
        """
        with database.transaction(self._connection, self._path):
            self._connection.executemany(
                sqlite_rows.INSERT_RECORD, map(sqlite_rows.record_to_row, records)
            )
        self._records += records

    def finish(self, choices: Sequence[Choice], features: Sequence[FeatureUse] = ()) -> None:
        """Write the choices with their test scores, and their inputs, in one transaction."""
        with database.transaction(self._connection, self._path):
            self._connection.execute("DELETE FROM choices")
            self._connection.executemany(
                sqlite_rows.INSERT_CHOICE, map(sqlite_rows.choice_to_row, choices)
            )
            uses = [dataclasses.asdict(use) for use in features]
            metadata.write(self._connection, {"finished": True, "features": uses})

    def is_finished(self) -> bool:
        """Whether the choices and their inputs are written, and none is damaged."""
        with database.explain_read_errors(self._path):
            stored = metadata.read(self._connection, self._path)
            rows = self._connection.execute(sqlite_rows.SELECT_CHOICES).fetchall()
            choices = sqlite_rows.decode_choices(rows, stored["question"])
            features = sqlite_rows.decode_features(stored["features"])
        return bool(stored["finished"]) and choices is not None and features is not None

    def read_results(self) -> Results:
        """The whole study, read back."""
        with database.explain_read_errors(self._path):
            return _read_results(self._connection, self._path, self._records)[0]

    def _read_records(self) -> None:
        """Read the records; damaged ones are deleted, so that their trials run again."""
        with database.explain_read_errors(self._path):
            question = metadata.read(self._connection, self._path)["question"]
            rows = self._connection.execute(sqlite_rows.SELECT_RECORDS).fetchall()
        self._records, damaged = sqlite_rows.decode_records(rows, question)
        if not damaged:
            return
        with database.transaction(self._connection, self._path):
            self._connection.executemany(sqlite_rows.DELETE_RECORD, [(row,) for row in damaged])
        self.damaged = len(damaged)

    def _update_metadata(self, metadata_values: Mapping[str, Mapping[str, object]]) -> None:
        """Write the preference and what is known of the data, where they have changed."""
        with database.explain_read_errors(self._path):
            stored = metadata.read(self._connection, self._path)
        current = {key: metadata_values[key] for key in ("question", "data")}
        if json.dumps(current) != json.dumps({key: stored[key] for key in current}):
            with database.transaction(self._connection, self._path):
                metadata.write(self._connection, current)


@contextmanager
def open_store(
    folder: Path,
    identity: Mapping[str, object],
    metadata_values: Mapping[str, Mapping[str, object]],
) -> Iterator[Store]:
    """The store in `folder`, created or continued; the metadata is written where it is new.

    Raises
    ------
    UsageError
        If the folder cannot be written, is in use by another process, holds another study, or
        holds a file that is no study or is damaged.
    """
    path = folder / FILE
    _check_files(folder)
    with lock_folder(folder), closing(database.connect_to_write(path)) as connection:
        with database.explain_read_errors(path):
            exists = database.has_study(connection, path)
        if not exists:
            _create_study(connection, path, {"identity": identity, **metadata_values})
        with database.explain_read_errors(path):
            check_same(folder, metadata.read(connection, path)["identity"], identity)
        store = Store(folder, connection)
        store._read_records()
        store._update_metadata(metadata_values)
        yield store


def find_recorded(folder: Path, identity: Mapping[str, object]) -> set[Trial]:
    """The trials that the folder has records of; nothing is made or changed.

    Raises
    ------
    UsageError
        If `open_store` would refuse the folder.
    """
    _check_files(folder)
    check_free(folder)
    path = folder / FILE
    if not path.exists():
        return set()
    with database.explain_read_errors(path), closing(database.connect(path)) as connection:
        if not database.has_study(connection, path):
            return set()
        check_same(folder, metadata.read(connection, path)["identity"], identity)
        return {Trial(*row) for row in connection.execute(sqlite_rows.SELECT_TRIALS)}


def _check_files(folder: Path) -> None:
    """Refuse a folder that holds what is no study."""
    path = folder / FILE
    try:
        if (folder / "report.html").exists() and not path.exists():
            raise UsageError(
                f"out {str(folder)!r} holds a report.html but no study: name another folder, so "
                "that the report is not overwritten"
            )
        database.check_file(path)
    except OSError as error:
        raise UsageError(unwritable_message(folder, error)) from None


def load(folder: str | Path) -> Results:
    """The study in `folder`, finished or not, without training anything.

    Damaged records, and damaged inputs of the chosen models, are left out, with a warning.

    Raises
    ------
    UsageError
        If there is no study in `folder`, or its file is damaged.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    shrinkage.study.errors.UsageError: folder 'nowhere' holds no study: ...

    After ``results = compare("digits", out="mine")``, in another process::

        results = load("mine")
    """
    with _open_to_read(Path(folder)) as connection:
        results, losses = _read_results(connection, Path(folder) / FILE)
    for loss in losses:
        warn_user(loss)
    return results


def read_metadata(folder: Path) -> dict[str, Any]:
    """The permanent metadata of a study.

    Raises
    ------
    UsageError
        As `load` does.
    """
    with _open_to_read(folder) as connection:
        stored = metadata.read(connection, folder / FILE)
    return {key: stored[key] for key in metadata.PERMANENT}


def read_share(folder: Path) -> tuple[dict[str, Any], list[Record], int]:
    """The permanent metadata of a study, its records, and how many are damaged and left out.

    Raises
    ------
    UsageError
        As `load` does.
    """
    with _open_to_read(folder) as connection:
        stored = metadata.read(connection, folder / FILE)
        rows = connection.execute(sqlite_rows.SELECT_RECORDS).fetchall()
    records, damaged = sqlite_rows.decode_records(rows, stored["question"])
    return {key: stored[key] for key in metadata.PERMANENT}, records, len(damaged)


@contextmanager
def _open_to_read(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FILE
    with database.explain_read_errors(path):
        if not path.is_file():
            raise UsageError(f"folder {str(folder)!r} holds no study: there is no {FILE} in it")
        with closing(database.connect(path)) as connection:
            if not database.has_study(connection, path):
                raise UsageError(f"folder {str(folder)!r} holds a study that is still empty")
            yield connection


def _create_study(
    connection: sqlite3.Connection, path: Path, metadata_values: Mapping[str, Mapping[str, object]]
) -> None:
    """Create the tables of a new study and write its metadata, in one transaction."""
    with database.transaction(connection, path):
        for statement in sqlite_rows.TABLES:
            connection.execute(statement)
        metadata.write(connection, metadata_values)


def _read_results(
    connection: sqlite3.Connection, path: Path, known: Sequence[Record] | None = None
) -> tuple[Results, list[str]]:
    """The study as it is stored at one moment, and a sentence for each kind of damage in it.

    `known` are its records where they were read before.
    """
    with database.snapshot(connection):
        stored = metadata.read(connection, path)
        query = sqlite_rows.SELECT_RECORDS
        record_rows = connection.execute(query).fetchall() if known is None else []
        choice_rows = connection.execute(sqlite_rows.SELECT_CHOICES).fetchall()
    question = stored["question"]
    records, damaged = sqlite_rows.decode_records(record_rows, question)
    place = {method: index for index, method in enumerate(question["methods"])}
    records = sorted(
        records if known is None else known,
        key=lambda r: (place[r.trial.method], r.trial.strength, r.trial.seed),
    )
    choices = sqlite_rows.decode_choices(choice_rows, question)
    features = sqlite_rows.decode_features(stored["features"])
    metric = find_metric(question.get("metric"), stored["data"].get("task", "classes"))
    results = Results(
        question=question,
        provenance=stored["provenance"],
        data=stored["data"],
        records=records,
        choices=choices or choose_so_far(records, question, metric),
        verdict="",
        features=features or [],
        folder=path.parent,
    )
    if stored["finished"] and choices is not None:
        results = replace(
            results, verdict=write_verdict(results), recommended=find_recommended(results)
        )
    return results, list(_describe_losses(path, len(damaged), are_inputs_lost=features is None))


def _describe_losses(path: Path, records: int, *, are_inputs_lost: bool) -> Iterator[str]:
    again = "left out: the same compare command"
    if records:
        damaged = pluralize(records, "damaged record")
        yield f"{damaged} of {str(path)!r} {again} runs these trials again"
    if are_inputs_lost:
        yield (
            f"the inputs of the chosen models in {str(path)!r} are damaged and {again} finds them "
            "again"
        )
