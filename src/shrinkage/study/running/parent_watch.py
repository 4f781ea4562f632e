"""Let a process end together with the one that started it. This file imports nothing heavy."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from os import _exit

HEARTBEAT = 1.0  # seconds between two checks that the starting process is alive


@functools.cache
def end_with_parent(starter: int, directory: str) -> None:
    """Work in `directory`, and end as soon as `starter` has ended, whatever this process does.

    Ctrl-C is left to `starter`, so that this process prints no traceback.
    """
    os.chdir(directory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(HEARTBEAT)
        _exit(1)

    threading.Thread(target=watch, daemon=True).start()
