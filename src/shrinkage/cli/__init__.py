"""The command `shrinkage`: parse arguments, call the library, print; one file for each command."""

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
from shrinkage.cli import compare, merge, path, predict, probe, report, sandbox, scratch
from shrinkage.cli.exits import end_in_a_sentence, own_the_process
from shrinkage.cli.help_format import Command

# Plain help: drawn frames would double the time it takes to appear.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Weight regularization that does exactly what it says.",
    epilog="shrinkage COMMAND --help shows the options of a command, with examples.",
)


def main() -> None:
    """The entry point of the command `shrinkage`."""
    with own_the_process():
        try:
            with end_in_a_sentence():
                app()
        except typer.Exit as ending:
            sys.exit(ending.exit_code)


def _version(is_asked: bool) -> None:
    if is_asked:
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
    compare.compare,
    report.report,
    merge.merge,
    path.path,
    predict.predict,
    probe.probe,
    sandbox.sandbox,
    scratch.scratch,
):
    app.command(cls=Command)(command)
