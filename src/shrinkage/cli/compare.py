"""`shrinkage compare` and `shrinkage report`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from shrinkage.cli.data_options import Metric, Subject, Target, Task
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import parse_folder as folder_of
from shrinkage.cli.option_values import parse_number, parse_whole
from shrinkage.study.errors import UsageError


def compare(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="friedman, spiral, digits, breast_cancer, wine, iris, diabetes, or a file: .csv, "
            ".tsv, .parquet, .npz, .xlsx, .json, .jsonl, .feather, perhaps with .gz.  "
            "[default: friedman]",
        ),
    ] = None,
    target: Target = None,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A method, such as l1@proximal, l1+l2:1e-4@coupled or "
            "group_lasso:groups=in@proximal; may be repeated. Without @ "
            "the way is proximal; none is always compared.  [default: eight methods]",
        ),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="low:high:count or a,b,c.  [default: 1e-5:1e-1:9]"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(parser=parse_whole, metavar="NUMBER", help="How many.  [default: 3]"),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Cross-validation with so many folds, for each seed.  "
            "[default: one train/validation split a seed]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="linear, mlp:64, mlp:64,32, or package.module:function, called as "
            "function(features, outputs).  [default: mlp:64]",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A name in torch.optim: adam, sgd,momentum=0.9.  [default: adam]"
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            parser=parse_number, metavar="NUMBER", help="Learning rate at the start; it falls to 0."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Passes over the training part.  [default: some 400 steps]",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Trials at a time.  [default: one a processor]",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where trials run: local, dask or ray.  [default: local]"
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of the cluster: tcp://host:8786 of dask; host:6379, ray://host:10001 or auto of "
            "ray.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Run one of N shares of the trials, as 2/8; `shrinkage merge` joins the folders.",
        ),
    ] = None,
    subject: Subject = None,
    task: Task = None,
    metric: Metric = None,
    sample: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="ROWS",
            help="For a first look: so many rows, drawn at random.  [default: all]",
        ),
    ] = None,
    balanced: Annotated[
        bool,
        typer.Option("--balanced", help="In training each class counts as much as every other."),
    ] = False,
    prefer: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="score or sparse: recommend the best score, or of those near it the model with "
            "the most zeros.  [default: score]",
        ),
    ] = None,
    refit: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="rest or all: the rows on which the recommended model is fitted at the end, "
            "all but the test part or all.",
        ),
    ] = "rest",
    no_refit: Annotated[bool, typer.Option("--no-refit", help="Fit no model at the end.")] = False,
    out: Annotated[
        Path, typer.Option(parser=folder_of, metavar="DIR", help="The study's folder.")
    ] = Path("shrinkage-study"),
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A .toml file with these settings; options go before it."
        ),
    ] = None,
) -> None:
    """Compare weight regularizations on data: methods, strengths and seeds, in one report.

    A study that was interrupted goes on where it was when the same command is run again.
    """
    with end_in_a_sentence(out):
        from shrinkage.study.spec import Study, from_toml, grid_from_text

        given: dict[str, Any] = {
            "data": data,
            "target": target,
            "methods": tuple(penalty) if penalty else None,
            "strengths": grid_from_text(strengths) if strengths is not None else None,
            "seeds": seeds,
            "folds": folds,
            "model": model,
            "optimizer": optimizer,
            "lr": lr,
            "epochs": epochs,
            "subject": subject,
            "task": task,
            "metric": metric,
            "sample": sample,
            "balanced": balanced or None,
            "prefer": prefer,
        }
        base = Study() if study is None else from_toml(_read_text(study))
        question = replace(
            base, **{key: value for key, value in given.items() if value is not None}
        )

        from shrinkage.cli.ending import end_study
        from shrinkage.study.comparing import run_study

        command = shlex.join(["shrinkage", *sys.argv[1:]])
        rows = _rows_to_fit(refit, no_refit)
        how: dict[str, Any] = {"jobs": jobs, "backend": backend, "scheduler": scheduler}
        results = run_study(question, out=out, shard=shard, rows=rows, command=command, **how)
        end_study(results, out)


def report(
    folder: Annotated[
        Path, typer.Argument(parser=folder_of, help="The folder of a study.", metavar="DIR")
    ],
) -> None:
    """Make trials.csv, features.csv and report.html again, from the records alone.

    It can be run at any time, also while the study is running, and shows what there is so far.
    """
    with end_in_a_sentence(folder):
        from shrinkage.report import write_report
        from shrinkage.study.storage.features_csv import write_features_csv
        from shrinkage.study.storage.folder_lock import is_in_use
        from shrinkage.study.storage.store import load
        from shrinkage.study.storage.trials_csv import write_csv

        is_seen = False
        while not is_seen:
            results = load(folder)
            write_csv(results, folder / "trials.csv")
            write_features_csv(results, folder / "features.csv")
            write_report(results, folder / "report.html")
            # A study that was finished meanwhile has written its own page, which is replaced.
            is_seen = bool(results.verdict) or not load(folder).verdict
        if not results.verdict:
            typer.echo(f"{results!r}\n")
            typer.echo(
                "The study is running: the same command shows more later."
                if is_in_use(folder)
                else "The study is not running: its compare command goes on from here."
            )
        for name in ("trials.csv", "features.csv", "report.html"):
            typer.echo(folder / name)


def _rows_to_fit(refit: str, no_refit: bool) -> str | None:
    if no_refit and refit != "rest":
        raise UsageError(f"--refit {refit} and --no-refit exclude each other: leave one out")
    return None if no_refit else refit


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"study {str(path)!r} cannot be read: {error}") from None
