"""The loops as plain Python: slow for many entries, but nothing has to be compiled."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from shrinkage.kernels import intrinsics, launch, step_counts
from shrinkage.torch.fused import batch


class Record:
    """A record whose fields are attributes, also one that is called size."""

    def __init__(self, fields: Any) -> None:
        self.__dict__["fields"] = fields

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.fields[name] = value


class Records:
    def __init__(self, numbers: Any) -> None:
        self.numbers, self.size = numbers, len(numbers)

    def __getitem__(self, at: int) -> Record:
        return Record(self.numbers[at])


def memory(address: int, size: int, like: Any) -> Any:
    """What Numba's pointer gives."""
    if not address:  # a state that this optimizer has not
        return np.zeros(int(size), like.dtype)
    place = (ctypes.c_char * (int(size) * like.itemsize)).from_address(int(address))
    numbers = np.frombuffer(place, like.dtype)
    return Records(numbers) if like.dtype.names else numbers


def next_piece(address: int) -> int:
    count = memory(address, 1, np.empty(0, np.int64))
    count[0] += 1
    return int(count[0]) - 1


def bits(x: Any) -> Any:
    return x.view(np.int32 if x.dtype == np.float32 else np.int64)


def number(word: Any) -> Any:
    return word.view(np.float32 if word.dtype == np.int32 else np.float64)


def load(numbers: Any, at: int) -> Any:
    return intrinsics.widened(numbers[at]) if numbers.dtype == np.uint16 else numbers[at]


def store(numbers: Any, at: int, x: Any) -> Any:
    if numbers.dtype == np.uint16:
        return intrinsics._store_rounded(numbers, at, x)
    numbers[at] = x
    return x


def part(numbers: Any, low: int, size: int) -> Any:
    """Which compiled loops take without looking whether it is there."""
    assert 0 <= low <= low + size <= len(numbers)
    return numbers[low : low + size]


INTRINSICS: list[Callable[..., Any]] = [memory, next_piece, bits, number, load, store, part]


def compile_nothing(loop: Callable[[int], None], *parts: object) -> Callable[[int], None]:
    def work(job: int) -> None:
        with np.errstate(all="ignore"):
            loop(job)

    return work


@contextmanager
def plain_loops() -> Iterator[None]:
    """Within it the loops of optimizers that are made are plain Python, on one thread."""
    with ExitStack() as stack:

        def replace(module: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(module, name, value))

        for name, module in list(sys.modules.items()):
            for twin in INTRINSICS if name.startswith("shrinkage.kernels.") else ():
                if hasattr(module, twin.__name__):
                    replace(module, twin.__name__, twin)
        for module in (launch, step_counts):
            replace(module, "compile_job", compile_nothing)
        replace(launch, "compile_loop", launch.compile_loop.__wrapped__)
        replace(batch, "compile_counts", step_counts.compile_counts.__wrapped__)
        yield
