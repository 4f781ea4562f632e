"""Run trials in threads of this process, for engines that do not hold Python's lock."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from shrinkage.study.data.examples import Parts
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.pool import run_in_pool
from shrinkage.study.running.trial_errors import run_one
from shrinkage.study.spec import Study


class _Threads:
    """A pool of threads; see `Pool`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stop = threading.Event()
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="trial")

    def count_slots(self) -> int:
        return self._count

    def send(self, parts: Parts) -> Parts:
        return parts

    def submit(self, study: Study, trial: Trial, sent: Parts) -> Future[Record]:
        return self._executor.submit(run_one, study, trial, sent, self._stop)

    def wait(self, handles: Collection[Future[Record]]) -> Collection[Future[Record]]:
        return wait(handles, return_when=FIRST_COMPLETED).done

    def fetch(self, handle: Future[Record]) -> Record:
        return handle.result()

    def cancel(self, handles: Collection[Future[Record]]) -> None:
        """Also ends the threads: the trials that still run are told to stop, and waited for."""
        self._stop.set()
        self._executor.shutdown(cancel_futures=True)


def run_in_threads(
    study: Study, pending: Sequence[Trial], parts: Sequence[Parts], count: int
) -> Generator[Record]:
    """Yield records in the order in which the trials end, `count` of them at a time."""
    yield from run_in_pool(_Threads(count), study, pending, parts, None)
