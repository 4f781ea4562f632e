"""Options that several commands have, and the titles of the groups in which they are shown."""

from __future__ import annotations

from typing import Annotated

import typer

from shrinkage.cli.option_values import complete_from

DATA = "Data"
COMPARED = "What is compared"
TRAINING = "How models are trained"
MACHINES = "Where trials run"
RESULTS = "Results"

Target = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="The column to learn; a file needs it.", rich_help_panel=DATA
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="A column such as a patient's name: rows with the same value stay in one part.",
        rich_help_panel=DATA,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="regression or classification.  [default: guessed from the target]",
        autocompletion=complete_from("regression", "classification"),
        rich_help_panel=DATA,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The score: accuracy, balanced_accuracy, roc_auc or log_loss; r2, mae or rmse.  "
        "[default: accuracy, or r2]",
        autocompletion=complete_from(
            *("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "r2", "mae", "rmse")
        ),
        rich_help_panel=COMPARED,
    ),
]
Prefer = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What is recommended: score (the best score) or sparse (of those near it, the model "
        "with the most zeros).  [default: score]",
        autocompletion=complete_from("score", "sparse"),
        rich_help_panel=COMPARED,
    ),
]
