"""`shrinkage report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import parse_folder


def report(
    folder: Annotated[
        Path, typer.Argument(parser=parse_folder, help="The folder of a study.", metavar="DIR")
    ],
) -> None:
    """Write a study's page and tables again, from its records.

    These are report.html, trials.csv and features.csv. It can be run at any time, also while the
    study is running, and shows what there is so far.
    """
    with end_in_a_sentence(folder):
        from shrinkage.report import write_report
        from shrinkage.study.storage.features_csv import write_features_csv
        from shrinkage.study.storage.folder_lock import is_in_use
        from shrinkage.study.storage.store import load
        from shrinkage.study.storage.trials_csv import write_csv

        is_current = False
        while not is_current:
            results = load(folder)
            write_csv(results, folder / "trials.csv")
            write_features_csv(results, folder / "features.csv")
            write_report(results, folder / "report.html")
            # If the study was finished meanwhile, these files have replaced its own: write again.
            is_current = bool(results.verdict) or not load(folder).verdict
        if not results.verdict:
            typer.echo(f"{results!r}\n")
            typer.echo(
                "The study is running: the same command shows more later."
                if is_in_use(folder)
                else "The study is not running: its compare command goes on from here."
            )
        for name in ("trials.csv", "features.csv", "report.html"):
            typer.echo(folder / name)
