"""A network of dense layers, trained by compiled loops: `Training`.

The loops hold no lock of Python's, so that trainings run beside each other in threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np

from shrinkage.mlp.loop import compile_training
from shrinkage.mlp.optimizers import Piece, Rule, Stepper
from shrinkage.mlp.products import pad
from shrinkage.mlp.records import LAYER, NETWORK, Activation, Loss

Array = np.ndarray[Any, Any]
TILE = 96  # samples: what they give stays in a core's first caches, in blocks of six rows


@final
@dataclass(frozen=True)
class Architecture:
    """Dense layers with an activation between them, and the loss of their scores."""

    sizes: tuple[int, ...]  # of the inputs, each hidden layer, and the outputs
    activation: Activation
    loss: Loss


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

    The pieces, as of `plan_pieces`, say how `values` are stepped and with which penalty.

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
        pieces: Sequence[Piece],
        *,
        dtype: str = "float32",
        alpha: float = 0.0,
    ) -> None:
        self.architecture = architecture
        self.values = np.zeros(sum(piece.size for piece in pieces), dtype)
        self.stepper = Stepper(rule, pieces, self.values)
        self._is_turned = [piece.is_turned for piece in pieces]
        self.weights, self.biases = self.views(self.values)
        self._work = compile_training(dtype)
        self._held: dict[str, Array] = {}
        self._network = np.zeros(1, NETWORK)
        self._fill(alpha, getattr(rule, "eps", 0.0) * getattr(rule, "scales_eps", False))

    def run(
        self,
        data: Data,
        order: Array | None,
        ranges: Array,
        rates: Array,
        hits: Array | None = None,
    ) -> tuple[Array, int]:
        """Take a step for each rate, and return the losses before them and how many were taken.

        Parameters
        ----------
        data : Data
        order : array of int64, or None
            Rows of the data one batch after the other; None takes them as they come.
        ranges : array (steps, 2) of int64
            Step i is on the rows from ranges[i, 0] up to ranges[i, 1] of the order.
        rates : array (steps,) of float64
            Learning rates.
        hits : array (steps,) of int64, optional
            With `Loss.LOG_LOSS`, how many samples were predicted right before the step is added.

        Notes
        -----
        It ends before a step whose loss is not finite.
        """
        losses = np.full(len(rates), np.nan)
        self._set(inputs=data.inputs, order=order, ranges=ranges, rates=rates, losses=losses)
        self._set(hits=hits)
        is_labels = self.architecture.loss is Loss.LOG_LOSS
        self._set(labels=data.targets if is_labels else None)
        self._set(targets=None if is_labels else data.targets, sample_weights=data.weights)
        self._network["step_count"], self._network["done"] = len(rates), 0
        self._work(self._network.ctypes.data)
        return losses, int(self._network["done"][0])

    def _set(self, **arrays: Array | None) -> None:
        for name, array in arrays.items():
            self._network[name] = 0 if array is None else array.ctypes.data
            if array is not None:
                self._held[name] = array

    def views(self, vector: Array) -> tuple[list[Array], list[Array]]:
        """The weights (inputs, outputs) and the biases of each layer in a vector like `values`."""
        sizes = self.architecture.sizes
        weights, biases, start = [], [], 0
        for (inputs, outputs), is_turned in zip(pairwise(sizes), self._is_turned, strict=False):
            part = vector[start : start + inputs * outputs]
            turned = part.reshape(outputs, inputs).T
            weights.append(turned if is_turned else part.reshape(inputs, outputs))
            start += inputs * outputs
        for outputs in sizes[1:]:
            biases.append(vector[start : start + outputs])
            start += outputs
        return weights, biases

    def _fill(self, alpha: float, scaled_eps: float) -> None:
        sizes, dtype = self.architecture.sizes, self.values.dtype
        layers = self._make_layers()
        self._set(
            layers=layers,
            values=self.values,
            gradient=self.stepper.gradient,
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
            "weight_count": sum(weights.size for weights in self.weights),
            "count": len(self.values),
            "loss": self.architecture.loss,
            "tile": TILE,
            "alpha": alpha,
            "scaled_eps": scaled_eps,
        }
        for name, number in numbers.items():
            self._network[name] = number

    def _make_layers(self) -> Array:
        """The record of each layer, with room for what a tile gives."""
        sizes, dtype = self.architecture.sizes, self.values.dtype
        layers = np.zeros(len(sizes) - 1, LAYER)
        widths = [pad(size, self.values) for size in sizes]
        by_weights, by_biases = self.views(self.stepper.gradient)
        for number, (inputs, outputs) in enumerate(pairwise(sizes)):
            below, width = widths[number : number + 2]
            is_last, is_turned = number == len(layers) - 1, self._is_turned[number]
            padded, by_padded = self.weights[number], by_weights[number]
            if width != outputs or is_turned:
                padded, by_padded = np.zeros((2, inputs, width), dtype)
            out, delta = np.zeros((2, TILE * width), dtype)
            arrays = {
                "weights": self.weights[number],
                "biases": self.biases[number],
                "by_weights": by_weights[number],
                "by_biases": by_biases[number],
                "padded": padded,
                "transposed": np.zeros(outputs * below, dtype),
                "by_padded": by_padded,
                "out": out,
                "delta": delta,
            }
            layer = layers[number]
            layer["inputs"], layer["outputs"], layer["width"] = inputs, outputs, width
            layer["is_turned"] = is_turned
            layer["is_single"] = number > 0 and outputs == 1 and below == inputs
            layer["activation"] = 0 if is_last else self.architecture.activation
            for name, array in arrays.items():
                layer[name] = array.ctypes.data
                self._held[f"{number} {name}"] = array
        return layers
