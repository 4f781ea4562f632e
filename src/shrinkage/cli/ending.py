"""The end of a command that makes a study: its page, its table, and what to do next."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from shrinkage.study.errors import UsageError
from shrinkage.study.results import Results


def end_study(results: Results, out: Path) -> None:
    """Write the page and print the table; of an unfinished study say what is missing.

    Raises
    ------
    typer.Exit
        With code 1 where every trial diverged.
    """
    if not results.verdict:
        typer.echo(_describe_unfinished(results, out))
        return
    from shrinkage.report import write_report
    from shrinkage.study.model.predictions import describe_model

    write_report(results, out / "report.html")
    typer.echo(f"{results!r}\n\n{out / 'report.html'}")
    with suppress(UsageError):  # there is no model, and why was said before
        typer.echo(describe_model(results.model, out))
    if not results.choices:
        raise typer.Exit(1)


def _describe_unfinished(results: Results, out: Path) -> str:
    from shrinkage.study.model.refit import open_question
    from shrinkage.study.sharding import find_missing

    missing = len(find_missing(open_question(dict(results.question)), results.records))
    total = len(results.records) + missing
    return (
        f"{out} has {len(results.records)} of {total} trials. With the folders of the other "
        f"shards: shrinkage merge {out} DIR... --out ALL. To run the {missing} that are missing "
        f"here: the same compare command without --shard, and with --out {out}."
    )
