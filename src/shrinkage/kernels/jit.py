"""Compile loops when they are first used, and cache them on disk where that is possible."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock, Timer
from types import FunctionType
from typing import Any

from numba import cfunc, types
from numba.extending import register_jitable

from shrinkage import penalties
from shrinkage.kernels.private import kept_compiler, loop_compilers

Loop = Callable[..., Any]
SIGNATURE = types.void(types.int64)  # the address of a job: in C a pointer, in the same register
PATIENCE = 2.0  # seconds; a longer wait is explained by a message
logger = logging.getLogger("shrinkage")
# What a full disk or a truncated file can raise.
DAMAGED = OSError, EOFError, UnpicklingError, ValueError, AttributeError, IndexError, ImportError


@lru_cache(maxsize=1)
def sources() -> str:
    """A digest of all source that loops are made from: this folder and the penalties' files.

    It is part of the name of machine code on disk, so that code of other sources is never used.
    Numba itself compares only the file that defines a loop, not the files of what the loop calls.
    """
    folders = Path(__file__).parent, Path(penalties.__file__).parent
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


# Options for every function that loops call.
OPTIONS: dict[str, Any] = {"no_cfunc_wrapper": True}
# Options for loops: division by 0 gives infinity, as in NumPy; a·b + c may be one fused operation.
LOOP_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
if (_compilers := loop_compilers()) is not None:
    LOOP_OPTIONS["pipeline_class"], OPTIONS["pipeline_class"] = _compilers


def jitable_with(**options: Any) -> Callable[[Loop], Loop]:
    """`jitable` with further options of Numba's."""
    decorate: Callable[[Loop], Loop] = register_jitable(**OPTIONS, **options)
    return decorate


jitable = jitable_with()  # for functions that loops call
# For loops over a chunk: they are inlined, so that what such a loop reads of a parameter is loaded
# once, and are optimized (vectorized) before that, while they are short.
tight = jitable_with(forceinline=True)


class Work:
    """A loop as machine code, which any thread may call with the address of a job.

    A job is a record that begins with the index of the next piece; addresses and sizes follow. The
    call releases Python's global lock.
    """

    def __init__(self, function: Any) -> None:
        self._function = function  # owns the machine code
        self.address: int = function.address
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)

    def __call__(self, job: int) -> None:
        self._call(job)


def compile_job(loop: Loop, *parts: object) -> Work:
    """Compile `loop`, a function of the address of a job.

    `parts` distinguish it from every other loop that the same function makes, the type of its
    numbers included. Machine code from the disk is linked by the names of functions, which Numba
    makes unique only within one process, and two processes that write one file at once could each
    load the other's code. So every loop gets a unique name and file. Where nothing can be written
    beside this package or in the user's cache folder, or where a file is truncated, each process
    compiles for itself.
    """
    _rename(loop, hashlib.sha256(repr((sources(), parts)).encode()).hexdigest()[:16])
    with _explain_long_wait(), _without_collector():
        try:
            return Work(_compile_kept(loop))
        except (*DAMAGED, RuntimeError):  # the last: numba found no folder
            return Work(cfunc(SIGNATURE, **LOOP_OPTIONS)(loop))


def _compile_kept(loop: Loop) -> Any:
    """Load a loop from the disk, or compile it and keep it there."""
    if _compilers is None or (compile_kept := kept_compiler()) is None:
        return cfunc(SIGNATURE, cache=True, **LOOP_OPTIONS)(loop)
    return compile_kept(loop, SIGNATURE, **LOOP_OPTIONS)


@contextmanager
def _explain_long_wait() -> Iterator[None]:
    """Log one line, which Python shows on stderr, if the work takes longer than `PATIENCE`."""
    timer = Timer(PATIENCE, _log_compiling)
    timer.daemon = True
    with suppress(RuntimeError):  # Python is ending, or no thread is available
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


_message_once = Lock()  # never released, so that only one thread logs the message


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch off the search for cycles: Numba makes a million objects, and few of them die."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _log_compiling() -> None:
    if _message_once.acquire(blocking=False):
        logger.warning(
            "shrinkage is compiling the loop of this step, once for each combination of optimizer, "
            "penalty, how and type; later steps do not wait, and later runs load it from disk"
        )


def _rename(function: Loop, name: str) -> None:
    """Append `name` to the names of a function and of the local functions in its closure."""
    for cell in function.__closure__ or ():
        part = cell.cell_contents
        if isinstance(part, FunctionType) and "<locals>" in part.__qualname__:
            _rename(part, name)
    function.__qualname__ = f"{function.__qualname__}_{name}"
