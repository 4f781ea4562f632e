"""Every penalty of the library, by the names under which others find it.

A penalty enters itself, by `register` over its class. The text form, the exports, the table in
docs/penalties.md and the tests' tables are read from here, in the order in which the package
imports its modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Kind = TypeVar("Kind", bound=type)

KINDS: dict[str, type] = {}  # by the name of the class
NAMES: dict[type, str] = {}  # in the text form: "l1" of "l1:1e-4"


def register(text_name: str | None = None) -> Callable[[Kind], Kind]:
    """Enter a penalty; without `text_name` it has no text form."""

    def enter(kind: Kind) -> Kind:
        KINDS[kind.__name__] = kind
        if text_name is not None:
            NAMES[kind] = text_name
        return kind

    return enter
