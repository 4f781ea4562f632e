"""A network of dense layers, trained by compiled loops: `Training`.

The loops hold no lock of Python's, so that trainings run beside each other in threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np

from shrinkage.mlp.loop import compile_training
from shrinkage.mlp.products import pad
from shrinkage.mlp.records import LAYER, NETWORK, Activation, Loss
from shrinkage.mlp.updates import Rule, Stepper, plan_pieces
from shrinkage.penalties import Penalty

Array = np.ndarray[Any, Any]
TILE = 64  # samples: what they give stays in a core's first caches


@final
@dataclass(frozen=True)
class Architecture:
    """Dense layers with an activation between them, and the loss of their scores."""

    sizes: tuple[int, ...]  # of the inputs, each hidden layer, and the outputs
    activation: Activation
    loss: Loss

    @property
    def weight_shapes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(pairwise(self.sizes))


@final
@dataclass(frozen=True)
class Data:
    """What a network learns from, each array contiguous.

    Attributes
    ----------
    inputs : array (samples, inputs)
        float32 or float64, as everything but labels.
    targets : array (samples, outputs), or (samples,) of int64 for `Loss.LOG_LOSS`
    weights : array (samples,) or None
    """

    inputs: Array
    targets: Array
    weights: Array | None = None


class Training:
    """The parameters of a network, its optimizer, and the compiled loop that trains it.

    Attributes
    ----------
    values : array
        All weights, then all biases, in one vector.
    weights, biases : lists of arrays
        Views of it: (inputs, outputs) and (outputs,) of each layer.
    """

    def __init__(
        self,
        architecture: Architecture,
        rule: Rule,
        penalties: Sequence[Penalty | None],
        how: str = "proximal",
        *,
        dtype: str = "float32",
        alpha: float = 0.0,
    ) -> None:
        shapes: list[tuple[int, ...]] = [*architecture.weight_shapes]
        shapes += [(size,) for size in architecture.sizes[1:]]
        pieces = plan_pieces(shapes, list(penalties), how)
        if pieces is None:
            raise ValueError("no compiled loop has that penalty")
        self.architecture = architecture
        self.values = np.zeros(sum(map(math.prod, shapes)), dtype)
        self._gradient = np.zeros_like(self.values)
        views = _views(self.values, shapes)
        layers = len(architecture.sizes) - 1
        self.weights, self.biases = views[:layers], views[layers:]
        self.stepper = Stepper(rule, pieces, self.values, self._gradient)
        self._work = compile_training(dtype)
        self._held: dict[str, Array] = {}
        self._network = np.zeros(1, NETWORK)
        self._fill(shapes, alpha, getattr(rule, "eps", 0.0) * getattr(rule, "scales_eps", False))

    def run(
        self, data: Data, order: Array | None, offsets: Array, rates: Array
    ) -> tuple[Array, int]:
        """Take a step for each rate, and return the losses before them and how many were taken.

        Parameters
        ----------
        data : Data
        order : array of int64, or None
            Rows of the data one batch after the other; None takes them as they come.
        offsets : array (steps + 1,) of int64
            Step i is on the rows ``order[offsets[i]:offsets[i + 1]]``.
        rates : array (steps,) of float64
            Learning rates.

        Notes
        -----
        It ends before a step whose loss is not finite, and where `stop` was called.
        """
        losses = np.full(len(rates), np.nan)
        self._set(inputs=data.inputs, order=order, offsets=offsets, rates=rates, losses=losses)
        is_labels = self.architecture.loss is Loss.LOG_LOSS
        self._set(labels=data.targets if is_labels else None)
        self._set(targets=None if is_labels else data.targets, sample_weights=data.weights)
        self._network["step_count"], self._network["done"] = len(rates), 0
        self._work(self._network.ctypes.data)
        return losses, int(self._network["done"][0])

    def stop(self) -> None:
        """Let `run`, in another thread, end before its next step."""
        self._network["stop"] = 1

    def _set(self, **arrays: Array | None) -> None:
        for name, array in arrays.items():
            self._network[name] = 0 if array is None else array.ctypes.data
            if array is not None:
                self._held[name] = array

    def _fill(self, shapes: list[tuple[int, ...]], alpha: float, scaled_eps: float) -> None:
        sizes, dtype = self.architecture.sizes, self.values.dtype
        layers = np.zeros(len(sizes) - 1, LAYER)
        by = _views(self._gradient, shapes)
        self._set(layers=layers, values=self.values, gradient=self._gradient)
        widths = [pad(size, self.values) for size in sizes]
        for number, (inner, outer) in enumerate(pairwise(sizes)):
            below, width = widths[number : number + 2]
            activation = self.architecture.activation if number < len(layers) - 1 else 0
            weights, by_weights = self.weights[number], by[number]
            padded, by_padded = weights, by_weights
            if width != outer:
                padded, by_padded = np.zeros((2, inner, width), dtype)
            transposed = np.zeros(outer * below, dtype)
            out, delta = np.zeros((2, TILE * width), dtype)
            arrays = (
                *(weights, self.biases[number], by_weights, by[len(layers) + number]),
                *(padded, transposed, by_padded, out, delta),
            )
            self._held |= {f"{number} {place}": array for place, array in enumerate(arrays)}
            addresses = [array.ctypes.data for array in arrays]
            layers[number] = (inner, outer, width, activation, *addresses)
        self._set(
            turns=self.stepper.turns,
            tile_inputs=np.empty(TILE * sizes[0], dtype),
            tile_targets=np.empty(TILE * sizes[-1], dtype),
            tile_scores=np.empty(TILE * sizes[-1], dtype),
            tile_labels=np.empty(TILE, np.int64),
            tile_weights=np.empty(TILE, dtype),
            tile_sums=np.empty(2 * TILE, dtype),
        )
        numbers = {
            "layer_count": len(layers),
            "turn_count": len(self.stepper.turns),
            "weight_count": sum(map(math.prod, self.architecture.weight_shapes)),
            "count": len(self.values),
            "loss": self.architecture.loss,
            "tile": TILE,
            "alpha": alpha,
            "scaled_eps": scaled_eps,
        }
        for name, number in numbers.items():
            self._network[name] = number


def _views(vector: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """The arrays of these shapes that lie one after the other in a vector."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
