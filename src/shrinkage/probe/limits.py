"""How long a probe may take, and how long a message of foreign code may be."""

from __future__ import annotations

TIMEOUT = 60.0  # seconds on the clock
MOST = 160  # characters of a message of foreign code


def shorten(text: object) -> str:
    """The first line of `text`, at a length that fits a row."""
    line = next(iter(str(text).strip().splitlines()), "")
    return line if len(line) <= MOST else f"{line[:MOST]}…"
