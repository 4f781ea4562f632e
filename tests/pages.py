"""Pages of documentation: their blocks of code, run one after the other, and what these print.

A block of ``text`` directly below a block of Python is what that prints; ``...`` stands for what
differs from run to run. After ``<!-- about -->`` numbers may differ by a factor of three. A page
says in a comment what its blocks need, ``<!-- tests: slow -->``, or which file has tests of its own
that run them: ``<!-- tests: frameworks/test_stack_page.py -->``.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e[+-]?\d+)?")
ABOUT = "<!-- about -->"
MARKER = re.compile(r"<!-- tests: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fence of a page; `printed` is what the text below it shows, exactly or about."""

    language: str
    code: str
    line: int
    printed: str | None = None
    is_about: bool = False


def pages() -> list[Path]:
    """The README and every page of the site."""
    return [README, *sorted(DOCS.glob("**/*.md"))]


def parameters() -> list[Any]:
    """The pages that no other test runs as parameters of a test, with the markers they name."""
    found = []
    for page in pages():
        named = MARKER.findall(page.read_text(encoding="utf-8"))
        if not any(each.endswith(".py") for each in named):
            marks = [getattr(pytest.mark, each) for each in named]
            found.append(pytest.param(page, id=name(page), marks=marks))
    return found


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks in a language, from the top."""
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    found = []
    for fence, following in zip(fences, [*fences[1:], None], strict=False):
        if fence[2] == language:
            line = text.count("\n", 0, fence.start()) + 1
            block = Block(language, dedent(fence[3]), line)
            if following is not None and following[2] == "text":
                between = text[fence.end() : following.start()].strip()
                if between in ("", ABOUT):
                    printed = dedent(following[3])
                    block = replace(block, printed=printed, is_about=between == ABOUT)
            found.append(block)
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
    is_same = doctest.OutputChecker().check_output(wanted, found, doctest.ELLIPSIS)
    if not is_same and not (block.is_about and is_about(wanted, found)):
        raise AssertionError(
            f"{name(page)}: the block on line {block.line} printed\n{found}\nand not\n{wanted}"
        )


def is_about(wanted: str, found: str) -> bool:
    """Whether two texts differ in numbers alone, by no more than a factor of three.

    Numbers below 1e-9 count as equal, and so do spaces in a row: columns are as wide as numbers.
    """
    words = [re.sub(" +", " ", NUMBER.sub("#", text)) for text in (wanted, found)]
    numbers = [[float(each) for each in NUMBER.findall(text)] for text in (wanted, found)]
    return words[0] == words[1] and all(
        max(abs(a), abs(b)) < 1e-9 or 1 / 3 <= a / (b or 1e-300) <= 3
        for a, b in zip(*numbers, strict=True)
    )


def command_lines(page: Path) -> Iterator[str]:
    """The lines of its blocks of shell commands."""
    for block in blocks(page, "sh"):
        joined = block.code.replace("\\\n", " ")
        yield from (line for line in joined.splitlines() if line.strip())
