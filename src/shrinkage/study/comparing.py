"""The whole study, from a question to its results."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from shrinkage.study.data.examples import Parts
from shrinkage.study.data.limits import describe_limits
from shrinkage.study.data.memory import describe_memory
from shrinkage.study.data.sources import read_source
from shrinkage.study.data.splits import SeedParts, split_rows
from shrinkage.study.data.table import Table, prepare_table
from shrinkage.study.describing import collect_provenance, describe_data, describe_table
from shrinkage.study.errors import UsageError
from shrinkage.study.finishing import choose_and_score, keep_model
from shrinkage.study.formatting import pluralize
from shrinkage.study.identity import hash_identity, identify
from shrinkage.study.model.refit import check_rows
from shrinkage.study.progress import Progress, describe_expected, show_progress
from shrinkage.study.records import Trial
from shrinkage.study.results import Results
from shrinkage.study.running.backends import Backend, open_backend
from shrinkage.study.running.trial_errors import needs_torch
from shrinkage.study.scores import find_metric
from shrinkage.study.sharding import deal_trials
from shrinkage.study.spec import DATA, METHODS, STRENGTHS, Study, grid_from_text
from shrinkage.study.storage.features_csv import write_features_csv
from shrinkage.study.storage.record_writer import RecordWriter
from shrinkage.study.storage.store import Store, find_recorded, open_store
from shrinkage.study.storage.trials_csv import write_csv
from shrinkage.study.training.model_function import hash_model_source
from shrinkage.study.training.optimizers import default_lr
from shrinkage.study.training.rehearsal import rehearse

OUT = "shrinkage-study"
START = 4.0  # seconds, roughly, until several processes have loaded torch


def compare(
    data: str | Path | pd.DataFrame | tuple[Any, Any] = DATA,
    *,
    target: str | None = None,
    penalty: str | Sequence[str] = METHODS,
    strengths: str | Sequence[float] = STRENGTHS,
    seeds: int = 3,
    folds: int | None = None,
    model: str = "mlp:64",
    optimizer: str = "adam",
    lr: float | None = None,
    epochs: int | None = None,
    jobs: int | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    subject: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    sample: int | None = None,
    balanced: bool = False,
    prefer: str = "score",
    refit: str | None = "rest",
    out: str | Path = OUT,
    quiet: bool = False,
) -> Results:
    """Compare weight regularizations on data: every method, a grid of strengths, several seeds.

    Parameters that are not described here are those of `shrinkage.study.Study`.

    Parameters
    ----------
    data : str, path, data frame or pair of arrays
        A data set that comes with the library ("friedman", "spiral", "digits", "breast_cancer",
        "wine", "iris", "diabetes"); a file that ends in .csv, .tsv, .parquet, .npz, .xlsx, .json,
        .jsonl or .feather, perhaps followed by .gz, .bz2, .xz or .zip; a frame of pandas or polars;
        or (X, y). How each column was read is printed, and kept in `results.readings`.
    penalty : str or sequence of str
        Methods such as "l1@proximal"; "none" is always compared.
    jobs : int, optional
        How many trials run at a time; by default one per processor.
    backend : "local", "dask" or "ray", optional
        Where trials run: here, or on a cluster, whose workers need shrinkage as well.
    scheduler : str, optional
        The address of the cluster, "tcp://host:8786" or "ray://host:10001"; by default what
        this process is connected to, or a Ray on this machine.
    shard : str, optional
        "2/8" runs the second of eight shares of the trials; `merge` puts the folders together.
    prefer : "score" or "sparse"
        What the verdict recommends. Changing it for a finished study trains nothing.
    refit : "rest", "all" or None
        What the recommended model is fitted on at the end, for use: all rows but the test part,
        all rows, or nothing. It is `results.model`, and stands in `out`/model.
    out : path
        The study's folder. An unfinished study in it is continued; a different one is refused.
    quiet : bool
        Whether to print no progress.

    Returns
    -------
    Results
        Records, choices and a verdict in words; `results.table()` is a data frame.

    Raises
    ------
    UsageError
        For arguments that make no study; nothing is written then.
    StoppedError
        If the disk is full or fails, another program locks the study's file, or a trial cannot be
        trained to its end; the records made so far are safe.

    Examples
    --------
    ::

        results = compare("data.csv", target="y", penalty=["l1@proximal", "l2@decoupled"])
        print(results)  # a table and a verdict; the folder has the page and every record
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
        metric=metric,
        sample=sample,
        balanced=balanced,
        methods=(penalty,) if isinstance(penalty, str) else tuple(penalty),
        strengths=grid,
        seeds=seeds,
        folds=folds,
        model=model,
        optimizer=optimizer,
        lr=lr,
        epochs=epochs,
        prefer=prefer,
    )
    frame = None if isinstance(data, str | Path) else data
    return run_study(
        study,
        out=Path(out),
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        shard=shard,
        frame=frame,
        rows=refit,
        quiet=quiet,
    )


