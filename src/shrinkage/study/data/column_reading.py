"""How each column was read: one plain record per column, and sentences that report it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shrinkage.study.formatting import pluralize

KINDS = {
    "number": "numbers",
    "truth": "truth values",
    "date": "dates",
    "duration": "durations",
    "text": "text",
    "empty": "empty",
    "nested": "nested",
}


@dataclass(frozen=True)
class Reading:
    """How one column of a table is read, and what was done to it.

    The fields from `mark` on say how its cells are written. They are inferred once, from all rows
    and without the target, so that `shrinkage.study.data.column_values.read_column` can read the
    same column of another table by them.
    """

    name: str
    kind: str  # a key of KINDS
    role: str = "feature"  # "feature", "target", "subject" or "left out"
    missing: int = 0  # rows without a value
    levels: int = 0  # distinct texts; 0 for numbers
    done: str = ""  # what was done to the cells, or why the column is left out; "" for nothing
    mark: str = "."  # the decimal mark
    unit: str = ""  # the unit beside the numbers: "$", "%", "kg"
    order: str = ""  # of dates: "iso", "day", "month", "name", "digits" or "quarter"
    origin: str = ""  # of dates: the day from which days are counted, as YYYY-MM-DD
    holes: tuple[str, ...] = ()  # texts that mean missing in this column alone


def describe_changes(readings: Sequence[Reading]) -> list[str]:
    """A sentence for each change, with the names of all columns that it was made to."""
    left_out: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for reading in readings:
        if reading.done and reading.role == "left out":
            left_out.setdefault(reading.done, []).append(reading.name)
        elif reading.done:
            changed.setdefault(reading.done, []).append(reading.name)
    return [
        *(f"left out {name_columns(names)}: {reason}" for reason, names in left_out.items()),
        *(f"{name_columns(names)}: {done}" for done, names in changed.items()),
    ]


def summarize_features(readings: Sequence[Reading], most: int = 8) -> list[str]:
    """A line for each kind of feature: its first columns, with their levels and missing values."""
    lines = []
    for kind, word in KINDS.items():
        features = [
            reading for reading in readings if reading.kind == kind and reading.role == "feature"
        ]
        if features:
            listed = ", ".join(_describe(reading) for reading in features[:most])
            more = f" and {len(features) - most} more" if len(features) > most else ""
            lines.append(f"{word}: {listed}{more}")
    return lines


def name_columns(names: Iterable[str]) -> str:
    """The names of columns in a sentence: column 'a'; columns 'a', 'b' and 'c'."""
    quoted = [repr(name) for name in names]
    return f"column{'s' if len(quoted) > 1 else ''} {join_words(quoted)}"


def join_words(words: Sequence[str]) -> str:
    """Words in a sentence: a; a, b and c."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def join_clauses(*clauses: str) -> str:
    """Clauses of one sentence, without the empty ones."""
    return "; ".join(clause for clause in clauses if clause)


def _describe(reading: Reading) -> str:
    facts = [pluralize(reading.levels, "level")] if reading.levels else []
    facts += [f"{reading.missing} missing"] if reading.missing else []
    return f"{reading.name} ({', '.join(facts)})" if facts else reading.name
