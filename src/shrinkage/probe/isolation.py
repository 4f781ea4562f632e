"""Foreign code leaves no trace: its prints and warnings are kept, the global state is put back."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator

import numpy as np
import torch

MOST = 160  # characters of what foreign code says
LONGEST = 4096  # characters of prints that are kept


class _Kept(io.StringIO):
    """Text that is written to it, up to a length: a loop that prints fills no memory."""

    def write(self, text: str) -> int:
        if self.tell() < LONGEST:
            super().write(text)
        return len(text)


@contextlib.contextmanager
def isolated() -> Iterator[list[str]]:
    """Run foreign code; the list has what it printed and warned, when the block is left."""
    said: list[str] = []
    printed = _Kept()
    with _state_put_back(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield said
    lines = [str(warning.message) for warning in caught] + printed.getvalue().splitlines()
    said += dict.fromkeys(shortened(line) for line in lines if line.strip())


def shortened(text: object) -> str:
    """The first line of `text`, at a length that fits a row."""
    line = next(iter(str(text).strip().splitlines()), "")
    return line if len(line) <= MOST else f"{line[:MOST]}…"


@contextlib.contextmanager
def _state_put_back() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - theirs, to put back
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        if threads != 1:
            torch.set_num_threads(1)  # for so few weights others only get into the way
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
