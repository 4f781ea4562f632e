"""A few threads of our own, on which compiled loops run without holding Python back.

OpenMP's threads do not outlive a fork; these are made anew after one, and when they are first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

Task = Callable[[], object]

_threads: ThreadPoolExecutor | None = None


def run(tasks: Iterable[Task], threads: int) -> None:
    """Every task, by as many threads as that, this one among them, which take them in turn."""
    waiting = iter(tasks)

    def work() -> None:
        for task in waiting:
            task()

    helpers: list[Future[None]] = []
    with suppress(RuntimeError):  # Python is ending or no thread is to be had: the others do it all
        helpers.extend(_pool().submit(work) for _ in range(threads - 1))
    try:
        work()
    finally:
        for _ in waiting:  # after an error, or Ctrl-C: nobody takes another task
            pass
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
    global _threads
    _threads = None


os.register_at_fork(after_in_child=_forget)
