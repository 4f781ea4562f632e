"""Records and choices as rows of SQLite, and back."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from shrinkage.study.records import Choice, Record, Surface, Trial

TABLES = (
    "CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE records (
        method TEXT, strength REAL, seed INTEGER,
        status TEXT NOT NULL, reason TEXT NOT NULL,
        train_score REAL, validation_score REAL,
        zeros REAL NOT NULL, weights INTEGER NOT NULL,
        dead_neurons INTEGER NOT NULL, neurons INTEGER NOT NULL,
        seconds REAL NOT NULL,
        history TEXT NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (method, strength, seed)
    )""",
    """CREATE TABLE choices (
        method TEXT, rule TEXT, strength REAL NOT NULL, edge TEXT NOT NULL,
        validation_mean REAL NOT NULL, validation_se REAL,
        test_scores TEXT NOT NULL,
        zeros REAL NOT NULL, dead_neurons REAL NOT NULL, neurons INTEGER NOT NULL,
        seconds REAL NOT NULL,
        surface BLOB,
        PRIMARY KEY (method, rule)
    )""",
)
INSERT_RECORD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_CHOICE = "INSERT INTO choices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SELECT_RECORDS = "SELECT * FROM records"
SELECT_CHOICES = "SELECT * FROM choices ORDER BY rowid"

Row = tuple[Any, ...]


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether a study was begun in this file."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'study'")
    return found.fetchone() is not None


def from_record(record: Record) -> Row:
    return (
        record.trial.method,
        record.trial.strength,
        record.trial.seed,
        record.status,
        record.reason,
        record.train_score,
        record.validation_score,
        record.zeros,
        record.weights,
        record.dead_neurons,
        record.neurons,
        record.seconds,
        json.dumps(record.history),
        pack(record.state),
    )


def to_record(row: Row) -> Record:
    method, strength, seed, *measured, history, state = row
    values = (*measured, json.loads(history), unpack(state))
    names = [field.name for field in dataclasses.fields(Record)][1:]
    return Record(Trial(method, strength, seed), **dict(zip(names, values, strict=True)))


def from_choice(choice: Choice) -> Row:
    surface = choice.surface
    return (
        choice.method,
        choice.rule,
        choice.strength,
        choice.edge,
        choice.validation_mean,
        choice.validation_se,  # SQLite keeps nan as NULL
        json.dumps({"scores": choice.test_scores, "error": choice.test_error}),
        choice.zeros,
        choice.dead_neurons,
        choice.neurons,
        choice.seconds,
        None if surface is None else pack(vars(surface)),
    )


def to_choice(row: Row) -> Choice:
    names = [field.name for field in dataclasses.fields(Choice)]
    values = dict(zip(names[:-1], row, strict=True))  # test_error lies beside the test scores
    if values["validation_se"] is None:
        values["validation_se"] = math.nan
    tested = json.loads(values["test_scores"])
    if isinstance(tested, list):  # as it was before the error was kept
        tested = {"scores": tested, "error": math.nan}
    values["test_scores"], values["test_error"] = tested["scores"], tested["error"]
    if values["surface"] is not None:
        values["surface"] = Surface(**unpack(values["surface"]))
    return Choice(**values)


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of a compressed .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
