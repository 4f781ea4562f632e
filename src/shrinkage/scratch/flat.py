"""All weights and biases of a network in one vector, and their penalties likewise.

So an optimizer's step is one call for the whole network, however many layers it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import limited_entries, soft_threshold
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense
from shrinkage.scratch.optimizers import OwnStep, prox_


class Flat:
    """One vector for the parameters of these layers: for each layer [Wᵀ b], (n_out, n_in + 1).

    A bias is the weight of an input that is always 1.
    """

    def __init__(self, layers: Sequence[Dense]) -> None:
        self.layers = layers
        self._ends = np.cumsum([0, *(layer.n_out * (layer.n_in + 1) for layer in layers)])
        self.values = np.empty(self._ends[-1], layers[0].dtype)

    def blocks(self, vector: Array) -> list[Array]:
        """The matrix [Wᵀ b] of each layer within `vector`."""
        return [
            vector[start:end].reshape(layer.n_out, layer.n_in + 1)
            for layer, start, end in zip(self.layers, self._ends, self._ends[1:], strict=False)
        ]

    def weights(self, vector: Array, index: int) -> Array:
        """The weights (n_in, n_out) of one layer within `vector`."""
        return self.blocks(vector)[index][:, :-1].T

    def biases(self, vector: Array, index: int) -> Array:
        """The biases (1, n_out) of one layer within `vector`."""
        return self.blocks(vector)[index][:, -1:].T

    def read(self) -> None:
        """Take the parameters as the layers have them."""
        for index, layer in enumerate(self.layers):
            for name, mine in (("weights", self.weights), ("biases", self.biases)):
                theirs, here = getattr(layer, name), mine(self.values, index)
                if np.shape(theirs) != here.shape:
                    raise ValueError(
                        f"{name} of {layer!r} must have shape {here.shape}, got {np.shape(theirs)}"
                    )
                here[...] = theirs

    def write(self) -> None:
        """Give the parameters back to the layers."""
        for index, layer in enumerate(self.layers):
            layer.weights[...] = self.weights(self.values, index)
            layer.biases[...] = self.biases(self.values, index)


class FlatPenalty:
    """The penalties of the layers with that `how`, as one of the flat vector θ.

    ``Ω(θ) = Σ aᵢ·|θᵢ| + Σ bᵢ·θᵢ²`` with a strength for each entry, plus what ties entries together.
    """

    def __init__(self, flat: Flat, how: str) -> None:
        self._absolute, self._square = np.zeros_like(flat.values), np.zeros_like(flat.values)
        self._others: list[tuple[Penalty, Callable[[Array, int], Array], int]] = []
        for index, layer in enumerate(flat.layers):
            for penalty, part in (
                (layer.weight_penalty, flat.weights),
                (layer.bias_penalty, flat.biases),
            ):
                if penalty is None or penalty.is_zero or layer.how != how:
                    continue
                absolute, square, rest = penalty.split()
                if rest:
                    self._others.append((penalty, part, index))
                else:
                    part(self._absolute, index)[...] = absolute
                    part(self._square, index)[...] = square
        self._has_absolute, self._has_square = self._absolute.any(), self._square.any()
        self._slope = 2.0 * self._square

    def value(self, theta: Array) -> float:
        """Ω(θ)."""
        total = 0.0
        if self._has_absolute:
            total += float(self._absolute @ np.abs(theta))
        if self._has_square:
            total += float(self._square @ (theta * theta))
        return total + sum(float(one(part(theta, index))) for one, part, index in self._others)

    def add_gradient_(self, theta: Array, gradient: Array) -> None:
        """gradient ← gradient + ∂Ω(θ)."""
        if self._has_absolute:
            gradient += self._absolute * np.sign(theta)
        if self._has_square:
            gradient += self._slope * theta
        for penalty, part, index in self._others:
            part(gradient, index)[...] += penalty.gradient(part(theta, index))

    def prox_(self, theta: Array, own: OwnStep) -> None:
        """θ ← prox(θ, s), but no entry moves farther than the optimizer's limit."""
        if self._has_absolute or self._has_square:
            shrink = 1.0 + self._slope * own.step
            target = soft_threshold(np, theta / shrink, self._absolute * own.step / shrink)
            theta[...] = limited_entries(np, theta, target, own.limit)
        for penalty, part, index in self._others:
            step = part(own.step, index) if isinstance(own.step, np.ndarray) else own.step
            prox_(part(theta, index), penalty, OwnStep(step, own.limit))
