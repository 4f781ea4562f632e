"""`shrinkage path`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.common_options import (
    COMPARED,
    RESULTS,
    TRAINING,
    Metric,
    Subject,
    Target,
    Task,
)
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import complete_from, parse_folder, parse_whole


def path(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A file, or a data set that comes with the library: those that compare reads.",
        ),
    ],
    target: Target = None,
    task: Task = None,
    subject: Subject = None,
    penalty: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="A penalty without its strength, such as l1 or lasso.",
            rich_help_panel=COMPARED,
        ),
    ] = "group_lasso:groups=in",
    metric: Metric = None,
    seeds: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Random splits of the rows, for the error band of the score.",
            rich_help_panel=COMPARED,
        ),
    ] = 5,
    resamples: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Random halves of the rows, for the stability of each input.",
            rich_help_panel=COMPARED,
        ),
    ] = 20,
    model: Annotated[
        str,
        typer.Option(metavar="TEXT", help="linear, mlp:64 or mlp:64,32.", rich_help_panel=TRAINING),
    ] = "mlp:64",
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TEXT",
            help="dense: from all inputs to none; sparse: from none to many.",
            autocompletion=complete_from("dense", "sparse"),
            rich_help_panel=TRAINING,
        ),
    ] = "dense",
    adaptive: Annotated[
        bool,
        typer.Option(
            help="Penalize more the inputs whose weights a first path left small; or all alike.",
            rich_help_panel=TRAINING,
        ),
    ] = True,
    out: Annotated[
        Path,
        typer.Option(
            parser=parse_folder,
            metavar="DIR",
            help="The folder for the results.",
            rich_help_panel=RESULTS,
        ),
    ] = Path("shrinkage-path"),
) -> None:
    """Find which inputs matter, and how many are enough.

    One penalty is applied at all strengths, and inputs are told by name. The folder gets the page
    path.html, the tables path.csv and features.csv, the records path.json, and model, for predict.
    """
    with end_in_a_sentence():
        from shrinkage.report import write_path
        from shrinkage.study.path.fit_path import fit_path

        results = fit_path(
            data,
            target=target,
            penalty=penalty,
            model=model,
            start=start,
            adaptive=adaptive,
            seeds=seeds,
            resamples=resamples,
            subject=subject,
            task=task,
            metric=metric,
            out=out,
            command=shlex.join(["shrinkage", *sys.argv[1:]]),
        )
        write_path(results, out / "path.html")
        typer.echo(f"{results!r}\n\n{out / 'path.html'}")
