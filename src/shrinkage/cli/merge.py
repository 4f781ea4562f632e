"""`shrinkage merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.common_options import DATA, RESULTS
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import parse_folder


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            parser=parse_folder,
            metavar="DIR...",
            help="The folders that `compare --shard` has written, of one study.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=parse_folder,
            metavar="DIR",
            help="The folder for all trials.",
            rich_help_panel=RESULTS,
        ),
    ] = Path("shrinkage-study"),
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="The study's data.  [default: where --out or the first folder says]",
            rich_help_panel=DATA,
        ),
    ] = None,
) -> None:
    """Join the folders of a study's shards, and finish the study.

    If trials are missing, the exit code is 1. The compare command that made one of the folders
    runs them, without --shard and with --out DIR.
    """
    with end_in_a_sentence(out):
        from shrinkage.cli.ending import end_study
        from shrinkage.study.merging import merge as merge_folders

        results = merge_folders(folders, out=out, data=data)
        end_study(results, out)
        if not results.verdict:
            raise typer.Exit(1)
