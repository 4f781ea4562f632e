"""Rows of text as a table, for a terminal and for a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from typing import Any

Rows = Sequence[Sequence[str]]  # the first row has the names of the columns


def rows_of(kind: type[Any], items: Iterable[Any]) -> list[tuple[str, ...]]:
    """The fields of a dataclass as a table's rows, under their names."""
    head = tuple(field.name.replace("_", " ") for field in fields(kind))
    return [head, *(tuple(map(str, astuple(item))) for item in items)]


def align(rows: Rows) -> str:
    """Cells one below the other, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def to_html(rows: Rows) -> str:
    """A table for notebooks, which give it the colours of the page, light or dark.

    They put the cells of a row to the right, as numbers want it; columns of text go to the left.

    >>> to_html([("name", "zeros"), ("a<b", "3")])[:53]
    '<table><thead><tr><th style="text-align:left">name</t'
    """
    head, *body = rows
    columns = list(zip(*body, strict=True)) or [()] * len(head)
    styles = [
        "" if all(map(_is_number, column)) else ' style="text-align:left"' for column in columns
    ]

    def render(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{style}>{html.escape(cell)}</{tag}>"
            for cell, style in zip(cells, styles, strict=True)
        )

    lines = "".join(f"<tr>{render(row, 'td')}</tr>" for row in body)
    return f"<table><thead><tr>{render(head, 'th')}</tr></thead><tbody>{lines}</tbody></table>"


def to_paragraphs(lines: Iterable[str]) -> str:
    """Sentences for notebooks; those that are empty are left out."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines if line)


def _is_number(text: str) -> bool:
    """Whether a cell is a number, perhaps with ± another, a per cent sign or commas."""
    first = text.partition(" ± ")[0].rstrip("%").replace(",", "")
    try:
        float(first or 0)
    except ValueError:
        return text == "–"
    return True
