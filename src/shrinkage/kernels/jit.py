"""How loops become machine code: when they are first used, kept on disk where that is possible.

`benchmarks/step.py`, "Seconds before the second step": fragments save a quarter of a first step
with groups, and nothing of one with L1. They are the one private use of Numba in this package,
tried with the versions of `TRIED`; with others, and where the environment has
``SHRINKAGE_PUBLIC_ONLY=1``, functions are compiled as Numba does by itself.
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
PATIENCE = 2.0  # seconds after which a person wonders what a first step is doing
logger = logging.getLogger("shrinkage")
# What a full disk, or a file that is cut off, can lead to.
DAMAGED = OSError, EOFError, UnpicklingError, ValueError, AttributeError, IndexError, ImportError


@lru_cache(maxsize=1)
def sources() -> str:
    """A digest of all source that loops are made from: this folder, and the penalties' formulas.

    It is part of the name of machine code on disk, so code of other sources is never taken for it.
    Numba itself looks only at the file in which a loop stands, not at those that it calls.
    """
    folders = Path(__file__).parent, Path(penalties.__file__).parent
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_tried() -> bool:
    if os.environ.get("SHRINKAGE_PUBLIC_ONLY") == "1":
        return False
    low, high = TRIED
    return low <= tuple(map(int, numba.__version__.split(".")[:2])) < high


def _make_fragment_library(code_library: Any) -> Any:
    """Numba's library of compiled code, without machine code of its own."""

    class Fragment(code_library):  # type: ignore[misc]
        is_tight = False

        def add_ir_module(self, module: Any) -> None:
            self.is_tight |= any("alwaysinline" in one.attributes for one in module.functions)
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
            """What Numba asks to `set_env`, which would write to machine code that is not there."""
            return self

        def set_env(self, name: str, environment: Any) -> None:
            """It needs none: that is for what speaks to Python."""

    return Fragment


def fragment_compiler() -> Any:
    """Numba's compiler, but for functions that only loops take in; None where it is not to be had.

    The code of such a function is not made into machine code, nor optimized before it is within a
    loop, unless it is `tight`. Numba would do both for each, with all that it takes in.
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


# What every function that loops take in is compiled with.
OPTIONS: dict[str, Any] = {"no_cfunc_wrapper": True}
if (_compiler := fragment_compiler()) is not None:
    OPTIONS["pipeline_class"] = _compiler


def jitable_with(**options: Any) -> Callable[[Loop], Loop]:
    """`jitable` with more of Numba's options."""
    decorate: Callable[[Loop], Loop] = register_jitable(**OPTIONS, **options)
    return decorate


jitable = jitable_with()  # for functions that loops take in
# For loops over a chunk: taken into their callers, so that what such a loop needs of a parameter is
# made ready once; optimized (made into vectors) before that, while it is short.
tight = jitable_with(forceinline=True)


class Work:
    """A loop as machine code, which any thread may call with the address of a job.

    A job is a record: by convention first the next piece, which threads take in turn, then
    addresses and sizes. It runs without holding Python back.
    """

    def __init__(self, function: Any) -> None:
        self._function = function  # owns the machine code
        self.address: int = function.address
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)

    def __call__(self, job: int) -> None:
        self._call(job)


def compiled(loop: Loop, *parts: object) -> Work:
    """`loop`, a function of the address of a job, as machine code.

    `parts` tell it from every other loop that the same function makes, the type of its numbers
    included. Machine code from the disk is linked by the names of functions, which Numba tells
    apart only within the process that compiled them, and two processes that write one file at once
    may each take the other's code for theirs: so each has a name and a file of its own. Where
    nothing can be written beside this package or in the user's cache folder, or a file there is cut
    off, each process compiles anew.
    """
    _rename(loop, hashlib.sha256(repr((sources(), parts)).encode()).hexdigest()[:16])
    # A division by 0 is infinite; a·b + c may be rounded once.
    compile_it = partial(cfunc, SIGNATURE, error_model="numpy", fastmath={"contract"})
    with _telling_of_a_long_wait():
        try:
            return Work(compile_it(cache=True)(loop))
        except (*DAMAGED, RuntimeError):  # the last: numba found no folder
            return Work(compile_it()(loop))


@contextmanager
def _telling_of_a_long_wait() -> Iterator[None]:
    """Log one line if the work takes longer than `PATIENCE`; Python shows it on stderr."""
    timer = Timer(PATIENCE, _tell_of_compiling)
    timer.daemon = True
    with suppress(RuntimeError):  # Python is ending, or no thread is to be had
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


_first_to_tell = Lock()  # is never given back, so that only one of several threads says it


def _tell_of_compiling() -> None:
    if _first_to_tell.acquire(blocking=False):
        logger.warning(
            "shrinkage is compiling the loop of this step, once for each combination of optimizer, "
            "penalty, way and type; later steps do not wait, and later runs find it on disk"
        )


def _rename(function: Loop, name: str) -> None:
    """`name` behind its own, and behind those of the functions made with it that it takes in."""
    for cell in function.__closure__ or ():
        part = cell.cell_contents
        if isinstance(part, FunctionType) and "<locals>" in part.__qualname__:
            _rename(part, name)
    function.__qualname__ = f"{function.__qualname__}_{name}"
