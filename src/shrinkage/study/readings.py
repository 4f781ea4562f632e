"""How each column was read: one plain record a column, and the sentences that tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """How one column of a table is read, and what became of it.

    The fields from `mark` on say how its cells are written. They are decided once, from all rows
    and without the target, and `shrinkage.study.columns.values` reads another table's column by
    them again.
    """

    name: str
    kind: str  # a key of KINDS
    role: str = "feature"  # "feature", "target", "subject" or "left out"
    missing: int = 0  # rows without a value
    levels: int = 0  # different texts; 0 for numbers
    done: str = ""  # what was done to the cells, or why the column is left out; "" as written
    mark: str = "."  # the decimal mark
    unit: str = ""  # what stands beside the numbers: "$", "%", "kg"
    order: str = ""  # of dates: "iso", "day", "month", "name", "digits" or "quarter"
    origin: str = ""  # of dates: the day from which days are counted, as YYYY-MM-DD
    holes: tuple[str, ...] = ()  # texts that mean missing in this column alone


def told(readings: Sequence[Reading]) -> list[str]:
    """A sentence for each thing that was done, with the names of all columns it was done to."""
    left_out: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for reading in readings:
        if reading.done and reading.role == "left out":
            left_out.setdefault(reading.done, []).append(reading.name)
        elif reading.done:
            changed.setdefault(reading.done, []).append(reading.name)
    return [
        *(f"left out {named(names)}: {reason}" for reason, names in left_out.items()),
        *(f"{named(names)}: {done}" for done, names in changed.items()),
    ]


def summarized(readings: Sequence[Reading], most: int = 8) -> list[str]:
    """A line for each kind of feature: the names of the first columns, their holes and levels."""
    lines = []
    for kind, word in KINDS.items():
        own = [one for one in readings if one.kind == kind and one.role == "feature"]
        if own:
            shown = ", ".join(_brief(one) for one in own[:most])
            more = f" and {len(own) - most} more" if len(own) > most else ""
            lines.append(f"{word}: {shown}{more}")
    return lines


def named(names: Iterable[str]) -> str:
    """The names of columns in a sentence: column 'a'; columns 'a', 'b' and 'c'."""
    quoted = [repr(name) for name in names]
    return f"column{'s' if len(quoted) > 1 else ''} {listed(quoted)}"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence: a; a, b and c."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def joined(*clauses: str) -> str:
    """Clauses of one sentence, without the empty ones."""
    return "; ".join(clause for clause in clauses if clause)


def _brief(reading: Reading) -> str:
    facts = [f"{reading.levels} levels"] if reading.levels else []
    facts += [f"{reading.missing} missing"] if reading.missing else []
    return f"{reading.name} ({', '.join(facts)})" if facts else reading.name
