"""The files of a path: path.csv, features.csv and path.json, each whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shrinkage.study.errors import UsageError
from shrinkage.study.path.results import PathResults
from shrinkage.study.storage.atomic_write import check_writable, write_atomically, write_rows

FORMAT = 1
FILES = ("path.csv", "features.csv", "path.json")


def prepare_folder(out: Path, files: Sequence[str] = (*FILES, "path.html")) -> None:
    """Make the folder, and refuse one that cannot be written, before the work is done.

    Raises
    ------
    UsageError
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"out {str(out)!r} is a file: name a folder") from None
    except OSError as error:
        raise UsageError(f"out {str(out)!r} cannot be made: {error.strerror or error}") from None
    for name in files:
        check_writable(out / name)


def write_files(results: PathResults, out: Path) -> None:
    """Write the tables, the record and the model; the same results give the same files."""
    write_rows(out / "path.csv", _path_rows(results))
    write_rows(out / "features.csv", _feature_rows(results))
    text = json.dumps(to_json(results), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(out / "path.json", text + "\n")
    results.model.save(out / "model")


def to_json(results: PathResults) -> dict[str, Any]:
    """The results as JSON can hold them: null for what is no number."""
    fields = {
        each.name: getattr(results, each.name)
        for each in dataclasses.fields(results)
        if each.name != "model"
    }
    plain = _to_plain(fields)
    assert isinstance(plain, dict)
    return {"format": FORMAT, "selected": [*results.selected], **plain}


def _to_plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _path_rows(results: PathResults) -> Iterable[Sequence[object]]:
    yield (
        "strength",
        "inputs",
        "score",
        "error",
        "model",
        "shrunk_score",
        "choice",
        "entering",
        "leaving",
        "kept",
    )
    for place, point in enumerate(results.points):
        marks = [("best", results.best), ("one-se", results.chosen)]
        yield (
            point.strength,
            len(point.kept),
            point.score,
            "" if math.isnan(point.error) else point.error,
            "relaxed" if point.relaxed_steps else "shrunk",
            "" if math.isnan(point.shrunk_score) else point.shrunk_score,
            " ".join(name for name, where in marks if where == place),
            *("; ".join(names) for names in (point.entering, point.leaving, point.kept)),
        )


def _feature_rows(results: PathResults) -> Iterable[Sequence[object]]:
    yield ("feature", "kept", "entering_strength", "stability", "norm", "columns")
    for each in rank_inputs(results):
        blank = ("" if number is None else number for number in (each.entering, each.stability))
        yield (each.name, int(each.is_kept), *blank, each.norm, each.columns)


def rank_inputs(results: PathResults) -> list[Any]:
    """The kept inputs first, then by entering strength, the earliest first."""
    return sorted(
        results.inputs,
        key=lambda each: (not each.is_kept, -(each.entering or 0.0), -(each.stability or 0.0)),
    )
