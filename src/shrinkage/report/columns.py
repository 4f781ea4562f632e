"""How the columns of the data were read, as a table."""

from __future__ import annotations

from shrinkage.report.text import escaped
from shrinkage.study.readings import KINDS, Reading
from shrinkage.study.records import Results
from shrinkage.study.wording import MISSING, count

MOST = 300  # columns in the table; those to which something was done come first


def columns_table(results: Results) -> str:
    """A row for each column: its kind, its holes, its levels and what was done to it."""
    readings = sorted(results.readings, key=lambda reading: not reading.done)
    if not readings:
        return ""
    more = len(readings) - MOST
    rest = f"<p>{count(more, 'more column')}, read as written.</p>\n" if more > 0 else ""
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Column", "Role", "Kind", "Missing", "Levels", "What was done")
    )
    rows = "\n".join(map(_row, readings[:MOST]))
    return (
        "<h3>How the columns were read</h3>\n"
        '<div class="scroll" tabindex="0" role="region" aria-label="How the columns were read">\n'
        f'<table class="readings">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n'
        f"</table>\n</div>\n{rest}"
    )


def _row(reading: Reading) -> str:
    cells = (
        reading.role,
        KINDS.get(reading.kind, reading.kind),
        f"{reading.missing:,}" if reading.missing else MISSING,
        f"{reading.levels:,}" if reading.levels else MISSING,
    )
    shown = "".join(f"<td>{escaped(cell)}</td>" for cell in cells)
    return (
        f"<tr><td><code>{escaped(reading.name)}</code></td>{shown}"
        f'<td class="reason">{escaped(reading.done or "as written")}</td></tr>'
    )
