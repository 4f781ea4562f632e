"""Let NumPy and SciPy calculate in one thread while trials run beside each other."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_inside: list[Any] = []  # the limits in force: one for each thread inside


@functools.cache
def _controller(has_scipy: bool) -> Any:
    """The libraries that are loaded: SciPy has a BLAS of its own, where it is imported."""
    return ThreadpoolController()


@contextmanager
def use_one_blas_thread() -> Iterator[None]:
    """Small products in several threads wait for each other longer than they calculate.

    The number of threads belongs to the whole process: the first caller lowers it, and the last one
    to leave restores it.
    """
    with _lock:
        if not _inside:
            controller = _controller("scipy.linalg" in sys.modules)
            _inside.append(controller.limit(limits=1, user_api="blas"))
        _inside.append(None)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if len(_inside) == 1:
                _inside.pop().restore_original_limits()
