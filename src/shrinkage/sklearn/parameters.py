"""All weights and intercepts of a network in one vector, and the penalty on them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shrinkage.penalties import Penalty
from shrinkage.scratch.base_optimizer import OwnStep

Array = NDArray[Any]


@final
class Parameters:
    """One vector with the views `coefs`, each (inputs, outputs), and `intercepts`, (outputs,)."""

    def __init__(self, sizes: list[int], dtype: DTypeLike) -> None:
        self.sizes = sizes
        self.n_weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
        self.values = np.zeros(self.n_weights + sum(sizes[1:]), dtype)
        self.coefs, self.intercepts = self.views(self.values)

    def views(self, vector: Array) -> tuple[list[Array], list[Array]]:
        """The parts of a vector like `values` that belong to the weights and intercepts."""
        coefs, intercepts, start = [], [], 0
        for n_in, n_out in pairwise(self.sizes):
            coefs.append(vector[start : start + n_in * n_out].reshape(n_in, n_out))
            start += n_in * n_out
        for n_out in self.sizes[1:]:
            intercepts.append(vector[start : start + n_out])
            start += n_out
        return coefs, intercepts

    def draw(self, activation: str, rng: np.random.RandomState) -> None:
        """Glorot and Bengio's (2010) first weights, as scikit-learn draws them."""
        factor = 2.0 if activation == "logistic" else 6.0
        for coef, intercept in zip(self.coefs, self.intercepts, strict=True):
            bound = np.sqrt(factor / sum(coef.shape))
            coef[...] = rng.uniform(-bound, bound, coef.shape)
            intercept[...] = rng.uniform(-bound, bound, intercept.shape)

    def read(self, coefs: list[Array], intercepts: list[Array]) -> None:
        """Take these weights and intercepts."""
        for own, other in zip([*self.coefs, *self.intercepts], [*coefs, *intercepts], strict=True):
            own[...] = other


@final
class BoundPenalty:
    """A penalty on the weights, the biases or all parameters; Ω adds up over the arrays.

    A penalty of single entries sees one slice of the vector. Every other one sees each array, and
    weights transposed, (outputs, inputs), as torch lays them out: groups of "in" are inputs.
    The formulas run without the checks of the public methods: this is the inner loop.
    """

    def __init__(self, penalty: Penalty, on: str, how: str, parameters: Parameters) -> None:
        self.penalty, self.how, self.on = penalty, how, on
        self._parameters = parameters
        self._is_flat = penalty.traits.is_separable or not penalty.split().rest

    def _parts(self, vector: Array) -> list[Array]:
        start = self._parameters.n_weights if self.on == "biases" else 0
        end = self._parameters.n_weights if self.on == "weights" else None
        if self._is_flat:
            return [vector[start:end]]
        coefs, intercepts = self._parameters.views(vector)
        weights = [coef.T for coef in coefs]
        return {"weights": weights, "biases": intercepts, "all": weights + intercepts}[self.on]

    def value(self, theta: Array) -> float:
        """Ω(θ)."""
        return sum(float(self.penalty._value(np, part)) for part in self._parts(theta))

    def add_gradient_(self, theta: Array, gradient: Array) -> None:
        """gradient ← gradient + ∂Ω(θ)."""
        for part, target in zip(self._parts(theta), self._parts(gradient), strict=True):
            target += self.penalty._gradient(np, part)

    def prox_(self, theta: Array, own_step: OwnStep) -> None:
        """θ ← prox(θ, s), but no entry moves farther than the optimizer's limit."""
        parts, step = self._parts(theta), own_step.step
        steps: list[float | Array] = [step] * len(parts)
        if isinstance(step, np.ndarray):
            steps = list(self._parts(step))
        for part, part_step in zip(parts, steps, strict=True):
            target = self.penalty._prox(np, part, part_step)
            part[...] = self.penalty._cap_move(np, part, target, own_step.limit)
