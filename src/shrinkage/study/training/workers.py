"""Run trials in parallel, in processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import joblib

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial, name_split
from shrinkage.study.spec import Study
from shrinkage.study.training import engines
from shrinkage.study.training.foreign_code import describe_error, exits_as_errors
from shrinkage.study.training.parent_watch import end_with_parent

MOST_PER_PROCESSOR = 8  # processes per processor
START = 4.0  # seconds, roughly, until several processes have loaded what they need


def check_jobs(jobs: object) -> None:
    """Refuse a number of processes that is not positive, or that would overload the machine.

    Raises
    ------
    UsageError
    """
    if jobs is None:
        return
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UsageError(f"jobs must be a whole number from 1 up, got {jobs!r}")
    most = MOST_PER_PROCESSOR * joblib.effective_n_jobs(-1)
    if jobs > most:
        raise UsageError(
            f"jobs must be at most {most} here, {MOST_PER_PROCESSOR} for each processor, got {jobs}"
        )


def count_processes(jobs: int | None, pending: Sequence[Trial]) -> int:
    """How many of the trials run at a time."""
    return min(jobs or joblib.cpu_count(), len(pending))


def run_trials(
    study: Study, pending: Sequence[Trial], parts: Sequence[Parts], jobs: int | None
) -> Generator[Record]:
    """Yield records in the order in which the trials end.

    Parameters
    ----------
    jobs : int, optional
        Processes; by default one per processor. With one, the trials run in this process.

    Raises
    ------
    StoppedError
        If a process is killed from outside, or a model raises an error during a trial.
    """
    count = count_processes(jobs, pending)
    if count <= 1:
        for trial in pending:
            yield _run_trial(study, trial, parts[trial.seed])
        return
    parallel = joblib.Parallel(
        n_jobs=count,
        batch_size=1,
        return_as="generator_unordered",
        initializer=end_with_parent,  # runs before the first trial, which loads torch
        initargs=(os.getpid(), os.getcwd()),  # joblib reuses processes only for equal arguments
    )
    train = joblib.delayed(_run_trial)
    tasks = (train(study, trial, parts[trial.seed]) for trial in pending)
    try:
        with _defer_interrupts():
            records = parallel(tasks)
        try:
            for record in records:  # noqa: UP028 - "yield from" would close with a warning
                yield record
        finally:
            _close(records)
    except BrokenProcessPool:
        raise StoppedError(
            "a trial's process was killed, perhaps for lack of memory: the records so far are "
            "kept; run the same command again, with fewer --jobs"
        ) from None


def _close(records: Generator[Record]) -> None:
    """Cancel the trials that still run, without joblib's warning about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have been cancelled", category=UserWarning)
        records.close()


def _run_trial(study: Study, trial: Trial, parts: Parts) -> Record:
    """Run a trial; any unexpected error of the model or of torch becomes a StoppedError."""
    try:
        with exits_as_errors():
            return engines.run_trial(study, trial, parts)
    except (KeyboardInterrupt, MemoryError, UsageError, StoppedError):
        raise
    except BaseException as error:
        raise StoppedError(
            f"{trial.method} at {trial.strength:g}, {name_split(trial.seed, study.folds)}, cannot "
            f"be trained: {describe_error(error)}; the records so far are kept"
        ) from None


@contextmanager
def _defer_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C, also from processes that start meanwhile, until they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
