"""`shrinkage scratch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import check_page, parse_number, parse_whole
from shrinkage.study.errors import StoppedError, UsageError


def scratch(
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="On the hidden layer: l2:5e-4, l1:1e-4@proximal, none; may be repeated, to see "
            "several side by side. Without @ the way is coupled.  [default: l2:5e-4]",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(parser=parse_whole, metavar="NUMBER", help="Points a class.")
    ] = 1000,
    classes: Annotated[int, typer.Option(parser=parse_whole, metavar="NUMBER", help="Arms.")] = 3,
    hidden: Annotated[
        int, typer.Option(parser=parse_whole, metavar="NUMBER", help="Units of the hidden layer.")
    ] = 64,
    epochs: Annotated[
        int, typer.Option(parser=parse_whole, metavar="NUMBER", help="Steps, each on all points.")
    ] = 10_000,
    lr: Annotated[
        float, typer.Option(parser=parse_number, metavar="NUMBER", help="Of Adam.")
    ] = 0.05,
    decay: Annotated[
        float, typer.Option(parser=parse_number, metavar="NUMBER", help="lr/(1 + decay·step).")
    ] = 5e-7,
    seed: Annotated[int, typer.Option(parser=parse_whole, metavar="NUMBER", help="0 or more.")] = 0,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="float64 or float32.")] = "float64",
    every: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Epochs from one printed line to the next; 0 prints none.  [default: 100, or "
            "a tenth of the epochs for several penalties]",
        ),
    ] = None,
    plot: Annotated[
        Path, typer.Option(metavar="FILE", help="The page with the pictures, .html.")
    ] = Path("shrinkage-scratch.html"),
) -> None:
    """Train a network written from scratch in NumPy on a spiral, with penalties side by side."""
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
