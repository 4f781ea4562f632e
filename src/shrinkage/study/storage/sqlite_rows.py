"""Convert records and choices to rows of SQLite and back."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shrinkage.study.method import parse_method
from shrinkage.study.records import Choice, FeatureUse, Record, Surface, Trial, count_splits

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
        engine TEXT NOT NULL,
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
FIRST_COLUMNS = 14  # of a record in the first version of the tables, without its engine
INSERT_RECORD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_CHOICE = "INSERT INTO choices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SELECT_TRIALS = "SELECT method, strength, seed FROM records"
SELECT_RECORDS = "SELECT rowid, * FROM records"
DELETE_RECORD = "DELETE FROM records WHERE rowid = ?"
SELECT_CHOICES = "SELECT * FROM choices ORDER BY rowid"

LARGEST = 1e100  # the largest plausible measurement: its square is finite

Row = tuple[Any, ...]


def record_to_row(record: Record) -> Row:
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
        pack_arrays(record.state),
        record.engine,
    )


def row_to_record(row: Sequence[Any], question: Mapping[str, Any]) -> Record:
    """The record in a row; an error of any kind if the row is damaged."""
    if len(row) == FIRST_COLUMNS:
        row = (*row, "torch")
    method, strength, seed, *measured, history, state, engine = row
    trial = Trial(method, strength, seed)
    _check_trial(trial, question)
    values = (*measured, json.loads(history), unpack_arrays(state), engine)
    names = [field.name for field in dataclasses.fields(Record)][1:]
    record = Record(trial, **dict(zip(names, values, strict=True)))
    _check_kinds(record)
    scores = (record.train_score, record.validation_score)
    if record.status != ("ok" if None not in scores else "diverged"):
        raise ValueError(f"status {record.status!r} with scores {scores}")
    return record


def choice_to_row(choice: Choice) -> Row:
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
        None if surface is None else pack_arrays(vars(surface)),
    )


def row_to_choice(row: Sequence[Any], question: Mapping[str, Any]) -> Choice:
    """The choice in a row; an error of any kind if the row is damaged."""
    names = [field.name for field in dataclasses.fields(Choice)]
    values = dict(
        zip(names[:-1], row, strict=True)
    )  # test_error is stored together with the test scores
    if values["validation_se"] is None:
        values["validation_se"] = math.nan
    tested = json.loads(values["test_scores"])
    if isinstance(tested, list):  # a folder of an earlier version, without the error
        tested = {"scores": tested, "error": math.nan}
    values["test_scores"], values["test_error"] = tested["scores"], tested["error"]
    if values["surface"] is not None:
        values["surface"] = Surface(**unpack_arrays(values["surface"]))
    choice = Choice(**values)
    _check_trial(Trial(choice.method, choice.strength, 0), question)
    _check_kinds(choice)
    if choice.rule not in ("best", "one-se") or choice.edge not in ("", "lowest", "highest"):
        raise ValueError(f"rule {choice.rule!r}, edge {choice.edge!r}")
    return choice


def decode_records(
    rows: Sequence[Sequence[Any]], question: Mapping[str, Any]
) -> tuple[list[Record], list[int]]:
    """The sound records, and the row numbers of the damaged ones."""
    records, damaged = [], []
    for number, *row in rows:
        try:
            records.append(row_to_record(row, question))
        except MemoryError:
            raise
        except Exception:  # damaged bytes make zipfile, zlib, json and numpy raise anything
            damaged.append(number)
    return records, damaged


def decode_choices(
    rows: Sequence[Sequence[Any]], question: Mapping[str, Any]
) -> list[Choice] | None:
    """The choices that were written; None if one is damaged, since all can be made again."""
    try:
        return [row_to_choice(row, question) for row in rows]
    except MemoryError:
        raise
    except Exception:  # as for records
        return None


def decode_features(text: str | None) -> list[FeatureUse] | None:
    """The inputs of the chosen models, none in a study of an earlier version; None if damaged."""
    try:
        stored: list[dict[str, Any]] = [] if text is None else json.loads(text)
        if not isinstance(stored, list):
            raise TypeError(f"features cannot be {stored!r}")
        uses = [FeatureUse(**use) for use in stored]
        for use in uses:
            _check_kinds(use, CHECKS_OF_FEATURES)
    except MemoryError:
        raise
    except Exception:  # as for records
        return None
    return uses


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as compressed bytes: a line of JSON that says what they are, and their numbers."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    heads = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    numbers = b"".join(array.tobytes() for array in arrays.values())
    return zlib.compress(json.dumps(heads).encode() + b"\n" + numbers, level=1)


def unpack_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of `pack_arrays`; zlib verifies their checksum."""
    if data.startswith(b"PK"):
        return _unpack_zip(data)
    content = zlib.decompress(data)
    start = content.index(b"\n") + 1
    arrays = {}
    for name, kind, shape in json.loads(content[:start]):
        count = math.prod(shape)
        array = np.frombuffer(content, kind, count, start) if count else np.empty(0, kind)
        arrays[name] = array.reshape(shape).copy()
        start += array.nbytes
    return arrays


def _unpack_zip(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a compressed .npz file, as earlier versions kept them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(archive.read(name)), allow_pickle=False
            )
            for name in archive.namelist()
        }


def _check_trial(trial: Trial, question: Mapping[str, Any]) -> None:
    """Refuse a trial that is not part of the study."""
    if trial.method not in question["methods"] or trial.seed not in range(count_splits(question)):
        raise ValueError(f"{trial} is not part of the study")
    grid = [0.0] if trial.method == "none" else question["strengths"]
    if trial.strength not in grid and trial.strength != parse_method(trial.method).strength:
        raise ValueError(f"{trial} is not part of the study")


def _is_float(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= LARGEST


CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and value >= 0,
    "float": lambda value: _is_float(value) or math.isnan(value),
    "float | None": lambda value: value is None or _is_float(value),
    "list[float]": lambda value: isinstance(value, list) and all(map(_is_float, value)),
    "dict[str, list[float]]": lambda value: all(
        isinstance(curve, list) and set(map(type, curve)) <= {int, float}
        for curve in value.values()
    ),
}


CHECKS_OF_FEATURES = {
    **CHECKS,  # a slope is as large as the units of its column are small
    "float | None": lambda value: value is None or isinstance(value, int | float),
}


def _check_kinds(
    kept: Record | Choice | FeatureUse, checks: Mapping[str, Callable[[Any], bool]] = CHECKS
) -> None:
    """Refuse a field whose value does not fit its annotation, or is implausible."""
    for field in dataclasses.fields(kept):
        fits = checks.get(str(field.type))
        value = getattr(kept, field.name)
        if fits is not None and not fits(value):
            raise ValueError(f"{field.name} cannot be {value!r}")
