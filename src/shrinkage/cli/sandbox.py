"""`shrinkage sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import check_page, parse_number, parse_whole
from shrinkage.study.errors import UsageError


def sandbox(
    strength: Annotated[
        float, typer.Option(parser=parse_number, metavar="NUMBER", help="lam and weight_decay.")
    ] = 0.1,
    lr: Annotated[
        float, typer.Option(parser=parse_number, metavar="NUMBER", help="The learning rate.")
    ] = 0.1,
    weights: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Where the weights start.")
    ] = "1,-1.5,-1.5",
    steps: Annotated[
        int, typer.Option(parser=parse_whole, metavar="NUMBER", help="How many steps, at the most.")
    ] = 100,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the weights over steps as .html.")
    ] = None,
) -> None:
    """Regularize the same weights in every way, with no data: one step, and many."""
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
