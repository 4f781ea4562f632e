"""The page of laws: what the weight_decay of each optimizer does, to search and to sort."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from shrinkage.figures.labels import format_strength
from shrinkage.report.html_table import (
    render_number_cell,
    render_sortable_table,
    render_text_cell,
)
from shrinkage.report.page_frame import render_page
from shrinkage.report.page_text import escape
from shrinkage.study.formatting import MISSING, pluralize
from shrinkage.study.storage.atomic_write import write_atomically

COLUMNS = (
    ("Optimizer", "text"),
    ("What a step does", "text"),
    ("As documented?", "text"),
    ("What it converges to", "text"),
    ("Misfit", "number"),
    ("Also", "text"),
)
REMARK = (
    "wd is weight_decay, lr the learning rate at a step, lr₀ the one at the start; w is a weight "
    "before the step, at a data gradient of 0. J is the data loss plus the penalty. Misfit is the "
    "share of the observed moves that the formula leaves unexplained."
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

    Examples
    --------
    >>> import tempfile
    >>> record = {
    ...     "optimizer": "torch.optim.SGD", "law": "w ← w − lr·wd·w", "objective": "L2",
    ...     "verdict": "as documented", "also": "", "misfit": 1e-12,
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_laws([record], Path(folder) / "laws.html")
    """
    if not records:
        raise ValueError("records must hold at least one optimizer")
    rows = map(_render_row, records)
    body = (
        f'<header><h1>{escape(title)}</h1>\n<p class="facts">{escape(_count_laws(records))}</p>'
        f'</header>\n<p class="verdict">{escape(_summarize(records))}</p>\n{SEARCH}\n'
        f"{render_sortable_table('Laws', COLUMNS, rows, REMARK, kind='laws')}"
    )
    write_atomically(Path(path), render_page(title, body, []))


SEARCH = (
    '<p class="search"><label>Search <input type="search" id="search" autocomplete="off" '
    'placeholder="adam, sign, decoupled ..."></label> <output id="found"></output></p>'
)


def _render_row(record: Record) -> str:
    name, verdict = str(record["optimizer"]), str(record["verdict"])
    broken = ' class="broken"' if verdict.startswith("NOT") else ""
    breakable = escape(name).replace(".", ".<wbr>")
    misfit = _finite_or_none(record["misfit"])
    cells = [
        f'<th scope="row" data-value="{escape(name)}"><code>{breakable}</code></th>',
        render_text_cell(str(record["law"])),
        render_text_cell(verdict),
        render_text_cell(str(record["objective"])),
        render_number_cell(misfit, _format_misfit(misfit)),
        render_text_cell(str(record["also"])),
    ]
    return f"<tr{broken}>{''.join(cells)}</tr>"


def _finite_or_none(value: str | float | None) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _format_misfit(misfit: float | None) -> str:
    if misfit is None:
        return MISSING
    return "under 1e-9" if misfit < 1e-9 else format_strength(float(f"{misfit:.1g}"))


def _count_laws(records: Sequence[Record]) -> str:
    laws = {str(record["law"]) for record in records}
    return f"{pluralize(len(records), 'optimizer')} · {pluralize(len(laws), 'law')}"


def _summarize(records: Sequence[Record]) -> str:
    promised = [
        str(record["verdict"]) for record in records if "documented" in str(record["verdict"])
    ]
    broken = [verdict for verdict in promised if verdict.startswith("NOT")]
    if not promised:
        return "None of them promises anything about weight_decay."
    if not broken:
        return f"All {len(promised)} that promise something about weight_decay keep the promise."
    return (
        f"{len(broken)} of {len(promised)} do something else than their name or their "
        "documentation promises."
    )
