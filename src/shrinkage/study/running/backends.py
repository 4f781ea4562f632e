"""Where the trials of a study run: on this machine, or on a cluster of Dask or Ray."""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import joblib

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.local import check_jobs, run_trials
from shrinkage.study.running.pool import Pool, run_in_pool
from shrinkage.study.spec import Study

PACKAGES = {"dask": "dask[distributed]", "ray": "ray[client]"}
NAMES = ("local", *PACKAGES)


class Backend(Protocol):
    """Where trials run."""

    def count(self, trials: int) -> int:
        """How many of so many trials run at a time."""

    def run(
        self, study: Study, pending: Sequence[Trial], parts: Sequence[Parts]
    ) -> Generator[Record]:
        """Yield records in the order in which the trials end."""


class _Local:
    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs

    def count(self, trials: int) -> int:
        return min(self._jobs or joblib.cpu_count(), trials)

    def run(
        self, study: Study, pending: Sequence[Trial], parts: Sequence[Parts]
    ) -> Generator[Record]:
        return run_trials(study, pending, parts, self._jobs)


class _Cluster:
    def __init__(self, pool: Pool, jobs: int | None) -> None:
        self._pool = pool
        self._jobs = jobs

    def count(self, trials: int) -> int:
        slots = self._pool.count_slots()
        return min(self._jobs or slots, slots, trials)

    def run(
        self, study: Study, pending: Sequence[Trial], parts: Sequence[Parts]
    ) -> Generator[Record]:
        return run_in_pool(self._pool, study, pending, parts, self._jobs)


def check_backend(name: str | None, scheduler: str | None, jobs: int | None) -> None:
    """Refuse an unknown backend, a scheduler without one, and jobs that cannot be.

    Raises
    ------
    UsageError
    """
    if name is not None and name not in NAMES:
        raise UsageError(
            f"backend must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, got {name!r}"
            f"{suggest(str(name), NAMES)}"
        )
    if scheduler is not None and name not in PACKAGES:
        raise UsageError(
            f"scheduler {scheduler!r} is for a cluster: name its backend, dask or ray, too"
        )
    check_jobs(jobs, here=name not in PACKAGES)


@contextmanager
def open_backend(
    name: str | None = None, scheduler: str | None = None, jobs: int | None = None
) -> Iterator[Backend]:
    """Connect to where trials run, for the length of a block.

    Parameters
    ----------
    name : "local", "dask", "ray" or None
        None is "local".
    scheduler : str, optional
        The address of a cluster; by default the one that this process is connected to.
    jobs : int, optional
        The most trials at a time; by default one for each processor of the machine or cluster.

    Raises
    ------
    UsageError
        If a package is missing, or the cluster cannot be reached or has no workers.
    """
    check_backend(name, scheduler, jobs)
    if name not in PACKAGES:
        yield _Local(jobs)
        return
    try:
        # The module of a backend imports its package, which takes long and may not be there.
        module = importlib.import_module(f"shrinkage.study.running.{name}_pool")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"backend {name!r} needs {error.name}, which is not installed: "
            f"pip install '{PACKAGES[name]}'"
        ) from None
    with module.connect(scheduler) as pool:
        yield _Cluster(pool, jobs)
