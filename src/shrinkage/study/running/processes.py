"""Run trials in processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import joblib

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.parent_watch import end_with_parent
from shrinkage.study.running.trial_errors import run_one
from shrinkage.study.spec import Study


def run_in_processes(
    study: Study, pending: Sequence[Trial], parts: Sequence[Parts], count: int
) -> Generator[Record]:
    """Yield records in the order in which the trials end, `count` of them at a time.

    Raises
    ------
    StoppedError
        If a process is killed from outside.
    """
    parallel = joblib.Parallel(
        n_jobs=count,
        backend="loky",
        batch_size=1,
        return_as="generator_unordered",
        initializer=end_with_parent,  # runs before the first trial, which loads torch
        initargs=(os.getpid(), os.getcwd()),  # joblib reuses processes only for equal arguments
    )
    train = joblib.delayed(run_one)
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
