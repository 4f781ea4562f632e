"""`shrinkage sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.common_options import RESULTS
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import check_page, parse_number, parse_whole
from shrinkage.study.errors import UsageError

STEPPED = "What is stepped"


def sandbox(
    strength: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="The value of lam and of weight_decay.",
            rich_help_panel=STEPPED,
        ),
    ] = 0.1,
    lr: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="The learning rate.",
            rich_help_panel=STEPPED,
        ),
    ] = 0.1,
    weights: Annotated[
        str,
        typer.Option(metavar="NUMBERS", help="The weights at the start.", rich_help_panel=STEPPED),
    ] = "1,-1.5,-1.5",
    steps: Annotated[
        int,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="The largest number of steps.",
            rich_help_panel=STEPPED,
        ),
    ] = 100,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the weights over the steps as a page, .html.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
) -> None:
    """Step the same weights under thirteen kinds of regularization.

    There are no data, so that only the regularization moves a weight.
    """
    with end_in_a_sentence():
        from shrinkage.torch.sandbox import as_text, weights_from_text
        from shrinkage.torch.sandbox import sandbox as run

        if plot is not None:
            check_page(plot)
        try:
            start = weights_from_text(weights)
            traces = run(start, strength=strength, lr=lr, steps=steps)
        except (ValueError, FloatingPointError) as error:
            raise UsageError(str(error)) from None
        typer.echo(as_text(traces))
        if plot is not None:
            from shrinkage.report import write_paths

            title = f"Weights over {steps} steps: strength {strength:g}, lr {lr:g}, no data"
            write_paths({trace.way: trace.paths for trace in traces}, plot, title=title)
            typer.echo(f"\n{plot}")
