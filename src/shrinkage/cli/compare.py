"""`shrinkage compare`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from shrinkage.cli.common_options import (
    COMPARED,
    DATA,
    MACHINES,
    RESULTS,
    TRAINING,
    Metric,
    Prefer,
    Subject,
    Target,
    Task,
)
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import complete_from, parse_folder, parse_number, parse_whole
from shrinkage.study.errors import UsageError


def compare(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A file: .csv, .tsv, .parquet, .npz, .xlsx, .json, .jsonl or .feather, also with "
            ".gz. Or a data set that comes with the library: friedman, spiral, digits, "
            "breast_cancer, wine, iris, diabetes.  [default: friedman]",
        ),
    ] = None,
    target: Target = None,
    task: Task = None,
    subject: Subject = None,
    sample: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="ROWS",
            help="For a first look: take this many rows, drawn at random.  [default: all]",
            rich_help_panel=DATA,
        ),
    ] = None,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A method: l1@proximal (or lasso@proximal), l1+l2:1e-4@coupled, "
            "group_lasso:groups=in@proximal. May be repeated. Without @ it is proximal; none is "
            "always compared.  [default: eight methods]",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The grid of strengths: low:high:count or a,b,c.  [default: 1e-5:1e-1:9]",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="How many times everything is repeated, each time with another split and other "
            "first weights.  [default: 3]",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Cross-validate with this many folds, for each seed.  "
            "[default: one train/validation split a seed]",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    metric: Metric = None,
    prefer: Prefer = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="linear, mlp:64, mlp:64,32, or package.module:function, called as "
            "function(features, outputs).  [default: mlp:64]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name in torch.optim: adam, sgd,momentum=0.9.  [default: adam]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="The learning rate at the start; it falls to 0.  [default: the optimizer's usual]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Passes over the training part.  [default: some 400 steps]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced",
            help="In training each class counts as much as every other.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Trials at a time.  [default: one a processor]",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where trials run: local, dask or ray.  [default: local]",
            autocompletion=complete_from("local", "dask", "ray"),
            rich_help_panel=MACHINES,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The cluster's address: tcp://host:8786 for dask; host:6379, ray://host:10001 or "
            "auto for ray.",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Run one of N shares of the trials, such as 2/8; `shrinkage merge` joins them.",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    refit: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="The rows on which the recommended model is fitted at the end: rest (all but the "
            "test part) or all.",
            autocompletion=complete_from("rest", "all"),
            rich_help_panel=RESULTS,
        ),
    ] = "rest",
    no_refit: Annotated[
        bool,
        typer.Option("--no-refit", help="Fit no model at the end.", rich_help_panel=RESULTS),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            parser=parse_folder, metavar="DIR", help="The study's folder.", rich_help_panel=RESULTS
        ),
    ] = Path("shrinkage-study"),
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .toml file with these settings; an option given here takes precedence.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
) -> None:
    """Compare weight regularizations on data, in one report.

    Every method is trained at every strength, from several seeds. The folder gets the page
    report.html, the tables trials.csv and features.csv, the records study.sqlite, and model, for
    predict. A study that was interrupted continues when the same command is run again.
    """
    with end_in_a_sentence(out):
        from shrinkage.study.spec import Study, from_toml, grid_from_text

        stated: dict[str, Any] = {
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
            base, **{key: value for key, value in stated.items() if value is not None}
        )

        from shrinkage.cli.ending import end_study
        from shrinkage.study.comparing import run_study

        command = shlex.join(["shrinkage", *sys.argv[1:]])
        rows = _rows_to_fit(refit, no_refit)
        how: dict[str, Any] = {"jobs": jobs, "backend": backend, "scheduler": scheduler}
        results = run_study(question, out=out, shard=shard, rows=rows, command=command, **how)
        end_study(results, out)


def _rows_to_fit(refit: str, no_refit: bool) -> str | None:
    if no_refit and refit != "rest":
        raise UsageError(f"--refit {refit} and --no-refit exclude each other: leave one out")
    return None if no_refit else refit


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"study {str(path)!r} cannot be read: {error}") from None
