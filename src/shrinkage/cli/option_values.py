"""The values of options: numbers, folders, files for pages, and words to complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from shrinkage.study.errors import UsageError

MOST = 40  # characters of a wrong value that a message repeats


def parse_folder(text: str | Path) -> Path:
    if not str(text):
        raise typer.BadParameter("it is empty; name a folder")
    return Path(text)


def parse_whole(text: str) -> int:
    try:
        if len(str(text)) > MOST:
            raise ValueError("more digits than any number of things has")
        return int(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text[:MOST]!r} is no whole number; write for example 3"
        ) from None


def parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text[:MOST]!r} is no number; write for example 0.01") from None


def complete_from(*words: str) -> Callable[[str], list[str]]:
    """What a shell asks for the words that complete what was typed so far."""
    # typer finds the argument by its name.
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def check_page(path: Path, name: str = "plot") -> None:
    """Refuse a path to which no page can be written, before any work is done."""
    from shrinkage.study.storage.atomic_write import check_writable

    if path.suffix.lower() != ".html":
        raise UsageError(f"{name} must be a file that ends in .html, got {str(path)!r}")
    if not path.parent.is_dir():
        raise UsageError(f"{name} {str(path)!r}: there is no folder {str(path.parent)!r}")
    check_writable(path)
