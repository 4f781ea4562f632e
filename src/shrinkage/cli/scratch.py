"""`shrinkage scratch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.common_options import RESULTS, TRAINING
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import (
    check_page,
    complete_from,
    parse_number,
    parse_whole,
)
from shrinkage.study.errors import StoppedError, UsageError

NETWORK = "Points, network and penalty"


def scratch(
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="On the hidden layer: l2:5e-4 (or ridge:5e-4), l1:1e-4@proximal, none. Repeat it "
            "to see several side by side. Without @ it is coupled.  [default: l2:5e-4]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Points of each class.",
            rich_help_panel=NETWORK,
        ),
    ] = 1000,
    classes: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Classes: the arms of the spiral.",
            rich_help_panel=NETWORK,
        ),
    ] = 3,
    hidden: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Units of the hidden layer.",
            rich_help_panel=NETWORK,
        ),
    ] = 64,
    epochs: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Epochs, each of one step on all points.",
            rich_help_panel=TRAINING,
        ),
    ] = 10_000,
    lr: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="Adam's learning rate at the start.",
            rich_help_panel=TRAINING,
        ),
    ] = 0.05,
    decay: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="How fast the learning rate falls: lr/(1 + decay·step).",
            rich_help_panel=TRAINING,
        ),
    ] = 5e-7,
    seed: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="For the points and the first weights, 0 or more.",
            rich_help_panel=TRAINING,
        ),
    ] = 0,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The precision: float64 or float32.",
            autocompletion=complete_from("float64", "float32"),
            rich_help_panel=TRAINING,
        ),
    ] = "float64",
    every: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Epochs from one printed line to the next; 0 prints none.  [default: 100, or "
            "a tenth of the epochs for several penalties]",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    plot: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The page with the pictures, .html.", rich_help_panel=RESULTS
        ),
    ] = Path("shrinkage-scratch.html"),
) -> None:
    """Train a network written in plain NumPy on a spiral.

    Several penalties are trained side by side, from the same first weights.
    """
    with end_in_a_sentence():
        from shrinkage.report import write_trainings
        from shrinkage.scratch.demonstration import Question, compare, format_outcomes, make_data

        check_page(plot)
        try:
            question = Question(
                samples=samples,
                classes=classes,
                hidden=hidden,
                epochs=epochs,
                lr=lr,
                decay=decay,
                seed=seed,
                dtype=dtype,
            )
            compared = compare(question, penalty or ["l2:5e-4"], every=every)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
        if compared.outcomes:
            typer.echo(f"\n{format_outcomes(compared.outcomes)}")
            write_trainings(
                compared.outcomes,
                plot,
                points=make_data(question)[0],
                title=question.title,
                failures=compared.failures,
            )
            typer.echo(f"\n{plot}")
        if compared.interrupted:
            raise KeyboardInterrupt
        if compared.failures:
            raise StoppedError("; ".join(compared.failures))
