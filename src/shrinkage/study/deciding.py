"""How the columns of a table are to be read: decided from all cells, and never by the target.

The cells of a column are judged together: "03/04/2021" is a day or a month, "1,500" a thousand or
a fraction by what the column's other cells can be, and where these leave it open, by what the
other columns are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
from pandas.api import types

from shrinkage.study.cells import CURRENCY, Number, number
from shrinkage.study.columns import (
    TRUTH,
    all_plain,
    cells,
    is_hole,
    moments,
    plain_numbers,
    type_kind,
)
from shrinkage.study.errors import UsageError
from shrinkage.study.moments import EPOCH, days, seconds
from shrinkage.study.readings import Reading, joined, listed

ODD = 5  # different texts that are taken for holes among numbers, at most
MOSTLY = 0.9  # share of the cells that are numbers then, at least
FEW = 20  # and so many distinct numbers, or more: fewer may be codes
TRUE_FALSE = "true is 1 and false is 0"
NESTED = (list, tuple, dict, set, frozenset, np.ndarray, pd.Series, pd.DataFrame)
COMPLEX = re.compile(r"\(?[-+]?[\d.]+(e[-+]?\d+)?[-+][\d.]+(e[-+]?\d+)?[ij]\)?", re.IGNORECASE)
PARTIAL = re.compile(rf"{CURRENCY}|%|")  # units that some of a column's cells may lack

# The readings that a column's cells allow, by what they would prove of the table: "." or "," is
# its decimal mark, "day" or "month" comes first in its dates; "" proves nothing.
Choices = Mapping[str, Reading]
Counts = Counter[str]  # how many rows have each text


def decided(frame: pd.DataFrame, mark: str = ".") -> dict[str, Reading]:
    """How each column is read; `mark` is the decimal mark where no column shows it.

    Raises
    ------
    UsageError
        For a column of complex numbers.
    """
    choices = {str(name): _choices(str(name), frame[name]) for name in frame.columns}
    proven = {next(iter(one)) for one in choices.values() if len(one) == 1}
    marks, orders = proven & {".", ","}, proven & {"day", "month"}
    mark = marks.pop() if len(marks) == 1 else mark
    order = orders.pop() if len(orders) == 1 else "day" if mark == "," else "month"
    return {name: _settled(one, (mark, order)) for name, one in choices.items()}


def _settled(choices: Choices, preferred: Sequence[str]) -> Reading:
    if len(choices) == 1:
        return next(iter(choices.values()))
    return next(choices[key] for key in preferred if key in choices)


def _choices(name: str, column: pd.Series) -> Choices:
    kind = type_kind(column)
    _refuse_complex(name, column)
    if column.isna().all():
        return {"": Reading(name, "empty")}
    if kind == "text":
        nested = _nested_type(column)
        if nested:
            done = f"its cells are of type {nested}: spread them over columns of their own"
            return {"": Reading(name, "nested", done=done)}
        return _choices_of_text(name, column)
    if kind == "date":
        first = (moments(column).min() - pd.Timestamp(0)).total_seconds() / 86400
        return {"": _dated(Reading(name, kind), first)}
    done = {"truth": TRUE_FALSE, "duration": "durations in seconds"}.get(kind, "")
    return {"": Reading(name, kind, done=done)}


def _refuse_complex(name: str, column: pd.Series) -> None:
    is_complex = types.is_complex_dtype(column) or (
        column.dtype == object
        and any(isinstance(cell, complex | np.complexfloating) for cell in column)
    )
    if is_complex:
        raise _complex(name)


def _complex(name: str) -> UsageError:
    return UsageError(
        f"column {name!r} holds complex numbers: write the real and the imaginary part, or the "
        "modulus and the angle, as columns of their own"
    )


def _nested_type(column: pd.Series) -> str:
    """The type of cells that hold several values, or bytes that are no text; "" for others."""
    if isinstance(column.dtype, pd.StringDtype):
        return ""
    return next((type(cell).__name__ for cell in column if _is_nested(cell)), "")


def _is_nested(cell: object) -> bool:
    if isinstance(cell, bytes):
        try:
            cell.decode()
        except UnicodeDecodeError:
            return True
    return isinstance(cell, NESTED)


def _choices_of_text(name: str, column: pd.Series) -> Choices:
    plain = all_plain(column)
    if plain is not None and np.isfinite(plain).any():
        distinct = [cell for cell in map(str.strip, column.dropna().unique().tolist()) if cell]
        if days(distinct[0], "digits") is None:
            return _plain_choices(Reading(name, "number"), distinct)
    codes, distinct = cells(column)
    amounts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    counts: Counter[str] = Counter()
    words: set[str] = set()
    for text, amount in zip(distinct, amounts.tolist(), strict=True):
        if is_hole(text):
            words.add(text)
        else:
            counts[text] += amount
    base = Reading(name, "text", done=_means_missing(sorted(words - {""})))
    if not counts:
        return {"": Reading(name, "empty")}
    if isinstance(column.dtype, pd.CategoricalDtype):
        return {"": base}
    if len(counts) >= 3 and all(days(cell, "digits") is not None for cell in counts):
        return {"": _dated(replace(base, kind="date", order="digits"), _first(counts, "digits"))}
    if plain_numbers(list(counts)) is not None:
        return _plain_choices(base, list(counts))
    if all(cell.lower() in TRUTH for cell in counts):
        return {"": replace(base, kind="truth", done=joined(TRUE_FALSE, base.done))}
    if all(COMPLEX.fullmatch(cell) for cell in counts):
        raise _complex(name)
    return _written_choices(base, counts)


def _plain_choices(base: Reading, distinct: Sequence[str]) -> Choices:
    """Numbers that any program reads; points may still part thousands if the table's do."""
    zeros = any(cell[0] == "0" and len(cell) > 1 and cell.isdigit() for cell in distinct)
    done = joined("leading zeros are left out", base.done) if zeros else base.done
    plain = replace(base, kind="number", done=done)
    if not any("." in cell for cell in distinct):
        return {"": plain}
    if not all(number(cell, ",") for cell in distinct):
        return {".": plain}
    counts = Counter(distinct)
    return {".": plain, ",": _either({",": _numeric(base, counts, ",")}, counts)[","]}


