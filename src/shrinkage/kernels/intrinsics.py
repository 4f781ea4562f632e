"""Operations beyond arithmetic: memory by address, numbers as bits, sums in any order.

Every row of `benchmarks/step.py` needs `memory`. `add` and `bits` let LLVM compute sums and maxima
in vectors; a sum in the written order would be taken one entry at a time.

A loop that is made at run time calls the plain functions below and not the intrinsics themselves:
Numba gives an intrinsic another name in each process, and would not find such a loop on disk again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, lower_builtin, overload, type_callable

from shrinkage.kernels.jit import OPTIONS, jitable, jitable_with, tight

CHUNK = 2048  # entries at a time: weights, gradient and state of so many fit a core's first cache


def memory(address: Any, size: Any, like: Any) -> Any:
    """`size` numbers or records of like's type that begin at `address`."""


@type_callable(memory)
def _type_memory(context):
    def typer(address, size, like):
        return types.Array(like.dtype, 1, "C")

    return typer


@lower_builtin(memory, types.Integer, types.Integer, types.Array)
def _lower_memory(context, builder, signature, arguments):
    address, size = _as_int64(context, builder, signature.args[:2], arguments[:2])
    kind = signature.return_type
    data = builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())
    return _view(context, builder, kind, data, size)


def _as_int64(context, builder, kinds, values):
    """Whole numbers of any size, signed or not, as LLVM counts addresses and entries."""
    pairs = zip(values, kinds, strict=True)
    return [context.cast(builder, value, kind, types.intp) for value, kind in pairs]


def _view(context, builder, kind, data, size):
    """An array of that type, which does not own the memory at the pointer `data`."""
    model = context.data_model_manager[kind]
    bytes_each = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    itemsize, single = context.get_constant(types.intp, bytes_each), types.UniTuple(types.intp, 1)
    fields = {
        "data": data,
        "nitems": size,
        "itemsize": itemsize,
        "shape": context.make_tuple(builder, single, [size]),
        "strides": context.make_tuple(builder, single, [itemsize]),
    }
    view = context.get_constant_null(kind)
    for field, value in fields.items():
        view = model.set(builder, view, value, field)
    return view


@intrinsic
def _add_one(context, address):
    pointer = types.CPointer(types.int64)

    def code(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], context.get_value_type(pointer))
        step = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", place, step, "monotonic")

    return types.int64(types.int64), code


@jitable
def next_piece(address):
    """Raise the int64 at `address` by one and return its old value; no two threads get the same."""
    return _add_one(address)


# A sum may be taken in any order, so that LLVM keeps one partial sum in each lane of a vector.
def add(total: Any, term: Any) -> Any:
    """total + term, where the order of a long sum does not matter, in floating point."""
    return total + term


@type_callable(add)
def _type_add(context):
    def typer(total, term):
        kind = context.unify_types(types.unliteral(total), types.unliteral(term))
        return kind if isinstance(kind, types.Float) else None

    return typer


@lower_builtin(add, types.Any, types.Any)
def _lower_add(context, builder, signature, arguments):
    a, b = (
        context.cast(builder, value, kind, signature.return_type)
        for value, kind in zip(arguments, signature.args, strict=True)
    )
    return builder.fadd(a, b, flags=("reassoc", "contract"))


# `arcp` and `ninf` let LLVM take the processor's estimate of 1/x and one Newton step after it.
@jitable_with(fastmath={"arcp", "ninf", "contract"})
def _inverse(x):
    return type(x)(1.0) / x


@jitable
def reciprocal(x):
    """1/x for x > 0, by an estimate and a correction, because divisions of vectors are slow.

    In float32 the result is right to some units in the last place for x that is not denormal,
    1e-37 for x beyond 1e37, and NaN for NaN. In float64 it is a usual division, since processors
    have no such estimate.
    """
    most = type(x)(1e37)
    return _inverse(most if x > most else x)  # `ninf` promises that x is finite


def bits(x: Any) -> Any:
    """The bits of x ≥ 0 as an integer, in the order of x with NaN on top: fast to compare."""


def number(bits: Any) -> Any:
    """The number of these bits."""


@type_callable(bits)
def _type_bits(context):
    return lambda x: types.int32 if x == types.float32 else types.int64


@type_callable(number)
def _type_number(context):
    return lambda bits: types.float32 if bits.bitwidth == 32 else types.float64


@lower_builtin(bits, types.Float)
@lower_builtin(number, types.Integer)
def _lower_bits(context, builder, signature, arguments):
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


# A bfloat16 is stored as its bits, which are the upper half of a float32's.
def load(numbers: Any, at: Any) -> Any:
    """numbers[at], as float32 where it is bfloat16."""


def store(numbers: Any, at: Any, number: Any) -> Any:
    """Write numbers[at] ← number and return what is stored: for bfloat16 the rounded number."""


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
    """The float32 with the value of a bfloat16, given as its bits."""
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


@jitable
def rounded(x):
    """The bits of a float32 rounded to bfloat16: the nearest, ties to even; NaN stays NaN."""
    word = np.float32(x).view(np.uint32)
    # Add just under half a unit of the last place that is kept, or exactly half where that place
    # is odd: a carry rounds up, also into the exponent.
    odd = np.uint32(np.uint32(word >> np.uint32(16)) & np.uint32(1))
    nearest = np.uint32(np.uint32(word + np.uint32(0x7FFF)) + odd) & np.uint32(0xFFFF0000)
    return np.uint32(0x7FC00000) if x != x else np.uint32(nearest)


@tight
def widen(halves, numbers):
    """Write the values of bfloat16 `halves`, given as bits, into float32 `numbers`."""
    for i in range(halves.size):
        numbers[i] = widened(halves[i])


@tight
def round_to(halves, numbers):
    """Round float32 `numbers` to bfloat16 in `halves`, and `numbers` themselves to these values."""
    for i in range(halves.size):
        numbers[i] = store(halves, i, numbers[i])


def part(numbers: Any, low: Any, size: Any) -> Any:
    """numbers[low : low + size], where low ≥ 0: what lies beyond their end is not cut off."""
    return numbers[low : low + size]


@type_callable(part)
def _type_part(context):
    def typer(numbers, low, size):
        is_contiguous = numbers.ndim == 1 and numbers.layout == "C"
        return types.Array(numbers.dtype, 1, "C") if is_contiguous else None

    return typer


@lower_builtin(part, types.Array, types.Integer, types.Integer)
def _lower_part(context, builder, signature, arguments):
    numbers = arguments[0]
    low, size = _as_int64(context, builder, signature.args[1:], arguments[1:])
    model = context.data_model_manager[signature.args[0]]
    data = builder.gep(model.get(builder, numbers, "data"), [low], inbounds=True)
    return _view(context, builder, signature.return_type, data, size)


@jitable
def fill(numbers, number):
    """Write `number` everywhere; assigning to a slice would take seconds to compile."""
    for i in range(numbers.size):
        numbers[i] = number


@tight
def copy(source, target):
    """Copy `source` into `target`."""
    for i in range(source.size):
        target[i] = source[i]
