"""`shrinkage path`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.data_options import Metric, Subject, Target, Task
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import parse_folder as folder_of
from shrinkage.cli.option_values import parse_whole


def path(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A data set that comes with the library, or a file: see compare."
        ),
    ],
    target: Target = None,
    penalty: Annotated[
        str,
        typer.Option(metavar="TEXT", help="A penalty without its strength, such as l1."),
    ] = "group_lasso:groups=in",
    model: Annotated[
        str, typer.Option(metavar="TEXT", help="linear, mlp:64 or mlp:64,32.")
    ] = "mlp:64",
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TEXT",
            help="dense: from all inputs to none; sparse: from none to many.",
        ),
    ] = "dense",
    adaptive: Annotated[
        bool,
        typer.Option(
            help="Penalize more the inputs whose weights a first path left small, or all alike."
        ),
    ] = True,
    seeds: Annotated[
        int,
        typer.Option(parser=parse_whole, metavar="NUMBER", help="Splits, for the error band."),
    ] = 5,
    resamples: Annotated[
        int,
        typer.Option(
            parser=parse_whole, metavar="NUMBER", help="Halves of the rows, for the stability."
        ),
    ] = 20,
    subject: Subject = None,
    task: Task = None,
    metric: Metric = None,
    out: Annotated[
        Path, typer.Option(parser=folder_of, metavar="DIR", help="The folder for the results.")
    ] = Path("shrinkage-path"),
) -> None:
    """Which inputs matter, and how many: one method at all strengths, with names.

    DIR gets the page path.html, path.csv, features.csv, path.json, and model, for predict.
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