def run_study(
    study: Study,
    *,
    out: Path = Path(OUT),
    jobs: int | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    frame: object = None,
    rows: str | None = "rest",
    quiet: bool = False,
    command: str = "shrinkage.study.compare(...)",
) -> Results:
    """Answer the question of `study` in the folder `out`; see `compare` (`rows` is `refit`)."""
    check_rows(rows)
    trials = deal_trials(study, shard)
    with open_backend(backend, scheduler, jobs) as where:
        return _answer(
            study,
            trials,
            where,
            out=out,
            jobs=jobs,
            frame=frame,
            rows=rows,
            quiet=quiet,
            command=command,
        )


def _answer(
    study: Study,
    trials: Sequence[Trial],
    backend: Backend,
    *,
    out: Path,
    jobs: int | None,
    frame: object,
    rows: str | None,
    quiet: bool,
    command: str,
) -> Results:
    """Run the trials, and finish the study unless others are missing."""
    table, target = _read_table(study, frame)
    parts = SeedParts(table, study)
    study = study.with_defaults(
        target=target,
        task=table.task,
        lr=default_lr(study.optimizer),
        train_rows=len(parts[0].train.X),
    )
    limits = describe_limits(table, split_rows(table, study, 0), study)
    table = dataclasses.replace(table, notes=(*table.notes, *limits))
    identity = identify(
        study, data_digest=table.digest, model_digest=hash_model_source(study.model)
    )
    recorded = find_recorded(out, identity)
    methods = dict.fromkeys(trial.method for trial in trials if trial not in recorded)
    trial_seconds = rehearse(study, parts[0], list(methods))
    metadata = {
        "question": {**dataclasses.asdict(study), "digest": hash_identity(identity)},
        "provenance": collect_provenance(command),
        "data": describe_data(table, study),
    }
    with show_progress(quiet) as progress, open_store(out, identity, metadata) as store:
        at_a_time = backend.count(len(trials))
        is_slow = at_a_time > 1 and any(needs_torch(study, method, parts) for method in methods)
        memory = describe_memory(table, parts, at_a_time if is_slow else 0)
        for line in [*describe_table(table), *memory]:
            progress.say(line)
        _run_pending(study, trials, parts, store, backend, progress, trial_seconds)
        if not store.is_finished():
            choose_and_score(study, table, store)
        results = store.read_results()
        if results.verdict:
            keep_model(results, table, study, rows, jobs, progress)
    write_csv(results, out / "trials.csv")
    write_features_csv(results, out / "features.csv")
    return results


def _read_table(study: Study, frame: object) -> tuple[Table, str]:
    """The table and the name of its target; the source's own columns are not kept in memory."""
    source = read_source(study.data if frame is None else frame)
    return prepare_table(source, study), study.target or source.target or ""


def _run_pending(
    study: Study,
    trials: Sequence[Trial],
    parts: Sequence[Parts],
    store: Store,
    backend: Backend,
    progress: Progress,
    trial_seconds: Mapping[str, float],
) -> None:
    """Run the trials that have no record yet, and store each record as soon as it is made."""
    wanted = set(trials)
    earlier = [record for record in store.read_results().records if record.trial in wanted]
    done = {record.trial for record in earlier}
    if store.damaged:
        count = pluralize(store.damaged, "damaged record")
        progress.say(f"{count} removed: the same trials run again")
    pending = [trial for trial in trials if trial not in done]
    at_a_time = backend.count(len(pending))
    seconds = math.fsum(trial_seconds.get(trial.method, 0.0) for trial in pending)
    seconds /= max(at_a_time, 1)
    if at_a_time > 1 and any(
        needs_torch(study, method, parts) for method in {trial.method for trial in pending}
    ):
        seconds += START
    progress.start(
        len(trials),
        earlier,
        find_metric(study.metric, parts[0].task),
        folds=study.folds,
        expected=describe_expected(seconds, at_a_time),
    )
    with (
        RecordWriter(store.add) as writer,
        closing(backend.run(study, pending, parts)) as records,
    ):
        for record in records:
            writer.add(record)
            progress.advance(record)
