"""Run one compiled loop on several threads.

On Linux these are the threads of the OpenMP library that is already loaded, with torch that of
torch: its threads stay awake for a while after each parallel operation, and other threads would
compete with them for the cores. OpenMP's threads do not survive a fork. A process that was forked
after this module was imported, and a system without such a library, use a `ThreadPoolExecutor`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from typing import Any

from shrinkage.kernels.jit import Work

_executor: ThreadPoolExecutor | None = None
_is_forked = False


def run(work: Work, job: int, count: int) -> None:
    """Run ``work(job)`` on `count` threads, this one included; `job` hands out the pieces."""
    # A plain call costs less than waking a team of one.
    if count == 1:
        work(job)
        return
    run_in_team = None if _is_forked else openmp()
    if run_in_team is not None:
        # Every thread takes pieces until none is left, so their order does not matter.
        run_in_team(work.address, job, count, 0)
    else:
        _run_by_executor(work, job, count)


@cache
def openmp() -> Callable[[int, int, int, int], Any] | None:
    """OpenMP's call that runs a function on a team: (function, argument, threads, flags)."""
    if sys.platform != "linux":
        return None
    try:
        # The name is GNU's; the libraries of LLVM and Intel have it too.
        run_in_team = ctypes.CDLL(None).GOMP_parallel
    except (OSError, AttributeError):
        return None
    run_in_team.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    run_in_team.restype = None
    return run_in_team


def _run_by_executor(work: Work, job: int, count: int) -> None:
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="shrinkage")
    helpers: list[Future[None]] = []
    # Python may be ending, or no thread be available: then the others take all pieces.
    with suppress(RuntimeError):
        helpers.extend(_executor.submit(work, job) for _ in range(count - 1))
    try:
        work(job)
    finally:
        _wait_for(helpers)


def _wait_for(helpers: list[Future[None]]) -> None:
    """Wait until no helper runs, even if interrupted, and then raise what stopped one of them."""
    stopped: BaseException | None = None
    for helper in helpers:
        while not (helper.cancel() or helper.done()):
            try:
                wait([helper])
            except KeyboardInterrupt as interrupt:
                stopped = interrupt
        if not helper.cancelled():
            stopped = stopped or helper.exception()
    if stopped is not None:
        raise stopped


def _forget_threads() -> None:
    global _executor, _is_forked
    # After a fork only this thread exists, so the parent's executor is dead.
    _executor, _is_forked = None, True


os.register_at_fork(after_in_child=_forget_threads)
