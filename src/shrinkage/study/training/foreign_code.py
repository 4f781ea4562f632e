"""Run what others wrote, such as a user's model: its errors and its ends become sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

MOST_SHOWN = 300  # characters of a message from foreign code


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Let `os._exit` raise SystemExit, so that a model cannot end the study without a message."""
    exit_process, process = os._exit, os.getpid()

    def raise_exit(status: int) -> NoReturn:
        if os.getpid() != process:  # a process that the model started
            exit_process(status)
        raise SystemExit(status)

    os._exit = raise_exit
    try:
        yield
    finally:
        os._exit = exit_process


def describe_error(error: BaseException) -> str:
    """The kind and the message of an error, on one line of limited length."""
    message = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it tries to end the program, with {message or 'nothing'} as its exit code"
    kind = type(error).__name__
    return f"{kind}: {message[:MOST_SHOWN]}" if message else kind
