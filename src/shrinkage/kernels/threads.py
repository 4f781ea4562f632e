"""Several threads for one compiled loop.

On Linux they are those of the OpenMP library that is loaded already, which is torch's where torch
is: its threads stay awake for a while after each parallel operation, so that others would have to
share their cores with them. OpenMP's threads do not outlive a fork; in a process that was forked
after this was imported, and where there is no such library, they are a few of our own, made when
they are first used.
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

_threads: ThreadPoolExecutor | None = None
_is_forked = False


def run(work: Work, job: int, threads: int) -> None:
    """``work(job)`` on that many threads, this one among them; `job` counts what they take."""
    # One thread needs no team: the call costs less than waking others.
    if threads == 1:
        work(job)
        return
    team = None if _is_forked else openmp()
    if team is not None:
        # Every thread of the team takes pieces until none is left, so the order is free.
        team(work.address, job, threads, 0)
    else:
        _run_on_own(work, job, threads)


@cache
def openmp() -> Callable[[int, int, int, int], Any] | None:
    """OpenMP's (function, argument, threads, flags): the function on a team of threads."""
    if sys.platform != "linux":
        return None
    try:
        team = ctypes.CDLL(None).GOMP_parallel  # of GNU's library; LLVM's and Intel's have it too
    except (OSError, AttributeError):
        return None
    team.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    team.restype = None
    return team


def _run_on_own(work: Work, job: int, threads: int) -> None:
    helpers: list[Future[None]] = []
    with suppress(RuntimeError):  # Python is ending or no thread is to be had: the others do it all
        helpers.extend(_pool().submit(work, job) for _ in range(threads - 1))
    try:
        work(job)
    finally:
        _finish(helpers)


def _finish(helpers: list[Future[None]]) -> None:
    """Wait until nothing runs any more, whatever happens meanwhile, and then say what did."""
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


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="shrinkage")
    return _threads


def _forget() -> None:
    global _threads, _is_forked
    # After a fork only this thread exists: those of the parent are gone.
    _threads, _is_forked = None, True


os.register_at_fork(after_in_child=_forget)
