"""The metadata in a study's file: its question, its data and its provenance."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shrinkage.study.errors import UsageError
from shrinkage.study.storage.database import damaged_message

PERMANENT = ("identity", "question", "provenance", "data")  # never change what a record means
CHECKSUM = "checksum"  # of these four


def write(connection: sqlite3.Connection, values: Mapping[str, object]) -> None:
    """Write values by key, and the checksum of the permanent ones."""
    _put(connection, {key: json.dumps(value) for key, value in values.items()})
    written = dict(connection.execute("SELECT * FROM study"))
    _put(connection, {CHECKSUM: _checksum(written)})


def read(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """The values by key; "finished" says whether the choices were made, and "features" is text,
    or None in a study of an earlier version.

    Raises
    ------
    UsageError
        If a permanent value is missing or damaged.
    """
    written = dict(connection.execute("SELECT * FROM study"))
    if CHECKSUM in written and written[CHECKSUM] != _checksum(written):
        raise UsageError(damaged_message(path, "its question does not agree with its checksum"))
    permanent = {key: _parse_json(written.get(key)) for key in PERMANENT}
    for key, value in permanent.items():
        if not isinstance(value, dict):
            raise UsageError(damaged_message(path, f"its {key} cannot be read"))
    question: Any = permanent["question"]
    kinds = {"methods": list, "strengths": list, "seeds": int}
    if not all(isinstance(question.get(key), kind) for key, kind in kinds.items()):
        raise UsageError(damaged_message(path, "its question cannot be read"))
    # "verdict" is what an earlier version wrote in place of "finished".
    ends = [_parse_json(written.get(key)) for key in ("finished", "verdict")]
    return {**permanent, "finished": any(ends), "features": written.get("features")}


def _put(connection: sqlite3.Connection, written: Mapping[str, str]) -> None:
    connection.executemany("INSERT OR REPLACE INTO study VALUES (?, ?)", list(written.items()))


def _parse_json(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _checksum(written: Mapping[str, object]) -> str:
    lasting = json.dumps([str(written.get(key)) for key in PERMANENT])
    return hashlib.sha256(lasting.encode()).hexdigest()
