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

WHOLE = np.empty(0, np.int64)
Array = np.ndarray[Any, Any]


@final
class TorchGenerator:
    """The numbers of ``torch.Generator().manual_seed(seed)`` on a CPU.

    Examples
    --------
    >>> generator = TorchGenerator(0)
    >>> generator.permutation(5).tolist()  # torch.randperm(5) after torch.manual_seed(0)
    [4, 0, 1, 3, 2]
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

    def permutation(self, count: int) -> Array:
        """The numbers below `count` in a random order, as int64 (Fisher and Yates)."""
        order = np.arange(count)
        jumps = self._words(max(count - 1, 0)).astype(np.int64) % np.arange(count, 1, -1)
        job = np.array([count, order.ctypes.data, jumps.ctypes.data])
        compile_exchanges()(job.ctypes.data)
        return order


@cache
def compile_exchanges() -> Work:
    """Compile the loop that exchanges each number with one that stands behind it or itself."""

    def exchange(address):
        job = memory(address, 3, WHOLE)
        order, jumps = memory(job[1], job[0], WHOLE), memory(job[2], job[0], WHOLE)
        for at in range(job[0] - 1):
            other = at + jumps[at]
            order[at], order[other] = order[other], order[at]

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
