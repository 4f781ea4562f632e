"""Pages of documentation: their blocks of code, run one after the other, and what these print.

A block of ``text`` directly below a block of Python is what that prints; ``...`` stands for what
differs from run to run. A page whose blocks need more than a quick test says so in a comment:
``<!-- tests: slow -->`` or ``<!-- tests: frameworks -->``.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
SCRATCH = DOCS / "scratch.md"
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
MARKER = re.compile(r"<!-- tests: (\w+) -->")


@dataclass(frozen=True)
class Block:
    """A fence of a page; `printed` is what the text below it promises, if there is one."""

    language: str
    code: str
    line: int
    printed: str | None = None


def pages() -> list[Path]:
    """The README and every page of the site."""
    return [README, *sorted(DOCS.glob("**/*.md"))]


def parameters() -> list[Any]:
    """The pages as parameters of a test, with the markers that they name."""
    return [
        pytest.param(page, id=name(page), marks=[getattr(pytest.mark, each) for each in marks])
        for page in pages()
        for marks in [MARKER.findall(page.read_text(encoding="utf-8"))]
    ]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks in a language, from the top."""
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    found = []
    for fence, following in zip(fences, [*fences[1:], None], strict=False):
        if fence[2] == language:
            is_shown = (
                following is not None
                and following[2] == "text"
                and not text[fence.end() : following.start()].strip()
            )
            printed = dedent(following[3]) if is_shown and following is not None else None
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(language, dedent(fence[3]), line, printed))
    return found


def run_blocks(page: Path) -> dict[str, object]:
    """Run the Python blocks, and compare what each prints; the names that they leave."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            padded = "\n" * block.line + block.code  # so that an error names the page's line
            exec(compile(padded, str(page), "exec"), names)
        print(output.getvalue(), end="")
        if block.printed is not None:
            check_printed(page, block, output.getvalue())
    return names


def check_printed(page: Path, block: Block, printed: str) -> None:
    wanted, found = (
        "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        for text in (block.printed or "", printed)
    )
    if not doctest.OutputChecker().check_output(wanted, found, doctest.ELLIPSIS):
        raise AssertionError(
            f"{name(page)}: the block on line {block.line} printed\n{found}\nand not\n{wanted}"
        )


def command_lines(page: Path) -> Iterator[str]:
    """The lines of its blocks of shell commands."""
    for block in blocks(page, "sh"):
        joined = block.code.replace("\\\n", " ")
        yield from (line for line in joined.splitlines() if line.strip())
