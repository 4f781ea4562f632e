"""What threads, Dask and Ray have in common: trials are handed in, and records come as they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study

MOST_LOSSES = 3  # of workers that had one trial, before it is thought to kill them


class Pool(Protocol):
    """Something that runs trials; a handle stands for a trial that was handed in."""

    def count_slots(self) -> int:
        """How many trials it runs at a time, as it is now."""

    def send(self, parts: Parts) -> Any:
        """Make the data of a split known to whatever runs trials, once for all trials on it."""

    def submit(self, study: Study, trial: Trial, sent: Any) -> Any:
        """Hand in a trial, and return its handle."""

    def wait(self, handles: Collection[Any]) -> Collection[Any]:
        """Wait until some of the trials have ended, and return their handles."""

    def fetch(self, handle: Any) -> Record | None:
        """The record of a trial that has ended; None where it was lost and must run again."""

    def cancel(self, handles: Collection[Any]) -> None:
        """Give up trials that have not ended."""


def run_in_pool(
    pool: Pool,
    study: Study,
    pending: Sequence[Trial],
    parts: Sequence[Parts],
    at_a_time: int | None,
) -> Generator[Record]:
    """Yield records in the order in which the trials end.

    Parameters
    ----------
    at_a_time : int, optional
        How many trials are handed in before the first has ended; by default two for each slot, so
        that none is idle while a record travels.
    """
    waiting: Iterator[Trial] = iter(pending)
    running: dict[Any, Trial] = {}
    sent: dict[int, Any] = {}  # by seed, and let go when its last trial has ended
    losses: Counter[Trial] = Counter()
    try:
        while True:
            most = at_a_time or 2 * max(pool.count_slots(), 1)
            for trial in islice(waiting, max(most - len(running), 0)):
                if trial.seed not in sent:
                    in_use = {other.seed for other in running.values()}
                    sent = {seed: data for seed, data in sent.items() if seed in in_use}
                    sent[trial.seed] = pool.send(parts[trial.seed])
                running[pool.submit(study, trial, sent[trial.seed])] = trial
            if not running:
                return
            lost = []
            for handle in pool.wait(running.keys()):
                trial = running.pop(handle)  # what has ended is not to be cancelled
                record = pool.fetch(handle)
                if record is None:
                    lost.append(trial)
                else:
                    yield record
            if lost:
                _count_losses(losses, lost)
                sent.clear()  # the data were lost with the workers that had them
                waiting = chain(lost, waiting)
    finally:
        pool.cancel(running.keys())


def _count_losses(losses: Counter[Trial], lost: Sequence[Trial]) -> None:
    losses.update(lost)
    for trial in lost:
        if losses[trial] > MOST_LOSSES:
            raise StoppedError(lost_message())


def lost_message() -> str:
    return (
        f"a trial lost its worker more than {MOST_LOSSES} times, perhaps for lack of memory: the "
        "records so far are kept; run the same command again, with fewer --jobs or larger workers"
    )
