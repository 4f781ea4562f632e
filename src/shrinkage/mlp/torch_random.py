"""torch's random numbers without torch: the first weights of its layers, and permutations.

torch draws on a CPU with the Mersenne Twister (Matsumoto and Nishimura, 1998), as NumPy's
`RandomState` does from the same seed, so that a network here begins with the weights and learns
from the batches that it would have in torch. Tests hold them equal, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, final

import numpy as np

from shrinkage.kernels.intrinsics import memory
from shrinkage.kernels.jit import Work, compile_job

WHOLE, WORDS = np.empty(0, np.int64), np.empty(0, np.uint32)
Array = np.ndarray[Any, Any]


@final
class TorchGenerator:
    """The numbers of ``torch.Generator().manual_seed(seed)`` on a CPU.

    Examples
    --------
    >>> generator = TorchGenerator(0)
    >>> generator.permutations(1, 5).tolist()  # torch.randperm(5) after torch.manual_seed(0)
    [[4, 0, 1, 3, 2]]
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.RandomState(seed & 0xFFFFFFFF)

    def _words(self, count: int) -> Array:
        return self._bits.randint(0, 1 << 32, count, np.uint32)

    def uniform(self, low: float, high: float, count: int) -> Array:
        """float32 numbers, uniform between `low` and `high`: 24 bits of a word each."""
        shares = (self._words(count) & np.uint32(0xFFFFFF)) * 2.0**-24
        first = np.float32(low)
        width = np.float32(high) - first
        # torch rounds once, after the sum.
        return (shares * np.float64(width) + np.float64(first)).astype(np.float32)

    def permutations(self, times: int, count: int) -> Array:
        """The numbers below `count` in random orders (Fisher and Yates), (times, count), int64."""
        orders = np.tile(np.arange(count), (times, 1))
        jumps = self._words(times * max(count - 1, 0)) % np.tile(
            np.arange(count, 1, -1, dtype=np.uint32), times
        )
        job = np.array([times, count, orders.ctypes.data, jumps.ctypes.data])
        compile_exchanges()(job.ctypes.data)
        return orders


@cache
def compile_exchanges() -> Work:
    """Compile the loop that exchanges each number with one that stands behind it or itself."""

    def exchange(address):
        job = memory(address, 4, WHOLE)
        times, count = job[0], job[1]
        orders, jumps = memory(job[2], times * count, WHOLE), memory(job[3], times * count, WORDS)
        jump = 0
        for start in range(0, times * count, count):
            for at in range(start, start + count - 1):
                other = at + jumps[jump]
                orders[at], orders[other] = orders[other], orders[at]
                jump += 1

    return compile_job(exchange, "exchanges")


def draw_layers(sizes: Sequence[int], generator: TorchGenerator) -> list[tuple[Array, Array]]:
    """The first (outputs, inputs) weights and biases of torch.nn.Linear layers, one by one.

    Both are uniform between ±1/√inputs (He et al., 2015, with a = √5, as torch calls it).
    """
    layers = []
    for inputs, outputs in pairwise(sizes):
        bound = math.sqrt(3.0) * (math.sqrt(2.0 / (1.0 + 5.0)) / math.sqrt(inputs))
        weights = generator.uniform(-bound, bound, inputs * outputs).reshape(outputs, inputs)
        bound = 1.0 / math.sqrt(inputs)
        layers.append((weights, generator.uniform(-bound, bound, outputs)))
    return layers
