"""Foreign code that takes too long is given up: between two steps, or in the middle of one."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

AGAIN = 1.0  # seconds after which an alarm that foreign code has caught rings again


class OutOfTimeError(BaseException):
    """It is too slow for the time that there is; not an Exception, or foreign code catches it."""


@dataclass(frozen=True)
class Deadline:
    """Points in time that a probe must not pass, looked at between two steps."""

    processor: float = math.inf  # of time.process_time: a busy machine changes nothing
    clock: float = math.inf  # of time.monotonic

    @classmethod
    def after(cls, *, processor: float, clock: float) -> Deadline:
        """So many seconds from now."""
        return cls(time.process_time() + processor, time.monotonic() + clock)

    def check(self) -> None:
        """Raise OutOfTimeError where one of them is passed."""
        if self.is_late or time.process_time() > self.processor:
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
    if not _can_ring(seconds):
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


def _can_ring(seconds: float) -> bool:
    return (
        0 < seconds < threading.TIMEOUT_MAX
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
        and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
    )
