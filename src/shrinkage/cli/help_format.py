"""The layout of `--help`: options in groups, then examples, then words that need a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand

from shrinkage.cli.help_pages import PAGES, WORDS

Rows = list[tuple[str, str]]


class Command(TyperCommand):
    """A command whose help has the groups of its options and its page from `PAGES`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, rows in group_parameters(self, ctx):
            with formatter.section(title):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        page = PAGES[str(self.name)]
        with formatter.section("Examples"):
            for line, purpose in page.examples:
                # Not wrapped, so that it can be copied.
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
                with formatter.indentation():
                    formatter.write_text(purpose)
        with formatter.section("Words"):
            formatter.write_dl([(word, WORDS[word]) for word in page.words])


def group_parameters(command: TyperCommand, ctx: Any) -> Iterator[tuple[str, Rows]]:
    """Each group's title with a line for each of its parameters, in the order of the signature."""
    groups: dict[str, Rows] = {}
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is not None:
            is_argument = parameter.param_type_name == "argument"
            title = getattr(parameter, "rich_help_panel", None) or "Other options"
            groups.setdefault("Arguments" if is_argument else title, []).append(row)
    yield from groups.items()
