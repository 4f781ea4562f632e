"""All weights and biases of a network in one vector, and their penalties likewise.

So an optimizer's step is one call for the whole network, however many layers it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import limited_entries, soft_threshold
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense
from shrinkage.scratch.optimizers import Memory, OwnStep, prox_


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
                _check_parameters(f"{name} of {layer!r}", theirs, here)
                here[...] = theirs

    def write(self) -> None:
        """Give the parameters back to the layers."""
        for index, layer in enumerate(self.layers):
            layer.weights[...] = self.weights(self.values, index)
            layer.biases[...] = self.biases(self.values, index)

    def read_memory(self, memories: Mapping[Dense, Mapping[str, Memory]]) -> Memory:
        """What an optimizer remembers of the layers, for the whole vector.

        Empty, as for one that begins, where it does not remember as much of each.
        """
        parts = [
            (memories.get(layer, {}).get(name, {}), mine, index)
            for index, layer in enumerate(self.layers)
            for name, mine in (("weights", self.weights), ("biases", self.biases))
        ]
        numbers = [
            {key: one for key, one in part.items() if np.isscalar(one)} for part, *_ in parts
        ]
        if any(part.keys() != parts[0][0].keys() for part, *_ in parts) or any(
            number != numbers[0] for number in numbers
        ):
            return {}
        memory: Memory = dict(numbers[0])
        for key in parts[0][0].keys() - memory.keys():
            memory[key] = np.empty_like(self.values)
            for part, mine, index in parts:
                mine(memory[key], index)[...] = part[key]
        return memory

    def write_memory(self, memory: Memory, memories: dict[Dense, dict[str, Memory]]) -> None:
        """Give what was remembered of the whole vector back to each layer's own."""
        for index, layer in enumerate(self.layers):
            memories[layer] = {
                name: {
                    key: one if np.isscalar(one) else np.ascontiguousarray(mine(one, index))
                    for key, one in memory.items()
                }
                for name, mine in (("weights", self.weights), ("biases", self.biases))
            }


def _check_parameters(what: str, theirs: object, here: Array) -> None:
    if not isinstance(theirs, np.ndarray) or theirs.dtype != here.dtype:
        kind = theirs.dtype if isinstance(theirs, np.ndarray) else type(theirs).__name__
        raise TypeError(f"{what} must be an array of {here.dtype}, got {kind}")
    if theirs.shape != here.shape:
        raise ValueError(f"{what} must have shape {here.shape}, got {theirs.shape}")
    if not np.isfinite(theirs).all():
        wrong = theirs[~np.isfinite(theirs)][0]
        raise ValueError(f"{what} must be finite before training, but hold {wrong}")


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
        with np.errstate(over="ignore"):  # the loss will say so
            self._slope = 2.0 * self._square

    def project_(self, theta: Array) -> None:
        """θ ← the nearest point where the constraints hold."""
        for penalty, part, index in self._others:
            if penalty.is_constrained:
                part(theta, index)[...] = penalty.prox(part(theta, index), 0.0)

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
