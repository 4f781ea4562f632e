"""Write command.md, the page of the command `shrinkage`, from the command itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from shrinkage.cli import app
from shrinkage.cli.help_format import group_parameters
from shrinkage.cli.help_pages import PAGES, WORDS

PAGE = Path(__file__).with_name("command.md")
INTRODUCTION = """\
# The command

`shrinkage` has one command for each question. `shrinkage COMMAND --help` shows in a terminal what
stands here. `shrinkage --install-completion` teaches your shell to complete commands, options and
their values with the Tab key; `shrinkage --version` prints the version.

This page is written by `python docs/command.py` from the command itself.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


def write_page() -> str:
    """A list of the commands, a section for each of them, and the words that they use."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    overview = [
        f"| [`shrinkage {name}`](#shrinkage-{name}) | {paragraphs(command)[0]} |"
        for name, command in commands.items()
    ]
    words = [f"| {word} | {escape(meaning)} |" for word, meaning in sorted(WORDS.items())]
    parts = [
        INTRODUCTION,
        "\n".join(["| command | what it does |", "|---|---|", *overview, ""]),
        *(write_section(name, command) for name, command in commands.items()),
        "\n".join(["## Words", "", "| word | meaning |", "|---|---|", *words, ""]),
    ]
    return "\n".join(parts)


def write_section(name: str, command: Any) -> str:
    """What `shrinkage NAME --help` says, in Markdown."""
    context = command.make_context(name, [], resilient_parsing=True)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join(
        argument.metavar if argument.required else f"[{argument.metavar}]" for argument in arguments
    )
    lines = [f"## shrinkage {name}", "", "```text", f"shrinkage {name} [OPTIONS] {usage}".rstrip()]
    lines += ["```", ""]
    for paragraph in paragraphs(command):
        lines += [escape(paragraph), ""]
    lines += ["```sh"]
    for line, purpose in PAGES[name].examples:
        lines += [f"# {purpose}", line]
    lines += ["```", ""]
    for title, rows in group_parameters(command, context):
        if title == "Other options":  # --help alone
            continue
        lines += [f"| {title} | |", "|---|---|"]
        lines += [f"| `{left.partition(' <')[0]}` | {escape(meaning)} |" for left, meaning in rows]
        lines += [""]
    return "\n".join(lines)


def paragraphs(command: Any) -> list[str]:
    """The paragraphs of a command's description, each on one line."""
    return [" ".join(part.split()) for part in command.help.split("\n\n")]


def escape(text: str) -> str:
    """`text` in the cell of a table, or in a paragraph."""
    return text.replace("|", "\\|").replace("  [", " [").replace("_", "\\_")


if __name__ == "__main__":
    main()
