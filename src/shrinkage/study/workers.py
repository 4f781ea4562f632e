"""Trials side by side, in processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import joblib

from shrinkage.study import training
from shrinkage.study.errors import StoppedError
from shrinkage.study.examples import Parts
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study

HEARTBEAT = 1.0  # seconds between two looks whether the starting process is there


def trained(
    study: Study, pending: Sequence[Trial], parts: Sequence[Parts], jobs: int | None
) -> Generator[Record]:
    """Records in the order in which trials end.

    Parameters
    ----------
    jobs : int, optional
        Processes; by default one a processor. One trial at a time runs in this process.

    Raises
    ------
    StoppedError
        If a process is killed from outside.
    """
    count = min(jobs or joblib.cpu_count(), len(pending))
    if count <= 1:
        for trial in pending:
            yield training.train(study, trial, parts[trial.seed])
        return
    parallel = joblib.Parallel(n_jobs=count, batch_size=1, return_as="generator_unordered")
    train = joblib.delayed(_train_for)
    tasks = (train(os.getpid(), study, trial, parts[trial.seed]) for trial in pending)
    try:
        with _children_without_interrupts():
            records = parallel(tasks)
        try:
            for record in records:  # noqa: UP028 - "yield from" would close with a warning
                yield record
        finally:
            _close(records)
    except BrokenProcessPool:
        raise StoppedError(
            "a trial's process was killed, perhaps for want of memory: the records so far are "
            "kept; run the same command again, with fewer --jobs"
        ) from None


def _close(records: Generator[Record]) -> None:
    """End the trials that still run; that they are cancelled is what was wanted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have been cancelled", category=UserWarning)
        records.close()


def _train_for(starter: int, study: Study, trial: Trial, parts: Parts) -> Record:
    if os.getppid() == starter:
        _end_without(starter)
    return training.train(study, trial, parts)


_watched: set[int] = set()


def _end_without(starter: int) -> None:
    """End this process soon after `starter` is killed, in the middle of a trial or waiting."""
    if starter in _watched:
        return
    _watched.add(starter)

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(HEARTBEAT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _children_without_interrupts() -> Iterator[None]:
    """Processes started here leave Ctrl-C to this one, which ends them without their tracebacks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
