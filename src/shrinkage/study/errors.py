"""The two ways a study ends early, each with one sentence for the user."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UsageError(ValueError):
    """The question cannot be asked: names the argument, its value and the remedy."""


class StoppedError(RuntimeError):
    """The study had to stop. The records so far are safe; the same command goes on from them."""


def nearest(written: str, known: Iterable[str]) -> str:
    """The clause that names the nearest known word, or nothing."""
    lowered = {word.lower(): word for word in known}
    close = difflib.get_close_matches(written.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def is_full(error: Exception) -> bool:
    """Whether there is no room left, on the disk or for this user."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or "is full" in str(error)
