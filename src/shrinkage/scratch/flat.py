"""All weights and biases of a network as one vector, and all penalties as one penalty of it.

An optimizer's step is then one call for the whole network, however many layers it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import limited_entries, soft_threshold
from shrinkage.scratch.base_optimizer import Memory, OwnStep, prox_
from shrinkage.scratch.checks import Array
from shrinkage.scratch.layers import Dense

View = Callable[[Array], Array]  # the part of a whole vector that one array of parameters takes


class FlatParameters:
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

    def views(self) -> Iterator[tuple[Dense, str, View]]:
        """Each layer twice: with "weights" (n_in, n_out), then with "biases" (1, n_out)."""
        for index, layer in enumerate(self.layers):
            yield layer, "weights", partial(self._weights, index)
            yield layer, "biases", partial(self._biases, index)

    def _weights(self, index: int, vector: Array) -> Array:
        return self.blocks(vector)[index][:, :-1].T

    def _biases(self, index: int, vector: Array) -> Array:
        return self.blocks(vector)[index][:, -1:].T

    def read(self) -> None:
        """Copy the parameters from the layers."""
        for layer, name, view in self.views():
            array, target = getattr(layer, name), view(self.values)
            _check_parameters(f"{name} of {layer!r}", array, target)
            target[...] = array

    def write(self) -> None:
        """Copy the parameters back to the layers."""
        for layer, name, view in self.views():
            getattr(layer, name)[...] = view(self.values)

    def read_memory(self, memories: Mapping[Dense, Mapping[str, Memory]]) -> Memory:
        """The optimizer's memories of the layers, joined for the whole vector.

        It is empty, as for an optimizer that begins, unless the optimizer remembers the same kinds
        of arrays and the same numbers, such as its count of steps, of every layer.
        """
        parts = [
            (memories.get(layer, {}).get(name, {}), view) for layer, name, view in self.views()
        ]
        first, _ = parts[0]
        memory: Memory = {key: value for key, value in first.items() if np.isscalar(value)}
        for part, _ in parts:
            numbers = {key: value for key, value in part.items() if np.isscalar(value)}
            if part.keys() != first.keys() or numbers != memory:
                return {}
        for key in first.keys() - memory.keys():
            memory[key] = np.empty_like(self.values)
            for part, view in parts:
                view(memory[key])[...] = part[key]
        return memory

    def write_memory(self, memory: Memory, memories: dict[Dense, dict[str, Memory]]) -> None:
        """Store each layer's part of the memory of the whole vector."""
        for layer in self.layers:
            memories[layer] = {}
        for layer, name, view in self.views():
            memories[layer][name] = {
                key: value if np.isscalar(value) else np.ascontiguousarray(view(value))
                for key, value in memory.items()
            }


def _check_parameters(name: str, array: object, target: Array) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != target.dtype:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{name} must be an array of {target.dtype}, got {kind}")
    if array.shape != target.shape:
        raise ValueError(f"{name} must have shape {target.shape}, got {array.shape}")
    if not np.isfinite(array).all():
        wrong = array[~np.isfinite(array)][0]
        raise ValueError(f"{name} must be finite before training, but hold {wrong}")


class FlatPenalty:
    """The penalties of the layers with that `how`, as one penalty of the flat vector θ.

    ``Ω(θ) = Σ aᵢ·|θᵢ| + Σ bᵢ·θᵢ²`` with a strength for each entry, plus what ties entries together.
    """

    def __init__(self, parameters: FlatParameters, how: str) -> None:
        self._absolute = np.zeros_like(parameters.values)  # a
        self._square = np.zeros_like(parameters.values)  # b
        self._others: list[tuple[Penalty, View]] = []  # penalties that tie entries together
        for layer, name, view in parameters.views():
            penalty = layer.weight_penalty if name == "weights" else layer.bias_penalty
            if penalty is None or penalty.is_zero or layer.how != how:
                continue
            absolute, square, others = penalty.split()
            if others:
                self._others.append((penalty, view))
            else:
                view(self._absolute)[...] = absolute
                view(self._square)[...] = square
        self._has_absolute, self._has_square = self._absolute.any(), self._square.any()
        with np.errstate(over="ignore"):  # an infinite slope shows in the loss
            self._slope = 2.0 * self._square  # b·θ² has the derivative 2·b·θ

    def project_(self, theta: Array) -> None:
        """θ ← the nearest point where the constraints hold."""
        for penalty, view in self._others:
            if penalty.is_constrained:
                view(theta)[...] = penalty.prox(view(theta), 0.0)

    def value(self, theta: Array) -> float:
        """Ω(θ)."""
        total = 0.0
        if self._has_absolute:
            total += float(self._absolute @ np.abs(theta))
        if self._has_square:
            total += float(self._square @ (theta * theta))
        return total + sum(float(penalty(view(theta))) for penalty, view in self._others)

    def add_gradient_(self, theta: Array, gradient: Array) -> None:
        """gradient ← gradient + ∂Ω(θ)."""
        if self._has_absolute:
            gradient += self._absolute * np.sign(theta)
        if self._has_square:
            gradient += self._slope * theta
        for penalty, view in self._others:
            view(gradient)[...] += penalty.gradient(view(theta))

    def prox_(self, theta: Array, own_step: OwnStep) -> None:
        """θ ← prox(θ, s), but no entry moves farther than the optimizer's limit.

        For a·|u| + b·u² and a step s this is ``soft(θ/(1 + 2·b·s), a·s/(1 + 2·b·s))``.
        """
        step = own_step.step
        if self._has_absolute or self._has_square:
            shrink = 1.0 + self._slope * step
            target = soft_threshold(np, theta / shrink, self._absolute * step / shrink)
            theta[...] = limited_entries(np, theta, target, own_step.limit)
        for penalty, view in self._others:
            part = view(step) if isinstance(step, np.ndarray) else step
            prox_(view(theta), penalty, OwnStep(part, own_step.limit))
