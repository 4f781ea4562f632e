"""Trials on a cluster of Dask."""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

import dask
import distributed

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.pool import lost_message
from shrinkage.study.running.remote import describe_cause, describe_origin, run_remotely
from shrinkage.study.spec import Study

PATIENCE = 5  # seconds for the scheduler to answer, and for a first worker to come
REMEDY = "name it as --scheduler tcp://HOST:8786 (`dask scheduler` starts one)"


class _DaskPool:
    """A pool of Dask's workers; see `Pool`."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client

    def count_slots(self) -> int:
        return sum(self._client.nthreads().values())

    def send(self, parts: Parts) -> distributed.Future:
        # The data are the result of a task, which Dask runs again where its worker has died, and
        # which each worker fetches once. Scattered data are lost with their worker, and `scatter`
        # to all workers fails, or never ends, if one of them dies meanwhile.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": sys.maxsize}):
            return self._client.submit(functools.partial(_hold, parts), pure=False)

    def submit(self, study: Study, trial: Trial, sent: distributed.Future) -> distributed.Future:
        origin = describe_origin(study)
        return self._client.submit(run_remotely, study, trial, sent, origin, pure=False)

    def wait(self, handles: Collection[distributed.Future]) -> Collection[distributed.Future]:
        with suppress(CancelledError), self._client.as_current():  # raised where one was lost
            distributed.wait(list(handles), return_when="FIRST_COMPLETED")
        return [handle for handle in handles if handle.status != "pending"]

    def fetch(self, handle: distributed.Future) -> Record | None:
        try:
            outcome: Record | Exception = handle.result()
        except CancelledError:
            if self._client.status != "running":
                raise StoppedError(
                    "the scheduler of Dask is gone: the records so far are kept; run the same "
                    "command again when it is back"
                ) from None
            return None
        except distributed.KilledWorker:
            raise StoppedError(lost_message()) from None
        except Exception as error:  # the worker cannot load the trial
            raise StoppedError(
                f"the workers of Dask cannot run trials ({describe_cause(error)}): install the "
                "same version of shrinkage on them, pip install 'shrinkage[study]'"
            ) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self, handles: Collection[distributed.Future]) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(handles), force=True)


def _hold(parts: Parts) -> Parts:
    return parts


@contextmanager
def connect(scheduler: str | None) -> Iterator[_DaskPool]:
    """Connect to a scheduler, or take the client that this process has, which stays open."""
    client = _find_client() if scheduler is None else None
    if client is not None:
        yield _DaskPool(client)
        return
    scheduler = scheduler or dask.config.get("scheduler-address", None)
    if scheduler is None:
        raise UsageError(f"no scheduler of Dask is known: {REMEDY}")
    try:
        distributed.comm.resolve_address(scheduler)  # refuses what is no address
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"scheduler {scheduler!r} of Dask cannot be reached ({error}): {REMEDY}"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UsageError(
                f"scheduler {scheduler!r} of Dask has no workers: start one there with "
                f"`dask worker {scheduler}`"
            ) from None
        yield _DaskPool(client)


def _find_client() -> distributed.Client | None:
    try:
        return distributed.Client.current()
    except ValueError:  # there is none
        return None
