"""Rows of a dataclass as a table, for a terminal and for a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Any


def as_columns(kind: type[Any], rows: Sequence[Any]) -> str:
    """Aligned columns under the names of the fields."""
    return align([_head(kind), *map(astuple, rows)])


def align(rows: Sequence[Sequence[str]]) -> str:
    """Cells one below the other, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_html_table(kind: type[Any], rows: Sequence[Any]) -> str:
    """A table for notebooks under the names of the fields."""
    head = "".join(f"<th>{name}</th>" for name in _head(kind))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in astuple(row)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _head(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name.replace("_", " ") for field in fields(kind))
