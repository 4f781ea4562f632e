"""`shrinkage predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.common_options import RESULTS
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import complete_from, parse_folder, parse_number
from shrinkage.study.errors import UsageError

WHICH = "Which model"


def predict(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=parse_folder,
            metavar="DIR",
            help="The folder of a study, of a path, or of a model.",
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="New rows, in a file of any kind that compare reads."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .csv file.  [default: standard output]",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="A method of the study, such as l1@proximal.  [default: the recommended one]",
            rich_help_panel=WHICH,
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="Its strength.  [default: the one with the best score]",
            rich_help_panel=WHICH,
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="score (the best score) or sparse (of those near it, the model with the most "
            "zeros).  [default: as in the study]",
            autocompletion=complete_from("score", "sparse"),
            rich_help_panel=WHICH,
        ),
    ] = None,
) -> None:
    """Predict new rows with the model of a study or a path.

    A model other than the recommended one is fitted, on the study's data, when it is first used.
    """
    with end_in_a_sentence():
        if out is not None and out.suffix.lower() != ".csv":
            raise UsageError(f"out must be a file that ends in .csv, got {str(out)!r}")
        from shrinkage.study.formatting import pluralize
        from shrinkage.study.model.fitted import MODEL, load_model
        from shrinkage.study.model.predictions import describe_score, predict_table
        from shrinkage.study.storage.atomic_write import check_writable, write_atomically

        if out is not None:
            check_writable(out)  # before any work is done
        is_named = any(option is not None for option in (method, strength, prefer))
        if is_named or ((folder / "study.sqlite").exists() and not (folder / MODEL).exists()):
            from shrinkage.study.model.fit_model import fit_model  # loads torch

            model = fit_model(folder, method=method, strength=strength, prefer=prefer)
        else:
            model = load_model(folder)
        rows = model.read(data)
        table = predict_table(model, rows)
        text = table.to_csv(index=False, lineterminator="\n")
        for line in (repr(model), *rows.notes, *rows.doubts, describe_score(model, rows)):
            if line:
                typer.echo(line, err=True)
        if out is None:
            typer.echo(text, nl=False)
        else:
            write_atomically(out, text)
            typer.echo(f"{out}: {pluralize(len(table), 'prediction')}")
