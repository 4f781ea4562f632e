"""How loops become machine code: when they are first used, kept on disk where that is possible."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from types import FunctionType
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic, register_jitable

Loop = Callable[..., Any]
CHUNK = 2048  # entries at a time: what belongs to them stays in a core's first cache


@lru_cache(maxsize=1)
def sources() -> str:
    """A digest of this folder, by which machine code of other sources is never taken for it.

    Numba itself looks only at the file in which a loop stands, not at those that it calls.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def compiled(loop: Loop, *parts: object) -> Loop:
    """`loop` as machine code that runs without holding Python back.

    `parts` tell it from every other loop that the same function makes, the type of its numbers
    included. Machine code from the disk is linked by the names of functions, which Numba tells
    apart only within the process that compiled them, and two processes that write one file at once
    may each take the other's code for theirs: so each has a name and a file of its own. Where
    nothing can be written beside this package or in the user's cache folder, each process compiles
    anew.
    """
    _rename(loop, hashlib.sha256(repr((sources(), parts)).encode()).hexdigest()[:16])
    # A division by 0 is infinite; a·b + c may be rounded once.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return _Compiled(njit(loop, cache=True, **options), njit(loop, **options))
    except RuntimeError:  # numba found no folder
        return njit(loop, **options)


def _rename(function: Loop, name: str) -> None:
    """`name` behind its own, and behind those of the functions made with it that it takes in."""
    for cell in function.__closure__ or ():
        part = cell.cell_contents
        if isinstance(part, FunctionType) and "<locals>" in part.__qualname__:
            _rename(part, name)
    function.__qualname__ = f"{function.__qualname__}_{name}"


# What a full disk, or a file that is cut off or changed, can lead to.
DAMAGED = OSError, EOFError, UnpicklingError, ValueError, AttributeError, IndexError, ImportError


class _Compiled:
    """A loop whose machine code is kept on disk, until that fails."""

    def __init__(self, kept: Loop, fresh: Loop) -> None:
        self._loop, self._fresh = kept, fresh

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._loop(*arguments)
        except DAMAGED:
            self._loop = self._fresh
            return self._loop(*arguments)


@intrinsic
def _pointer(context, address, like):
    """The address as a pointer to what `like` holds."""
    kind = types.CPointer(like.dtype)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, like), code


@register_jitable
def memory(address, size, like):
    """`size` numbers of like's type that begin at `address`."""
    return carray(_pointer(address, like), size)


@intrinsic
def _prefer_widest(context):
    def code(context, builder, signature, arguments):
        with suppress(TypeError):  # a later llvmlite may keep them otherwise, and loops as they are
            # `add` of its own refuses what is in LLVM's words; they go into the same set.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), code


@register_jitable(inline="always")
def widest_vectors():
    """Let the function that calls this use all that a vector register holds.

    For Intel's processors LLVM prefers half of it, which is too little where memory is waited for.
    """
    _prefer_widest()


@intrinsic
def _reordered_sum(context, total, term):
    def code(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=["reassoc"])

    return total(total, total), code


@register_jitable
def add(total, term):
    """total + term in any order: such a sum over many entries is taken in vectors."""
    return _reordered_sum(total, term)


@register_jitable
def widen(bits, numbers):
    """bfloat16, given as its bits, into float32."""
    widest_vectors()
    wide = numbers.view(np.uint32)
    for i in range(bits.size):
        wide[i] = np.uint32(bits[i]) << np.uint32(16)


@register_jitable
def narrow(numbers, bits):
    """float32 into the bits of bfloat16 and to what these hold: nearest, ties to even, NaN NaN."""
    widest_vectors()
    wide = numbers.view(np.uint32)
    for i in range(bits.size):
        odd = (wide[i] >> np.uint32(16)) & np.uint32(1)
        rounded = np.uint32(wide[i] + np.uint32(0x7FFF) + odd) >> np.uint32(16)
        rounded = np.uint32(0x7FC0) if numbers[i] != numbers[i] else np.uint32(rounded)
        bits[i] = np.uint16(rounded)
        wide[i] = rounded << np.uint32(16)