def _written_choices(base: Reading, counts: Counts) -> Choices:
    """Numbers, dates and durations as people write them; what fits best, else text."""
    fits: dict[tuple[str, str], list[str]] = {}
    for kind, key, read in _readers():
        misfits = _misfits(counts, read)
        if misfits is not None and (kind != "number" or _has_one_unit(counts, read)):
            fits[kind, key] = misfits
    if not fits:
        return {"": replace(base, done=_mixed(base, counts))}
    least = min(map(len, fits.values()))
    best = {key: misfits for key, misfits in fits.items() if len(misfits) == least}
    kind = next(iter(best))[0]
    forms = [form for own, form in best if own == kind]
    made = {form: _made(base, counts, kind, form, best[kind, form]) for form in forms}
    if kind == "number" and len(forms) == 2:
        return _either(made, counts)
    if kind == "date" and len(made) == 2 and "." in str(next(iter(counts))):
        made.pop("month", None)  # with points, the day comes first everywhere
    return made if kind != "duration" else {"": made[""]}


Read = Callable[[str], object]


def _readers() -> Iterator[tuple[str, str, Read]]:
    yield "number", ".", partial(number, mark=".")
    yield "number", ",", partial(number, mark=",")
    for order in ("iso", "day", "month", "name", "quarter"):
        yield "date", order, partial(days, order=order)
    yield "duration", "", seconds


def _misfits(counts: Counts, read: Read) -> list[str] | None:
    """The texts that `read` cannot read, or None if these are too many to be holes."""
    misfits: list[str] = []
    for cell in counts:
        if read(cell) is None:
            misfits.append(cell)
            if len(misfits) > ODD:
                return None
    lost = sum(counts[cell] for cell in misfits)
    is_rare = lost <= (1 - MOSTLY) * counts.total() and len(counts) - len(misfits) > FEW
    return misfits if is_rare or not misfits else None


