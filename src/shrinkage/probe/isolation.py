"""Run foreign code without side effects, and stop it when it takes too long.

Its prints and warnings are collected, and the global state is restored. Time is checked between two
steps or, by an alarm, in the middle of one.
"""

from __future__ import annotations

import contextlib
import io
import math
import random
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from shrinkage.probe.limits import shorten

LONGEST = 4096  # characters of prints that are kept


class _Bounded(io.StringIO):
    """A text stream that keeps only its beginning, so that endless prints fill no memory."""

    def write(self, text: str) -> int:
        if self.tell() < LONGEST:
            super().write(text)
        return len(text)


@contextmanager
def isolate() -> Iterator[list[str]]:
    """Run foreign code; after the block the list has its prints and warnings."""
    messages: list[str] = []
    printed = _Bounded()
    with _restore_state(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield messages
    lines = [str(warning.message) for warning in caught] + printed.getvalue().splitlines()
    messages += dict.fromkeys(shorten(line) for line in lines if line.strip())


@contextmanager
def _restore_state() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - theirs, to put back
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        if threads != 1:
            torch.set_num_threads(1)  # more threads only slow down so few weights
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


AGAIN = 1.0  # seconds after which an alarm that foreign code caught is repeated


class OutOfTimeError(BaseException):
    """Time is up. It is no Exception, so that foreign code does not catch it."""


@dataclass(frozen=True)
class Deadline:
    """Points in time that a probe must not pass, checked between two steps."""

    processor: float = math.inf  # of time.process_time: a busy machine changes nothing
    clock: float = math.inf  # of time.monotonic

    @classmethod
    def after(cls, *, processor: float, clock: float) -> Deadline:
        """So many seconds from now."""
        return cls(time.process_time() + processor, time.monotonic() + clock)

    def check(self) -> None:
        """Raise OutOfTimeError where one of them is passed."""
        if self.is_late:
            raise OutOfTimeError
        # Without a limit nothing is asked: it may take as long as a step.
        if self.processor < math.inf and time.process_time() > self.processor:
            raise OutOfTimeError

    @property
    def is_late(self) -> bool:
        """Whether time on the clock is up."""
        return time.monotonic() > self.clock


NO_DEADLINE = Deadline()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block after `seconds`, also in the middle of a step.

    It takes a signal, so nothing happens outside the main thread, on Windows, and where an alarm
    of someone else is set already. Compiled code is not interrupted before it returns.
    """
    can_ring = (
        0 < seconds < threading.TIMEOUT_MAX
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
        and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
    )
    if not can_ring:
        yield
        return
    is_on = True

    def ring(*_: object) -> None:
        if is_on:
            raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        yield
    finally:
        is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
