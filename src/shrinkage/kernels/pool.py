"""A few threads of our own, on which compiled loops run without holding Python back.

OpenMP's threads do not outlive a fork; these are made anew after one, and when they are first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
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
    with suppress(RuntimeError):  # Python is ending and takes no new work: this thread does it all
        helpers += [_pool().submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="shrinkage")
    return _threads


def _forget() -> None:
    global _threads
    _threads = None


os.register_at_fork(after_in_child=_forget)
