"""Run trials on this machine: in threads where their engine allows it, else in processes."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import joblib

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.processes import run_in_processes
from shrinkage.study.running.threads import run_in_threads
from shrinkage.study.running.trial_errors import needs_torch, run_one
from shrinkage.study.spec import Study

MOST_PER_PROCESSOR = 8  # trials at a time, per processor


def check_jobs(jobs: object, *, here: bool = True) -> None:
    """Refuse a number of trials at a time that is not positive.

    Parameters
    ----------
    here : bool
        Whether they run on this machine, which too many would overload.

    Raises
    ------
    UsageError
    """
    if jobs is None:
        return
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UsageError(f"jobs must be a whole number from 1 up, got {jobs!r}")
    most = MOST_PER_PROCESSOR * joblib.effective_n_jobs(-1)
    if here and jobs > most:
        raise UsageError(
            f"jobs must be at most {most} here, {MOST_PER_PROCESSOR} for each processor, got {jobs}"
        )


def run_trials(
    study: Study, pending: Sequence[Trial], parts: Sequence[Parts], jobs: int | None
) -> Generator[Record]:
    """Yield records in the order in which the trials end; those that run in threads come first.

    Parameters
    ----------
    jobs : int, optional
        How many run at a time; by default one per processor. With one, they run in this thread.

    Raises
    ------
    StoppedError
        If a process is killed from outside, or a model raises an error during a trial.
    """
    count = min(jobs or joblib.cpu_count(), len(pending))
    if count <= 1:
        for trial in pending:
            yield run_one(study, trial, parts[trial.seed])
        return
    methods = {trial.method for trial in pending}
    slow = {method for method in methods if needs_torch(study, method, parts)}
    threaded = [trial for trial in pending if trial.method not in slow]
    others = [trial for trial in pending if trial.method in slow]
    if threaded:
        yield from run_in_threads(study, threaded, parts, count)
    if others:
        yield from run_in_processes(study, others, parts, min(count, len(others)))
