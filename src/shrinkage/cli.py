"""The command: parse, call, print."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
except ImportError:
    raise SystemExit(
        "shrinkage: the command needs more libraries: pip install 'shrinkage[study]'"
    ) from None

import shrinkage
from shrinkage.study.errors import StoppedError, UsageError

INTERRUPTED = 130  # what a shell expects after Ctrl-C

# Plain help: drawn frames would double the time it takes to appear.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Weight regularization that does exactly what it says.",
)


def main() -> None:
    """The entry point of the command `shrinkage`."""
    app()


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number; write for example 3") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number; write for example 0.01") from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(shrinkage.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def compare(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="spiral, digits, breast_cancer, wine, iris, diabetes, or a .csv, .parquet or .npz "
            "file.  [default: spiral]",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column to learn.")
    ] = None,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A method, such as l1@proximal or l1+l2:1e-4@coupled; may be repeated. Without @ "
            "the way is proximal; none is always compared.  [default: seven methods]",
        ),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="low:high:count or a,b,c.  [default: 1e-5:1e-1:9]"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(parser=_whole, metavar="NUMBER", help="How many.  [default: 3]")
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
            parser=_number, metavar="NUMBER", help="Learning rate at the start; it falls to 0."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="NUMBER",
            help="Passes over the training part.  [default: some 400 steps]",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=_whole, metavar="NUMBER", help="Trials at a time.  [default: one a processor]"
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="A column; all its rows of one value stay in one part."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="classes or numbers.  [default: judged by the target]"),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The study's folder.")] = Path(
        "shrinkage-study"
    ),
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
    with _in_sentences(out):
        from shrinkage.study.spec import Study, from_toml, grid_from_text

        given: dict[str, Any] = {
            "data": data,
            "target": target,
            "methods": tuple(penalty) if penalty else None,
            "strengths": grid_from_text(strengths) if strengths is not None else None,
            "seeds": seeds,
            "model": model,
            "optimizer": optimizer,
            "lr": lr,
            "epochs": epochs,
            "subject": subject,
            "task": task,
        }
        base = Study() if study is None else from_toml(_read(study))
        question = replace(
            base, **{key: value for key, value in given.items() if value is not None}
        )

        from shrinkage.study.comparing import run

        command = shlex.join(["shrinkage", *sys.argv[1:]])
        results = run(question, out=out, jobs=jobs, command=command)

        from shrinkage.report import write_report

        write_report(results, out / "report.html")
    typer.echo(f"{results!r}\n\n{out / 'report.html'}")
    if not results.choices:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")],
) -> None:
    """Make trials.csv and report.html again, from the records alone."""
    with _in_sentences(folder):
        from shrinkage.report import write_report
        from shrinkage.study.export import write_csv
        from shrinkage.study.store import load

        results = load(folder)
        write_csv(results, folder / "trials.csv")
        write_report(results, folder / "report.html")
    typer.echo(f"{folder / 'trials.csv'}\n{folder / 'report.html'}")


@app.command()
def sandbox(
    strength: Annotated[
        float, typer.Option(parser=_number, metavar="NUMBER", help="lam and weight_decay.")
    ] = 0.1,
    lr: Annotated[
        float, typer.Option(parser=_number, metavar="NUMBER", help="The learning rate.")
    ] = 0.1,
    weights: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Where the weights start.")
    ] = "1,-1.5,-1.5",
    steps: Annotated[
        int, typer.Option(parser=_whole, metavar="NUMBER", help="How many steps, at the most.")
    ] = 100,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the weights over steps as .html.")
    ] = None,
) -> None:
    """Regularize the same weights in every way, with no data: one step, and many."""
    with _in_sentences():
        from shrinkage.torch.sandbox import as_text, weights_from_text
        from shrinkage.torch.sandbox import sandbox as run

        if plot is not None:
            _check_page(plot)
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


@app.command()
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
        int, typer.Option(parser=_whole, metavar="NUMBER", help="Points a class.")
    ] = 1000,
    classes: Annotated[int, typer.Option(parser=_whole, metavar="NUMBER", help="Arms.")] = 3,
    hidden: Annotated[
        int, typer.Option(parser=_whole, metavar="NUMBER", help="Units of the hidden layer.")
    ] = 64,
    epochs: Annotated[
        int, typer.Option(parser=_whole, metavar="NUMBER", help="Steps, each on all points.")
    ] = 10_000,
    lr: Annotated[float, typer.Option(parser=_number, metavar="NUMBER", help="Of Adam.")] = 0.05,
    decay: Annotated[
        float, typer.Option(parser=_number, metavar="NUMBER", help="lr/(1 + decay·step).")
    ] = 5e-7,
    seed: Annotated[int, typer.Option(parser=_whole, metavar="NUMBER", help="0 or more.")] = 0,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="float64 or float32.")] = "float64",
    every: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
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
    with _in_sentences():
        from shrinkage.report import write_trainings
        from shrinkage.scratch.demonstration import Question, as_text, compare, data

        _check_page(plot)
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
            typer.echo(f"\n{as_text(compared.outcomes)}")
            write_trainings(
                compared.outcomes,
                plot,
                points=data(question)[0],
                title=question.title,
                failures=compared.failures,
            )
            typer.echo(f"\n{plot}")
        if compared.interrupted:
            raise KeyboardInterrupt
        if compared.failures:
            raise StoppedError("; ".join(compared.failures))


def _check_page(path: Path) -> None:
    """Refuse what no page can be written to, before any work is done."""
    from shrinkage.study.files import check_writable

    if path.suffix.lower() != ".html":
        raise UsageError(f"plot must be a file that ends in .html, got {str(path)!r}")
    if not path.parent.is_dir():
        raise UsageError(f"plot {str(path)!r}: there is no folder {str(path.parent)!r}")
    check_writable(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"study {str(path)!r} cannot be read: {error}") from None


@contextmanager
def _in_sentences(study: Path | None = None) -> Iterator[None]:
    """End in one sentence and an exit code: 2 for usage, 1 when stopped, 130 when interrupted.

    `study` is a folder that keeps what is done.
    """
    try:
        yield
    except UsageError as error:
        _end(str(error), 2)
    except StoppedError as error:
        _end(str(error), 1)
    except MemoryError as error:
        _end(f"there is not enough memory: {error}", 1)
    except OSError as error:
        _end(str(error), 1)
    except ModuleNotFoundError as error:
        _end(f"{error.name} is not installed: pip install 'shrinkage[study]'", 1)
    except KeyboardInterrupt:
        kept = f"; {study} keeps what is done, and the same command goes on from it"
        _end(f"interrupted{kept if study else ''}", INTERRUPTED)


def _end(sentence: str, code: int) -> None:
    typer.echo(f"shrinkage: {sentence}", err=True)
    raise typer.Exit(code)
