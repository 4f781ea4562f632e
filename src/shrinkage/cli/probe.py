"""`shrinkage probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shrinkage.cli.common_options import RESULTS
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.cli.option_values import check_page, parse_number, parse_whole
from shrinkage.study.errors import UsageError

WHAT, TIME = "What is probed", "Time"


def probe(
    optimizer: Annotated[
        str | None,
        typer.Argument(
            metavar="OPTIMIZER",
            help="A name in torch.optim, package.module.Class or package.module:function, also "
            "with arguments: torch.optim.SGD,momentum=0.9.",
        ),
    ] = None,
    lr: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="The learning rate.",
            rich_help_panel=WHAT,
        ),
    ] = 0.1,
    weight_decay: Annotated[
        float,
        typer.Option(
            parser=parse_number,
            metavar="NUMBER",
            help="The value of its weight_decay.",
            rich_help_panel=WHAT,
        ),
    ] = 0.1,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Probe every optimizer of torch.optim, torch_optimizer, pytorch_optimizer and "
            "timm.optim that is installed, and sort them by their law.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=parse_whole,
            metavar="NUMBER",
            help="Processes for --all.  [default: one a processor]",
            rich_help_panel=TIME,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            parser=parse_number,
            metavar="SECONDS",
            help="The longest time for one optimizer.  [default: 60, and 18 with --all]",
            rich_help_panel=TIME,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page to search and sort, .html.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
) -> None:
    """Find what an optimizer's weight_decay does to a weight.

    Give the name of one optimizer, or --all. Each is stepped with and without weight_decay, in a
    process of its own; its source is not read.
    """
    with end_in_a_sentence():
        if everything == (optimizer is not None):
            raise UsageError("name one optimizer, such as torch.optim.Adam, or give --all")
        if out is not None:
            check_page(out, "out")

        from shrinkage.study.running.local import check_jobs

        check_jobs(jobs)

        from shrinkage.probe.survey import Row, probe_in_process, survey, to_records, to_text

        rates: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        if timeout is not None:
            rates["timeout"] = timeout
        try:
            if everything:
                rows = survey(jobs=jobs, **rates)
                typer.echo(to_text(rows))
            else:
                law = probe_in_process(str(optimizer), **rates)
                rows = [Row(law.optimizer, law)]
                typer.echo(law.report())
        except ValueError as error:
            raise UsageError(str(error)) from None
        if out is not None:
            from shrinkage.report import write_laws

            title = f"What weight_decay does, at lr {lr:g} and weight_decay {weight_decay:g}"
            write_laws(to_records(rows), out, title=title)
            typer.echo(f"\n{out}")
