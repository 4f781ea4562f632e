"""The two errors that end a study early, each with one sentence for the user."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UsageError(ValueError):
    """The arguments do not make a study; the message names the argument, its value and the remedy.

    Examples
    --------
    >>> from shrinkage.study import Study
    >>> Study(task="classes?")
    Traceback (most recent call last):
    shrinkage.study.errors.UsageError: task must be regression or classification, got 'classes?'
    """


class StoppedError(RuntimeError):
    """The study had to stop; its records are safe, and the same command continues from them.

    Examples
    --------
    A full disk, or a worker that dies again and again, stops a study::

        try:
            results = compare("digits", out="mine")
        except StoppedError as error:
            print(error)  # what to do; then the same call goes on from "mine"
    """


def suggest(written: str, known: Iterable[str]) -> str:
    """A clause that suggests the most similar known word, or "" without any."""
    lowered = {word.lower(): word for word in known}
    close = difflib.get_close_matches(written.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def is_full(error: Exception) -> bool:
    """Whether the disk is full, or this user's share of it."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or "is full" in str(error)
