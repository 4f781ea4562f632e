"""The command: parse, call, print; a file a command."""

from __future__ import annotations

import sys
from typing import Annotated

try:
    import typer
except ImportError:
    raise SystemExit(
        "shrinkage: the command needs more libraries: pip install 'shrinkage[study]'"
    ) from None

import shrinkage
from shrinkage.cli import comparing, probing, sandbox, scratch
from shrinkage.cli.sentences import in_sentences, whole_process

# Plain help: drawn frames would double the time it takes to appear.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Weight regularization that does exactly what it says.",
)


def main() -> None:
    """The entry point of the command `shrinkage`."""
    with whole_process():
        try:
            with in_sentences():
                app()
        except typer.Exit as ending:
            sys.exit(ending.exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(shrinkage.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for command in (
    comparing.compare,
    comparing.report,
    probing.probe,
    sandbox.sandbox,
    scratch.scratch,
):
    app.command()(command)
