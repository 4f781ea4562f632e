"""Cut parameters into the pieces that threads take one by one.

`benchmarks/step.py`, the tables for two threads.
"""

from __future__ import annotations

import numpy as np

from shrinkage.kernels.column_sums import MIN_WIDTH, block_width
from shrinkage.kernels.intrinsics import CHUNK
from shrinkage.kernels.records import PIECE, Records

LENGTH = 1 << 15  # entries of a piece: short ones let all threads end at about the same time


def cut(table: Records, copies: bool, threads: int) -> Records:
    """Cut parameters into pieces of whole chunks, rows or columns, enough for all threads."""
    pieces: list[tuple[float, ...]] = []
    for index, (entries, width, span) in enumerate(table[["size", "width", "span"]].tolist()):
        if span:  # a range of every row, since a group has entries in all rows
            rows, end = entries // span, span
            share = -(-int(table["size"].sum()) // (2 * threads * rows))
            unit = width if width > 1 else MIN_WIDTH
            most = block_width(rows, width, span, copies)
            length = most if threads == 1 else min(-(-share // unit) * unit, most)
        else:
            end, unit = entries, width or CHUNK
            length = max(1, LENGTH // unit) * unit
        pieces += [
            (index, low, min(low + length, end), 0.0, 0.0, 0.0, 0.0, 0.0)
            for low in range(0, end, length)
        ]
    return np.array(pieces, PIECE)
