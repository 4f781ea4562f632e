"""Every private use of Numba, each with a fallback: loops are compiled with less work.

Numba compiles each function that a loop calls as if it stood alone, in passes that are made for any
Python. Here such a function is a fragment, which only becomes part of loops, and code is taken
through the passes that it needs. A loop on disk is loaded without what compiles others.
`benchmarks/step.py`, the rows "first step": all this saves two fifths or more of it where nothing
is compiled, and most of it where the loop is on disk.

All this was tried with the versions of `TRIED`. With other versions, and where the environment has
``SHRINKAGE_PUBLIC_ONLY=1``, each function here does nothing, Numba compiles every function in its
usual way, and networks are trained by NumPy and torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numba

TRIED = (0, 63), (0, 69)  # versions of Numba from the first, and below the second


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
            # What it only calls may be tight as well, and is declared so.
            self.is_tight |= any(
                "alwaysinline" in function.attributes and not function.is_declaration
                for function in module.functions
            )
            super().add_ir_module(module)

        def _optimize_functions(self, module: Any) -> None:
            if self.is_tight:
                super()._optimize_functions(module)

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


def _make_passes() -> Any:
    """The passes of Numba that loops and the scalar forms of one's own may need.

    Left out are those for blocks of `with`, for operations on whole arrays and for parallel loops,
    and, after each pass, the analysis of the code again and a report of all types to listeners.
    """
    from numba.core import typed_passes as typed
    from numba.core import untyped_passes as untyped
    from numba.core.compiler_machinery import PassManager

    class Passes(PassManager):  # type: ignore[misc]
        _ENFORCING = False

        def _runPass(self, index: int, one: Any, state: Any) -> None:  # noqa: N802
            one.analysis = self._analysis
            one.run_initialization(state)
            one.run_pass(state)
            one.run_finalizer(state)

    passes = Passes("loop")
    for one in (
        untyped.TranslateByteCode,
        untyped.FixupArgs,
        untyped.IRProcessing,
        untyped.InlineClosureLikes,
        untyped.RewriteSemanticConstants,
        untyped.DeadBranchPrune,
        untyped.GenericRewrites,
        untyped.RewriteDynamicRaises,
        untyped.MakeFunctionToJitFunction,
        untyped.InlineInlinables,
        untyped.FindLiterallyCalls,
        untyped.LiteralUnroll,
        untyped.ReconstructSSA,
        typed.NopythonTypeInference,
        typed.PreLowerStripPhis,
        typed.InlineOverloads,
        typed.IRLegalization,
        typed.AnnotateTypes,
        typed.NativeLowering,
        typed.NoPythonBackend,
    ):
        passes.add_pass(one, one.__name__)
    passes.finalize()
    return passes


def loop_compilers() -> tuple[Any, Any] | None:
    """Compilers for loops, and for functions that only loops call.

    The second leaves out machine code for such a function, and leaves its optimization to the loop
    that it becomes part of, unless it is `tight`. Numba would do both for each function and its
    callees. None where Numba has not what they need.
    """
    if not _is_tried():
        return None
    try:
        from numba.core.codegen import JITCodeLibrary
        from numba.core.compiler import CompilerBase

        passes = _make_passes()
    except (ImportError, AttributeError):
        return None

    fragment_library = _make_fragment_library(JITCodeLibrary)

    class LoopCompiler(CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            return [passes]

    class FragmentCompiler(LoopCompiler):
        def define_pipelines(self) -> list[Any]:
            state = self.state
            state.library = fragment_library(state.targetctx.codegen(), state.func_id.func_qualname)
            return [passes]

    hooks = (
        *("_optimize_functions", "_optimize_final_module"),
        *("_finalize_final_module", "_finalize_dynamic_globals"),
    )
    is_known = all(hasattr(JITCodeLibrary, name) for name in hooks)
    return (LoopCompiler, FragmentCompiler) if is_known else None


def import_without_scipy() -> None:
    """Import what Numba compiles arrays with, but not yet SciPy's BLAS, which no loop here calls.

    Numba imports it to see whether it is there, which takes a quarter of a second, and again where
    a product of matrices is compiled.
    """
    if not _is_tried() or find_spec("scipy") is None or "numba.np.arraymath" in sys.modules:
        return
    from numba.np import linalg

    check = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = check


def kept_compiler() -> Callable[..., Any] | None:
    """What compiles a loop and keeps it on disk, or loads it from there.

    Numba's `cfunc` imports all that it can compile before it loads anything, and SciPy, which takes
    half a second. A loop needs its machine code alone. None where Numba has not what that needs.
    """
    if not _is_tried():
        return None
    try:
        from numba.core.caching import FunctionCache
        from numba.core.ccallback import CFunc
        from numba.core.runtime import rtsys
    except ImportError:
        return None

    class LoopCache(FunctionCache):  # type: ignore[misc]
        def load_overload(self, signature: Any, context: Any) -> Any:
            rtsys.initialize(context)  # loops may allocate memory
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(signature, context)
            if found is None:
                import_without_scipy()
            return found

    def compile_kept(loop: Any, signature: Any, *, pipeline_class: Any, **options: Any) -> Any:
        types = signature.args, signature.return_type
        kept: Any = CFunc(loop, types, {}, options, pipeline_class=pipeline_class)
        kept._cache = LoopCache(loop)
        kept.compile()
        return kept

    hooks = "_guard_against_spurious_io_errors", "_load_overload"
    return compile_kept if all(hasattr(FunctionCache, name) for name in hooks) else None
