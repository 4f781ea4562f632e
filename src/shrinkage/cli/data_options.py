"""Options that say how the data are read, the same for every command that reads data."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to learn.")]
Subject = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A column; all its rows of one value stay in one part."),
]
Task = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="regression or classification.  [default: guessed]"),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What is compared: accuracy, balanced_accuracy, roc_auc, log_loss; r2, mae, rmse."
        "  [default: accuracy, or r2]",
    ),
]
