"""The page of laws: what the weight_decay of each optimizer does, to search and to sort."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from shrinkage.report.page import render
from shrinkage.report.table import column_head, number_cell, sortable, text_cell
from shrinkage.report.text import escaped, strength
from shrinkage.study.files import write_whole
from shrinkage.study.wording import MISSING, count

COLUMNS = (
    ("Optimizer", "text"),
    ("What a step does", "text"),
    ("As documented?", "text"),
    ("Where it rests", "text"),
    ("Misfit", "number"),
    ("Also", "text"),
)
REMARK = (
    "wd is weight_decay, lr the learning rate at a step, lr₀ the one at the start; w is a weight "
    "before the step, at a data gradient of 0. J is the data loss and the penalty. Misfit: the "
    "share of what was seen that the formula leaves unexplained."
)
Record = Mapping[str, str | float | None]


def write_laws(
    records: Sequence[Record], path: Path, *, title: str = "What weight_decay does"
) -> None:
    """Write a page with a row for each optimizer, that can be searched and sorted.

    Parameters
    ----------
    records : sequence of mappings
        Each with "optimizer", "law", "objective", "verdict", "also" (text) and "misfit" (a number,
        or None).
    path : Path
        The page opens offline. It appears whole or not at all.
    title : str

    Raises
    ------
    ValueError
        For no records.
    """
    if not records:
        raise ValueError("records must hold at least one optimizer")
    heads = "".join(column_head(name, kind) for name, kind in COLUMNS)
    rows = "\n".join(_row(record) for record in records)
    body = (
        f'<header><h1>{escaped(title)}</h1>\n<p class="facts">{escaped(_facts(records))}</p>'
        f'</header>\n<p class="verdict">{escaped(_verdict(records))}</p>\n{SEARCH}\n'
        f"{sortable('Laws', heads, rows, REMARK, kind='laws')}"
    )
    write_whole(Path(path), render(title, body, []))


SEARCH = (
    '<p class="search"><label>Search <input type="search" id="search" autocomplete="off" '
    'placeholder="adam, sign, decoupled ..."></label> <output id="found"></output></p>'
)


def _row(record: Record) -> str:
    name, verdict = str(record["optimizer"]), str(record["verdict"])
    broken = ' class="broken"' if verdict.startswith("NOT") else ""
    breakable = escaped(name).replace(".", ".<wbr>")
    misfit = _number(record["misfit"])
    cells = [
        f'<th scope="row" data-value="{escaped(name)}"><code>{breakable}</code></th>',
        text_cell(str(record["law"])),
        text_cell(verdict),
        text_cell(str(record["objective"])),
        number_cell(misfit, _written(misfit)),
        text_cell(str(record["also"])),
    ]
    return f"<tr{broken}>{''.join(cells)}</tr>"


def _number(value: str | float | None) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _written(misfit: float | None) -> str:
    if misfit is None:
        return MISSING
    return "under 1e-9" if misfit < 1e-9 else strength(float(f"{misfit:.1g}"))


def _facts(records: Sequence[Record]) -> str:
    laws = {str(record["law"]) for record in records}
    return f"{count(len(records), 'optimizer')} · {count(len(laws), 'law')}"


def _verdict(records: Sequence[Record]) -> str:
    promised = [
        str(record["verdict"]) for record in records if "documented" in str(record["verdict"])
    ]
    broken = [verdict for verdict in promised if verdict.startswith("NOT")]
    if not promised:
        return "Nothing is known to be promised of them."
    if not broken:
        return f"All {len(promised)} of which something is known to be promised keep it."
    return f"{len(broken)} of {len(promised)} do something else than their name or their text says."
