"""Tables as HTML: plain ones, and ones that the reader can sort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shrinkage.figures.labels import is_number
from shrinkage.figures.style import Style
from shrinkage.report.page_text import escape

Columns = Sequence[tuple[str, str]]  # names and kinds, "text" or "number"


def render_table(label: str, names: Iterable[str], rows: Iterable[str], *, kind: str) -> str:
    """A table that scrolls sideways on small screens; `rows` are HTML and `kind` is its class."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return _render(label, heads, rows, kind)


def render_sortable_table(
    label: str,
    columns: Columns,
    rows: Iterable[str],
    remark: str,
    *,
    kind: str = "",
    sorted_by: str = "",
    ascending: bool = False,
) -> str:
    """A table that can be sorted by each column; `rows` and the columns' names are HTML.

    The remark stands below.
    """
    order = f' aria-sort="{"ascending" if ascending else "descending"}"'
    heads = "".join(
        f'<th scope="col" class="{column_kind}" data-kind="{column_kind}"'
        f"{order if name == sorted_by else ''}>"
        f'<button type="button">{name}</button></th>'
        for name, column_kind in columns
    )
    table = _render(label, heads, rows, f"sortable {kind}".strip())
    return f'{table}\n<p class="remark">{escape(remark)}</p>'


def render_row_head(name: str, style: Style) -> str:
    """The head of a row that belongs to a method; a long name wraps after ":" or before "@"."""
    breakable = escape(name).replace(":", ":<wbr>").replace("@", "<wbr>@")
    return (
        f'<th scope="row" data-value="{escape(name)}" style="{style.css}">'
        f'<span class="swatch"></span><code>{breakable}</code></th>'
    )


def render_text_cell(text: str) -> str:
    """A cell that shows text and is sorted by it."""
    return f'<td class="text" data-value="{escape(text)}">{escape(text)}</td>'


def render_number_cell(value: float | None, content: str, title: str = "") -> str:
    """A cell that is sorted by `value` and shows `content`, which is HTML."""
    key = repr(float(value)) if value is not None and is_number(value) else ""
    hint = f' title="{escape(title)}"' if title else ""
    return f'<td class="number" data-value="{key}"{hint}>{content}</td>'


def _render(label: str, heads: str, rows: Iterable[str], css_class: str) -> str:
    body = "\n".join(rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">\n'
        f'<table class="{css_class}">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )
