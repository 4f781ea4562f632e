"""The whole study, from a question to its results."""

from __future__ import annotations

import dataclasses
import platform
import sys
import textwrap
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import shrinkage
from shrinkage.study import store, testing, training
from shrinkage.study.choose import choose
from shrinkage.study.data import Table, prepare
from shrinkage.study.errors import UsageError
from shrinkage.study.examples import Parts
from shrinkage.study.export import write_csv
from shrinkage.study.identity import digest
from shrinkage.study.parts import divide, make_parts
from shrinkage.study.progress import Progress, shown
from shrinkage.study.readings import summarized
from shrinkage.study.records import Results
from shrinkage.study.settle import identity, settled
from shrinkage.study.sources import read
from shrinkage.study.spec import METHODS, STRENGTHS, Study, grid_from_text
from shrinkage.study.trivial import trivial
from shrinkage.study.workers import check_jobs, trained

OUT = "shrinkage-study"
SAID = 400  # characters of a note on the terminal
MORE = " ... (the report has all)"


def compare(
    data: str | Path | pd.DataFrame | tuple[Any, Any] = "spiral",
    *,
    target: str | None = None,
    penalty: str | Sequence[str] = METHODS,
    strengths: str | Sequence[float] = STRENGTHS,
    seeds: int = 3,
    model: str = "mlp:64",
    optimizer: str = "adam",
    lr: float | None = None,
    epochs: int | None = None,
    jobs: int | None = None,
    subject: str | None = None,
    task: str | None = None,
    prefer: str = "score",
    out: str | Path = OUT,
    quiet: bool = False,
) -> Results:
    """Compare weight regularizations on data: every method, a grid of strengths, several seeds.

    Parameters
    ----------
    data : str, path, data frame or pair of arrays
        A data set that comes with the library ("spiral", "digits", "breast_cancer", "wine",
        "iris", "diabetes"); a file that ends in .csv, .tsv, .parquet, .npz, .xlsx, .json, .jsonl
        or .feather, perhaps followed by .gz, .bz2, .xz or .zip; a frame of pandas or polars; or
        (X, y). How each column is read is told, and stands in `results.readings`.
    penalty : str or sequence of str
        Methods such as "l1@proximal"; "none" is always compared.
    jobs : int, optional
        Trials at a time; by default one a processor.
    prefer : "score" or "sparse"
        What the verdict recommends. A finished study is only read again: asked with the other,
        it trains nothing.
    out : path
        The study's folder. An unfinished study in it goes on; another one is refused.
    quiet : bool
        Without progress.

    The other parameters are those of `shrinkage.study.Study`.

    Returns
    -------
    Results
        Records, choices and a verdict in words; `results.table()` is a data frame.

    Raises
    ------
    UsageError
        For a question that cannot be asked; nothing is written then.
    StoppedError
        If the disk is full or fails, another program locks the study's file, or a trial cannot be
        trained to its end; what was recorded is safe.
    """
    if not str(out):
        raise UsageError("out is empty: name a folder")
    grid = grid_from_text(strengths) if isinstance(strengths, str) else tuple(strengths)
    if not grid:
        raise UsageError("strengths is empty: leave it out, or name at least one")
    study = Study(
        data=str(data) if isinstance(data, str | Path) else "",
        target=target,
        subject=subject,
        task=task,
        methods=(penalty,) if isinstance(penalty, str) else tuple(penalty),
        strengths=grid,
        seeds=seeds,
        model=model,
        optimizer=optimizer,
        lr=lr,
        epochs=epochs,
        prefer=prefer,
    )
    frame = None if isinstance(data, str | Path) else data
    return run(study, out=Path(out), jobs=jobs, frame=frame, quiet=quiet)


def run(
    study: Study,
    *,
    out: Path = Path(OUT),
    jobs: int | None = None,
    frame: object = None,
    quiet: bool = False,
    command: str = "shrinkage.study.compare(...)",
) -> Results:
    """Answer the question of `study` in the folder `out`; see `compare`."""
    check_jobs(jobs)
    source = read(study.data if frame is None else frame)
    table = prepare(source, study)
    parts = [make_parts(table, study, seed) for seed in range(study.seeds)]
    study = settled(study, table, study.target or source.target or "", parts[0])
    training.rehearse(study, parts[0])
    own = identity(study, table)
    facts = {
        "question": {**dataclasses.asdict(study), "digest": digest(own)},
        "provenance": _provenance(command),
        "data": _described(table, study),
    }
    with shown(quiet) as progress, store.opened(out, own, facts) as kept:
        for line in (_understood(table), *summarized(table.readings)):
            progress.say(line)
        for note in table.notes:
            progress.say(textwrap.shorten(f"{table.name}: {note}", SAID, placeholder=MORE))
        _answer(study, parts, kept, jobs, progress)
        if not kept.is_finished():
            records = kept.results().records
            choices = choose(records, study.seeds)
            chosen = testing.tested(choices, records, table, study, parts)
            kept.finish(chosen)
        results = kept.results()
    write_csv(results, out / "trials.csv")
    return results


def _answer(
    study: Study,
    parts: Sequence[Parts],
    kept: store.Store,
    jobs: int | None,
    progress: Progress,
) -> None:
    """Run the trials that have no record, and keep each record as it comes."""
    earlier = kept.results().records
    done = {record.trial for record in earlier}
    if kept.unreadable:
        progress.say(f"{kept.unreadable} damaged records were taken out: their trials run again")
    trials = study.trials()
    pending = [trial for trial in trials if trial not in done]
    progress.start(len(trials), earlier)
    with closing(trained(study, pending, parts, jobs)) as records:
        for record in records:
            kept.add(record)
            progress.advance(record)


def _understood(table: Table) -> str:
    """How the data were read, so that a misreading is seen before the training."""
    rows, features = table.frame.shape
    text = table.frame.select_dtypes(object).shape[1]
    kinds = f", {text} of them text" if text else ""
    other = "numbers" if table.task == "classes" else "classes"
    goal = f"{len(table.classes)} classes" if table.classes else "numbers"
    return (
        f"{table.name}: {rows} rows, {features} features{kinds}, a target of {goal} "
        f"(--task {other} if it holds {other})"
    )


def _provenance(command: str) -> dict[str, str]:
    libraries = ("torch", "numpy", "scikit-learn", "pandas", "joblib")
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        **{name: version(name) for name in libraries},
        "shrinkage": shrinkage.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _described(table: Table, study: Study) -> dict[str, object]:
    rows = divide(table, study, 0)
    described: dict[str, object] = {
        "name": table.name,
        "task": table.task,
        "rows": len(table.target),
        "features": table.frame.shape[1],
        "classes": list(table.classes),
        "train": len(rows.train),
        "validation": len(rows.validation),
        "test": len(rows.test),
        "notes": list(table.notes),
        "trivial": dataclasses.asdict(trivial(table, study)),
        "readings": [dataclasses.asdict(reading) for reading in table.readings],
    }
    if table.is_plane:
        x, y = (table.frame[column].fillna(0.0).tolist() for column in table.frame.columns)
        label = table.target.tolist()
        described["columns"] = list(table.frame.columns)
        described["points"] = {"x": x, "y": y, "label": label}
    return described
