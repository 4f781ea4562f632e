"""What loops ask of the machine beside arithmetic: memory by address, bits, sums in any order.

Every row of `benchmarks/step.py` stands on `memory`; `add` and `bits` make sums and maxima ones
over vectors; a sum in the written order is taken one entry at a time.

Loops that are made at run time may name plain functions alone: Numba names its intrinsics anew in
each process, and would not find again on disk what holds one. So each stands in a function here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic, overload

from shrinkage.kernels.jit import OPTIONS, jitable, jitable_with, tight

CHUNK = 2048  # entries at a time: weights, gradient and state of so many fit a core's first cache


@intrinsic
def _pointer(context, address, like):
    """The address as a pointer to what `like` holds."""
    kind = types.CPointer(like.dtype)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, like), code


@jitable
def memory(address, size, like):
    """`size` numbers or records of like's type that begin at `address`."""
    return carray(_pointer(address, like), size)


@intrinsic
def _add_one(context, address):
    pointer, one = types.CPointer(types.int64), 1

    def code(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], context.get_value_type(pointer))
        step = context.get_constant(types.int64, one)
        return builder.atomic_rmw("add", place, step, "monotonic")

    return types.int64(types.int64), code


@jitable
def next_piece(address):
    """Raise the int64 at `address` by one and return what it was: no two threads get the same."""
    return _add_one(address)


# A sum may be taken in any order, so that LLVM keeps one partial sum in each lane of a vector.
@jitable_with(fastmath={"reassoc", "contract"})
def add(total, term):
    """total + term, where the order of a long sum does not matter."""
    return total + term


# `arcp` and `ninf` let LLVM take the processor's estimate of 1/x and one Newton step after it.
@jitable_with(fastmath={"arcp", "ninf", "contract"})
def _inverse(x):
    return type(x)(1.0) / x


@jitable
def reciprocal(x):
    """1/x for x > 0, by an estimate that is made better: divisions are what vectors are slow at.

    In float32 to some units in the last place, of x that are no denormals, and 1e-37 beyond 1e37;
    NaN for NaN. In float64, where processors have no such estimate, rounded as usual.
    """
    most = type(x)(1e37)
    return _inverse(most if x > most else x)  # `ninf` promises that x is finite


def bits(x: Any) -> Any:
    """x ≥ 0 as an integer in whose order all of them are, NaN above: a maximum in vectors."""


def number(bits: Any) -> Any:
    """The number of these bits."""


@overload(bits, jit_options=OPTIONS)
def _bits_of(x):
    if x == types.float32:
        return lambda x: np.float32(x).view(np.int32)
    return lambda x: np.float64(x).view(np.int64)


@overload(number, jit_options=OPTIONS)
def _number_of(bits):
    if bits.bitwidth == 32:
        return lambda bits: np.int32(bits).view(np.float32)
    return lambda bits: np.int64(bits).view(np.float64)


# bfloat16 is held as its bits, the upper half of a float32's.
def load(numbers: Any, at: Any) -> Any:
    """numbers[at]; of bfloat16 the float32."""


def store(numbers: Any, at: Any, number: Any) -> Any:
    """numbers[at] ← number. What it holds then: of bfloat16 the nearest, ties to even, NaN NaN."""


@overload(load, jit_options=OPTIONS)
def _load_of(numbers, at):
    if numbers.dtype == types.uint16:
        return lambda numbers, at: widened(numbers[at])
    return lambda numbers, at: numbers[at]


@overload(store, jit_options=OPTIONS)
def _store_of(numbers, at, number):
    if numbers.dtype == types.uint16:
        return _store_rounded
    return _store_as_it_is


def _store_as_it_is(numbers, at, number):
    numbers[at] = number
    return number


def _store_rounded(numbers, at, number):
    word = rounded(number)
    numbers[at] = np.uint16(word >> np.uint32(16))
    return np.uint32(word).view(np.float32)


@jitable
def widened(half):
    """The float32 of bfloat16's bits."""
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


@jitable
def rounded(x):
    """The bits of a float32 rounded to bfloat16: the nearest, ties to even; NaN stays NaN."""
    word = np.float32(x).view(np.uint32)
    # Half a unit of the last place that stays, less one where that place is even: a carry is the
    # step up, also from one exponent to the next.
    odd = np.uint32(np.uint32(word >> np.uint32(16)) & np.uint32(1))
    nearest = np.uint32(np.uint32(word + np.uint32(0x7FFF)) + odd) & np.uint32(0xFFFF0000)
    return np.uint32(0x7FC00000) if x != x else np.uint32(nearest)


@tight
def widen(halves, numbers):
    """bfloat16, given as its bits, into float32."""
    for i in range(halves.size):
        numbers[i] = widened(halves[i])


@tight
def round_to(halves, numbers):
    """float32 into the bits of bfloat16, and to what these hold."""
    for i in range(halves.size):
        numbers[i] = store(halves, i, numbers[i])


@jitable
def part(numbers, low, size):
    """numbers[low : low + size]."""
    return numbers[low : low + size]


@jitable
def fill(numbers, number):
    """`number` in every place: an assignment to a slice takes seconds to compile."""
    for i in range(numbers.size):
        numbers[i] = number


@tight
def copy(source, target):
    """What is in `source` into `target`."""
    for i in range(source.size):
        target[i] = source[i]
