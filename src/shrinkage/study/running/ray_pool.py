"""Trials on a cluster of Ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.pool import MOST_LOSSES, lost_message
from shrinkage.study.running.remote import describe_cause, describe_origin, run_remotely
from shrinkage.study.spec import Study

PATIENCE = 5.0  # seconds for the runtime to answer
REMEDY = "name it as --scheduler HOST:6379 (`ray start --head` starts one)"


class _RayPool:
    """A pool of Ray's workers; see `Pool`."""

    def __init__(self) -> None:
        self._run = ray.remote(num_cpus=1, max_retries=MOST_LOSSES)(run_remotely)

    def count_slots(self) -> int:
        return int(ray.cluster_resources().get("CPU", 0))

    def send(self, parts: Parts) -> Any:
        return ray.put(parts)

    def submit(self, study: Study, trial: Trial, sent: Any) -> Any:
        return self._run.remote(study, trial, sent, describe_origin(study))

    def wait(self, handles: Collection[Any]) -> Collection[Any]:
        return ray.wait(list(handles), num_returns=1)[0]  # type: ignore[no-any-return]

    def fetch(self, handle: Any) -> Record:
        try:
            outcome: Record | Exception = ray.get(handle)
        except ray.exceptions.RayTaskError as error:  # the worker cannot load the trial
            raise StoppedError(
                f"the workers of Ray cannot run trials ({describe_cause(error)}): install the "
                "same version of shrinkage on them, pip install 'shrinkage[study]'"
            ) from None
        except ray.exceptions.RayError:  # after as many retries as it was told
            raise StoppedError(lost_message()) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self, handles: Collection[Any]) -> None:
        with suppress(Exception):  # the runtime may be gone
            # Ray ends this process where a task is cancelled that has just ended.
            _, running = ray.wait(list(handles), num_returns=len(handles), timeout=0)
            for handle in running:
                ray.cancel(handle, force=True)


@contextmanager
def connect(scheduler: str | None) -> Iterator[_RayPool]:
    """Connect to a runtime, or take the one that this process is connected to, which stays so."""
    if scheduler is None and ray.is_initialized():
        yield _RayPool()
        return
    scheduler = scheduler or "auto"
    try:
        _check_reachable(scheduler)
        with _keep_sigterm():
            ray.init(address=scheduler, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: already connected
        reason = " ".join(str(error).split())
        raise UsageError(
            f"scheduler {scheduler!r} of Ray cannot be reached ({reason}): {REMEDY}"
        ) from None
    try:
        yield _RayPool()
    finally:
        ray.shutdown()


def _check_reachable(scheduler: str) -> None:
    """Raise an OSError at once where nothing listens, for which Ray itself waits a minute.

    "auto" is the address in the environment, or the one that a runtime of this machine has left in
    its folder, where it stays when the runtime is gone.
    """
    if scheduler == "auto":
        left = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
        scheduler = os.environ.get("RAY_ADDRESS") or (left.read_text() if left.exists() else "")
    host, colon, port = scheduler.strip().removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


@contextmanager
def _keep_sigterm() -> Iterator[None]:
    """Leave SIGTERM to the command, which Ray takes for itself when it connects."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
