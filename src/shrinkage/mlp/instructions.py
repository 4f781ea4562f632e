"""What loops do in the processor's own terms: sums of products in registers, and calls by address.

A block of a product has up to 6 rows and two vectors of columns: 12 sums in registers with two
vectors of B and one number of A at a time, which is what a processor with 16 vector registers
holds. LLVM would not keep them there by itself. Where LLVM's types are missing, importing this file
fails, and networks are trained as without Numba.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from shrinkage.kernels.jit import jitable
from shrinkage.kernels.private import llvm

if llvm is None:
    raise ImportError("this version of Numba has no instructions of LLVM that were tried")

VECTOR = 32  # bytes; a processor with shorter vectors takes two for one
CONTRACT = ("contract",)  # a·b + c is one operation where the processor has it


@intrinsic
def _call(context, address, argument):
    """Call the machine code at an address with one number."""

    def code(context, builder, signature, arguments):
        kind = llvm.FunctionType(llvm.VoidType(), [arguments[1].type])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@jitable
def call(address, argument):
    """Run a compiled loop of `kernels` on its job."""
    _call(address, argument)


class _Block:
    """Builds the code of one block of C, whose numbers have the type `dtype`."""

    def __init__(self, context: Any, builder: Any, dtype: Any, rows: int, vectors: int) -> None:
        self.builder, self.rows, self.vectors = builder, rows, vectors
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR // self.itemsize
        self.number = context.get_value_type(dtype)
        self.vector = llvm.VectorType(self.number, self.lanes)
        self.whole = context.get_value_type(types.int64)
        lane_numbers = llvm.VectorType(context.get_value_type(types.int32), self.lanes)
        self.first_lane = lane_numbers([0] * self.lanes)
        self.zeros = self.vector([0.0] * self.lanes)

    def point(self, base: Any, items: Any, kind: Any) -> Any:
        """A pointer to what lies so many numbers behind an address."""
        offset = self.builder.mul(items, self.whole(self.itemsize))
        return self.builder.inttoptr(self.builder.add(base, offset), kind.as_pointer())

    def repeat(self, value: Any) -> Any:
        """A vector of one number."""
        first = self.builder.insert_element(self.zeros, value, self.whole(0))
        return self.builder.shuffle_vector(first, self.zeros, self.first_lane)

    def sum_products(self, a: Any, strides: tuple[Any, Any], b: Any, width: Any, terms: Any) -> Any:
        """Σ_k a[row, k]·b[k, :] for each row and vector, in a loop over k ≥ 1 terms."""
        builder, whole = self.builder, self.whole
        before, body = builder.block, builder.append_basic_block("terms")
        after = builder.append_basic_block("summed")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(whole)
        sums = [[builder.phi(self.vector) for _ in range(self.vectors)] for _ in range(self.rows)]
        start, column = builder.mul(k, width), builder.mul(k, strides[1])
        values = [
            builder.load(self.point(b, builder.add(start, whole(at)), self.vector), align=4)
            for at in range(0, self.vectors * self.lanes, self.lanes)
        ]
        totals = []
        for row, parts in enumerate(sums):
            place = builder.add(column, builder.mul(strides[0], whole(row)))
            factor = self.repeat(builder.load(self.point(a, place, self.number)))
            for part, value in zip(parts, values, strict=True):
                product = builder.fmul(factor, value, flags=CONTRACT)
                part.add_incoming(self.zeros, before)
                part.add_incoming(builder.fadd(part, product, flags=CONTRACT), body)
                totals.append(part.incomings[1][0])
        following = builder.add(k, whole(1))
        k.add_incoming(whole(0), before)
        k.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, terms), body, after)
        builder.position_at_end(after)
        return totals

    def write(self, totals: list[Any], c: Any, width: Any, accumulate: Any) -> None:
        """Write the sums to C, or add them to it."""
        builder, whole = self.builder, self.whole
        for number, total in enumerate(totals):
            row, vector = divmod(number, self.vectors)
            items = builder.add(builder.mul(width, whole(row)), whole(vector * self.lanes))
            place = self.point(c, items, self.vector)
            present = builder.load(place, align=4)
            present = builder.select(accumulate, present, self.zeros)
            builder.store(builder.fadd(total, present), place, align=4)


def make_block(rows: int, vectors: int) -> Any:
    """The intrinsic for a block of that size."""

    @intrinsic
    def block(context, a, strides, b, b_width, c, c_width, terms, accumulate, like):
        def code(context, builder, signature, arguments):
            a, strides, b, b_width, c, c_width, terms, accumulate, _ = arguments
            block = _Block(context, builder, like.dtype, rows, vectors)
            pair = tuple(builder.extract_value(strides, index) for index in range(2))
            block.write(block.sum_products(a, pair, b, b_width, terms), c, c_width, accumulate)
            return context.get_dummy_value()

        whole = types.int64
        pair = types.UniTuple(whole, 2)
        arguments = whole, pair, whole, whole, whole, whole, whole, types.boolean, like
        return types.void(*arguments), code

    return block
