"""What compiled loops ask of the machine beside arithmetic: memory by address, and in advance.

Loops that are made at run time take in plain functions alone: Numba names its intrinsics anew in
each process, and would not find again on the disk what holds one.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import carray, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import populate_array

from shrinkage.kernels.jit import jitable

CHUNK = 2048  # entries at a time: what belongs to them stays in a core's first cache
# Whether to ask for memory in advance: steps are faster so on Intel's servers, slower on AMD's.
ASKS = bool(get_host_cpu_features().get("avx512f")) and not get_host_cpu_name().startswith("znver")
FEW = 128 if ASKS else CHUNK  # entries that are updated at a time
AHEAD = 256  # entries that are asked for so far in advance
LINE = 64  # bytes that memory brings at a time


@intrinsic
def _pointer(context, address, like):
    """The address as a pointer to what `like` holds."""
    kind = types.CPointer(like.dtype)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, like), code


@jitable
def memory(address, size, like):
    """`size` numbers of like's type that begin at `address`."""
    return carray(_pointer(address, like), size)


@intrinsic
def _part(context, numbers, low, size):
    assert numbers.ndim == 1
    assert numbers.layout == "C"
    kind = types.Array(numbers.dtype, 1, "C")

    def code(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        part = context.make_array(kind)(context, builder)
        populate_array(
            part,
            data=builder.gep(source.data, [arguments[1]]),
            shape=[arguments[2]],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=source.meminfo,
            parent=source.parent,
        )
        return impl_ret_borrowed(context, builder, kind, part._getvalue())

    return kind(numbers, types.intp, types.intp), code


@jitable
def part(numbers, low, size):
    """numbers[low : low + size], which must be there: a slice takes longer, and to compile."""
    return _part(numbers, low, size)


@jitable
def fill(numbers, number):
    """`number` in every place."""
    for i in range(numbers.size):
        numbers[i] = number


@jitable
def copy(source, target):
    """What is in `source` into `target`: an assignment of arrays takes seconds to compile."""
    for i in range(source.size):
        target[i] = source[i]


@intrinsic
def _mark_tight(context):
    def code(context, builder, signature, arguments):
        with suppress(TypeError):  # a later llvmlite may keep them otherwise, and loops as they are
            # `add` of its own refuses what is in LLVM's words; they go into the same set.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        builder.function.attributes.add("alwaysinline")
        return context.get_dummy_value()

    return types.none(), code


@register_jitable(inline="always")
def tight():
    """Put the function that calls this into its callers, with all that a vector register holds.

    What it needs of a parameter is then made ready once. For Intel's processors LLVM prefers half a
    register, which is too little where memory is waited for.
    """
    _mark_tight()


@intrinsic
def _take(context, counter):
    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", array.data, one, "monotonic")

    return types.int64(counter), code


@jitable
def take(counter):
    """counter[0], which is one more afterwards: no two threads take the same."""
    return _take(counter)


@intrinsic
def _load(context, numbers, at):
    halved = numbers.dtype == types.uint16

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        number = builder.load(builder.gep(array.data, [arguments[1]]))
        if not halved:
            return number
        word = ir.IntType(32)
        wide = builder.shl(builder.zext(number, word), ir.Constant(word, 16))
        return builder.bitcast(wide, ir.FloatType())

    return (types.float32 if halved else numbers.dtype)(numbers, types.intp), code


@jitable
def load(numbers, at):
    """numbers[at]; of bfloat16, which is held as its bits, the float32."""
    return _load(numbers, at)


@intrinsic
def _keep(context, numbers, at, number):
    halved = numbers.dtype == types.uint16

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        if not halved:
            builder.store(arguments[2], place)
            return arguments[2]
        word = ir.IntType(32)
        sixteen = ir.Constant(word, 16)
        bits = builder.bitcast(arguments[2], word)
        odd = builder.and_(builder.lshr(bits, sixteen), ir.Constant(word, 1))
        rounded = builder.lshr(
            builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF))), sixteen
        )
        is_nan = builder.fcmp_unordered("uno", arguments[2], arguments[2])
        rounded = builder.select(is_nan, ir.Constant(word, 0x7FC0), rounded)
        builder.store(builder.trunc(rounded, ir.IntType(16)), place)
        return builder.bitcast(builder.shl(rounded, sixteen), ir.FloatType())

    return number(numbers, types.intp, number), code


@jitable
def keep(numbers, at, number):
    """numbers[at] ← number. What it holds then: of bfloat16 the nearest, ties to even, NaN NaN."""
    return _keep(numbers, at, number)


@intrinsic
def _fetch(context, numbers, at):
    def code(context, builder, signature, arguments):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
        signs = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], signs)
        to_read, nearest, data = (ir.Constant(word, number) for number in (0, 3, 1))
        builder.call(function, [place, to_read, nearest, data])
        return context.get_dummy_value()

    return types.none(numbers, types.intp), code


@jitable
def fetch(numbers, at):
    """Ask for numbers[at], which may lie beyond the end, so that it is near when it is read."""
    return _fetch(numbers, at)


@intrinsic
def _bits(context, x):
    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(x.bitwidth))

    return (types.int32 if x.bitwidth == 32 else types.int64)(x), code


@intrinsic
def _number(context, bits):
    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return (types.float32 if bits.bitwidth == 32 else types.float64)(bits), code


@jitable
def bits(x):
    """x ≥ 0 as an integer in whose order all of them are, NaN above: a maximum in vectors."""
    return _bits(x)


@jitable
def number(bits):
    """The number of these bits."""
    return _number(bits)


@intrinsic
def _reordered_sum(context, total, term):
    def code(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=["reassoc", "contract"])

    return total(total, total), code


@jitable
def add(total, term):
    """total + term in any order: such a sum over many entries is taken in vectors."""
    return _reordered_sum(total, term)


@intrinsic
def _inverse(context, x):
    def code(context, builder, signature, arguments):
        one = ir.Constant(arguments[0].type, 1.0)
        return builder.fdiv(one, arguments[0], flags=["arcp", "ninf", "contract"])

    return x(x), code


@jitable
def reciprocal(x):
    """1/x for x > 0, by an estimate that is made better: divisions are what vectors are slow at.

    In float32 to some units in the last place, of x that are no denormals, and 1e-37 beyond 1e37;
    NaN for NaN. In float64, where processors have no such estimate, rounded as usual.
    """
    most = type(x)(1e37)
    return _inverse(most if x > most else x)


@jitable
def widen(bits, numbers):
    """bfloat16, given as its bits, into float32."""
    tight()
    wide = numbers.view(np.uint32)
    for i in range(bits.size):
        wide[i] = np.uint32(bits[i]) << np.uint32(16)


@jitable
def narrow(numbers, bits):
    """float32 into the bits of bfloat16 and to what these hold: nearest, ties to even, NaN NaN."""
    tight()
    wide = numbers.view(np.uint32)
    for i in range(bits.size):
        odd = (wide[i] >> np.uint32(16)) & np.uint32(1)
        rounded = np.uint32(wide[i] + np.uint32(0x7FFF) + odd) >> np.uint32(16)
        rounded = np.uint32(0x7FC0) if numbers[i] != numbers[i] else np.uint32(rounded)
        bits[i] = np.uint16(rounded)
        wide[i] = rounded << np.uint32(16)
