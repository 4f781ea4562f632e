"""Which columns of the first layer belong to which input of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """Neighbouring inputs that have equally many columns each."""

    start: int  # the first column
    inputs: int
    width: int  # columns of each input

    @property
    def stop(self) -> int:
        return self.start + self.inputs * self.width


@dataclass(frozen=True)
class Inputs:
    """The columns of the encoded table in an order in which inputs of one width are neighbours.

    A text column is one input, though it has a column for each level. Groups of one width in a row
    let a prox treat them as one array of shape (inputs, width·units).
    """

    names: tuple[str, ...]  # in the order of the blocks
    order: np.ndarray  # (columns,): the place of each column in the encoded table
    blocks: tuple[Block, ...]

    @property
    def widths(self) -> np.ndarray:
        """(inputs,): how many columns each input has."""
        return np.repeat([b.width for b in self.blocks], [b.inputs for b in self.blocks])


def arrange_inputs(slices: Mapping[str, slice]) -> Inputs:
    """The order and the blocks of inputs whose columns in the encoded table are `slices`.

    >>> inputs = arrange_inputs({"a": slice(0, 1), "town": slice(1, 4), "b": slice(4, 5)})
    >>> inputs.names, inputs.order.tolist(), [block.width for block in inputs.blocks]
    (('a', 'b', 'town'), [0, 4, 1, 2, 3], [1, 3])
    """
    columns = {name: range(inside.start, inside.stop) for name, inside in slices.items()}
    columns = {name: places for name, places in columns.items() if places}
    names = sorted(columns, key=lambda name: len(columns[name]))  # stable: else as in the table
    blocks: list[Block] = []
    start = 0
    for width in sorted({len(places) for places in columns.values()}):
        count = sum(len(places) == width for places in columns.values())
        blocks.append(Block(start, count, width))
        start = blocks[-1].stop
    order = np.array([place for name in names for place in columns[name]], dtype=np.int64)
    return Inputs(tuple(names), order, tuple(blocks))