def _has_one_unit(counts: Counts, read: Read) -> bool:
    """Whether the numbers have one unit; words such as kg stand beside each but 0."""
    found = [one for cell in counts if isinstance(one := read(cell), Number)]
    units = {one.unit for one in found if one.unit or one.value}
    named = units - {""}
    return len(named) <= 1 and (len(units) <= 1 or all(map(PARTIAL.fullmatch, named)))


def _either(made: Choices, counts: Counts) -> Choices:
    """The readings by both decimal marks with an example; one of them if they are the same."""
    differing = next((one for one in counts if number(one, ".") != number(one, ",")), None)
    if differing is None:
        return {"": made["."]}
    told = {}
    for mark, reading in made.items():
        read = number(differing, mark)
        is_usual = mark == "." and "," not in differing
        told_as = "" if is_usual or read is None else f"{differing!r} is read as {read.value:.12g}"
        told[mark] = replace(reading, done=joined(reading.done, told_as))
    return told


def _made(base: Reading, counts: Counts, kind: str, form: str, odd: Sequence[str]) -> Reading:
    if odd:
        words = _means_missing(sorted(odd))
        base = replace(base, holes=tuple(odd), done=joined(base.done, words))
    if kind == "number":
        return _numeric(base, counts, form)
    if kind == "duration":
        return replace(base, kind=kind, done=joined("durations in seconds", base.done))
    read = replace(base, kind=kind, order=form)
    if form in ("day", "month"):
        order = "day, month, year" if form == "day" else "month, day, year"
        example = next(cell for cell in counts if cell not in odd)
        read = replace(read, done=joined(f"{example!r} is read as {order}", base.done))
    return _dated(read, _first(counts, form))


def _numeric(base: Reading, counts: Counts, mark: str) -> Reading:
    found = {cell: one for cell in counts if (one := number(cell, mark)) is not None}
    styles = frozenset().union(*(one.style for one in found.values()))
    unit = max((one.unit for one in found.values()), default="")
    lacking = sum(not one.unit and one.value != 0 for one in found.values())
    clauses = []
    left_out = [
        *(["thousands separators"] if "thousands" in styles else []),
        *([unit] if unit else []),
    ]
    if left_out:
        clauses.append(f"{' and '.join(left_out)} left out")
    if unit and lacking:
        clauses.append(f"{unit} is lacking in {lacking} different cells, which are taken alike")
    if mark == "," and any("," in cell for cell in found):
        clauses.append("commas are decimal marks")
    if "parentheses" in styles:
        clauses.append("numbers in parentheses are below 0")
    if "scale" in styles:
        clauses.append("K, M and B are thousands, millions and billions")
    done = joined(f"read as numbers, {'; '.join(clauses)}" if clauses else "", base.done)
    return replace(base, kind="number", mark=mark, unit=unit, done=done)


def _dated(reading: Reading, first: float) -> Reading:
    origin = (EPOCH + timedelta(days=np.floor(first))).date().isoformat()
    return replace(reading, origin=origin, done=joined(f"days since {origin}", reading.done))


def _first(counts: Counts, order: str) -> float:
    return min(day for cell in counts if (day := days(cell, order)) is not None)


def _means_missing(words: Sequence[str]) -> str:
    if not words:
        return ""
    quoted = ", ".join(map(repr, words))
    return f"{quoted} {'means' if len(words) == 1 else 'mean'} missing"


def _mixed(base: Reading, counts: Counts) -> str:
    """What to say of a text column most of whose cells are numbers."""
    others = [cell for cell in counts if number(cell) is None and number(cell, ",") is None]
    amount = counts.total() - sum(counts[cell] for cell in others)
    units = sorted({one.unit for cell in counts if (one := number(cell)) and one.unit})
    if not others and len(units) > 1 and all(map(PARTIAL.fullmatch, units)):
        return joined(
            f"text, as its numbers have units of several kinds: {listed(units[:4])}", base.done
        )
    if len(counts) <= FEW or 2 * amount < counts.total() or not others:
        return base.done
    shown = ", ".join(map(repr, others[:3]))
    clause = f"text, though {amount} of its {counts.total()} cells are numbers: not so {shown}"
    return joined(clause, base.done)
