"""Products of small matrices: C ← A·B or C ← C + A·B, in blocks that stay in registers.

`benchmarks/study.py`: BLAS is made for large matrices. On those of a small network it is slower,
with a few rows or columns several times, and more so on several threads.

A may have any strides, so that it may be a transpose. Each row of B and of C is contiguous and
padded to whole vectors.
"""

from __future__ import annotations

from shrinkage.kernels.jit import jitable
from shrinkage.mlp.instructions import VECTOR, make_block

six_by_two, four_by_two, two_by_two, one_by_two = (make_block(rows, 2) for rows in (6, 4, 2, 1))
six_by_one, four_by_one, two_by_one, one_by_one = (make_block(rows, 1) for rows in (6, 4, 2, 1))


@jitable
def pad(columns, like):
    """The next multiple of the numbers in a vector."""
    lanes = VECTOR // like.itemsize
    return (columns + lanes - 1) // lanes * lanes


@jitable
def multiply(a, a_strides, b, b_width, c, c_width, sizes, accumulate, like):
    """C ← A·B, or with `accumulate` C ← C + A·B, for matrices at the addresses a, b and c.

    Parameters
    ----------
    a_strides : pair of int
        From one row of A to the next and from one column to the next, in numbers.
    b_width, c_width : int
        From one row to the next, of B and of C.
    sizes : (rows, columns, terms)
        C is (rows, columns), A (rows, terms) and B (terms, columns). `columns` is a multiple of
        the numbers in a vector.
    like : array
        Of the type of the numbers.
    """
    rows, columns, terms = sizes
    size = like.itemsize
    lanes = VECTOR // size
    at = 0
    while at < columns:
        is_wide = columns - at >= 2 * lanes
        row = 0
        while row < rows:
            rest = rows - row
            count = 6 if rest >= 6 else (4 if rest >= 4 else (2 if rest >= 2 else 1))
            left = a + row * a_strides[0] * size, a_strides
            right = b + at * size, b_width
            target = c + (row * c_width + at) * size, c_width
            if is_wide:
                multiply_wide(count, left, right, target, terms, accumulate, like)
            else:
                multiply_narrow(count, left, right, target, terms, accumulate, like)
            row += count
        at += 2 * lanes if is_wide else lanes


@jitable
def multiply_wide(rows, left, right, target, terms, accumulate, like):
    """A block of two vectors of columns."""
    (a, strides), (b, b_width), (c, c_width) = left, right, target
    if rows == 6:
        six_by_two(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    elif rows == 4:
        four_by_two(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    elif rows == 2:
        two_by_two(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    else:
        one_by_two(a, strides, b, b_width, c, c_width, terms, accumulate, like)


@jitable
def multiply_narrow(rows, left, right, target, terms, accumulate, like):
    """A block of one vector of columns."""
    (a, strides), (b, b_width), (c, c_width) = left, right, target
    if rows == 6:
        six_by_one(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    elif rows == 4:
        four_by_one(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    elif rows == 2:
        two_by_one(a, strides, b, b_width, c, c_width, terms, accumulate, like)
    else:
        one_by_one(a, strides, b, b_width, c, c_width, terms, accumulate, like)
