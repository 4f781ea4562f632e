"""Compile loops when they are first used, and cache them on disk where that is possible.

`benchmarks/step.py`, "Seconds before the second step": fragments save a quarter of a first step
with groups, and nothing of one with L1. They and LLVM's types are the only private use of Numba in
this package, and were tried with the versions of `TRIED`. With other versions, and where the
environment has ``SHRINKAGE_PUBLIC_ONLY=1``, Numba compiles every function in its usual way, and
networks are trained by NumPy and torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock, Timer
from types import FunctionType
from typing import Any

import numba
from numba import cfunc, types
from numba.extending import register_jitable

from shrinkage import penalties

Loop = Callable[..., Any]
SIGNATURE = types.void(types.int64)  # the address of a job: in C a pointer, in the same register
TRIED = (0, 63), (0, 69)  # versions of Numba from the first, and below the second
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


def _is_tried() -> bool:
    if os.environ.get("SHRINKAGE_PUBLIC_ONLY") == "1":
        return False
    low, high = TRIED
    return low <= tuple(map(int, numba.__version__.split(".")[:2])) < high


def _import_llvm() -> Any:
    """LLVM's types, for loops that are written in its instructions; None where it has others."""
    if not _is_tried():
        return None
    try:
        from llvmlite import ir
    except ImportError:
        return None
    return ir


llvm = _import_llvm()


def _make_fragment_library(code_library: Any) -> Any:
    """Numba's library of compiled code, without machine code of its own."""

    class Fragment(code_library):  # type: ignore[misc]
        is_tight = False

        def add_ir_module(self, module: Any) -> None:
            self.is_tight |= any(
                "alwaysinline" in function.attributes for function in module.functions
            )
            super().add_ir_module(module)

        def _optimize_final_module(self) -> None:
            if self.is_tight:
                super()._optimize_final_module()

        def _finalize_final_module(self) -> None:
            self._finalize_dynamic_globals()
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            self._ensure_finalized()
            return 0

        @property
        def codegen(self) -> Fragment:
            """Itself, so that Numba calls the `set_env` below and writes to no machine code."""
            return self

        def set_env(self, name: str, environment: Any) -> None:
            """Do nothing: only code that calls Python needs an environment."""

    return Fragment


def fragment_compiler() -> Any:
    """A compiler for functions that only loops call; None where Numba has not what it needs.

    It leaves out machine code for such a function, and leaves its optimization to the loop that it
    becomes part of, unless it is `tight`. Numba would do both for each function and its callees.
    """
    if not _is_tried():
        return None
    try:
        from numba.core.codegen import JITCodeLibrary
        from numba.core.compiler import CompilerBase, DefaultPassBuilder
    except ImportError:
        return None

    fragment_library = _make_fragment_library(JITCodeLibrary)

    class FragmentCompiler(CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            state = self.state
            state.library = fragment_library(state.targetctx.codegen(), state.func_id.func_qualname)
            return [DefaultPassBuilder.define_nopython_pipeline(state)]

    hooks = "_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals"
    return FragmentCompiler if all(hasattr(JITCodeLibrary, name) for name in hooks) else None


# Options for every function that loops call.
OPTIONS: dict[str, Any] = {"no_cfunc_wrapper": True}
if (_compiler := fragment_compiler()) is not None:
    OPTIONS["pipeline_class"] = _compiler


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
    # Division by 0 gives infinity, as in NumPy; a·b + c may be one fused operation.
    compile_it = partial(cfunc, SIGNATURE, error_model="numpy", fastmath={"contract"})
    with _explain_long_wait():
        try:
            return Work(compile_it(cache=True)(loop))
        except (*DAMAGED, RuntimeError):  # the last: numba found no folder
            return Work(compile_it()(loop))


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
