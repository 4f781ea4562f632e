"""A process that lives and ends with the one that started it. Imports nothing heavy."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from os import _exit

HEARTBEAT = 1.0  # seconds between two looks whether the starting process is there


@functools.cache
def end_with_parent(starter: int, directory: str) -> None:
    """Work in `directory`, and end when `starter` is gone: in a trial, waiting, or loading.

    Ctrl-C is left to `starter`, which ends this process without its traceback.
    """
    os.chdir(directory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(HEARTBEAT)
        _exit(1)

    threading.Thread(target=watch, daemon=True).start()
