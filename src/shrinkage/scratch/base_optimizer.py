"""What every optimizer has in common: how weights move against their derivatives.

Each step of training calls ``pre_update()``, ``update(layer)`` for each layer that learns, and
``post_update()``. The learning rate falls as ``lr/(1 + decay·iterations)``.

A layer with ``how="proximal"`` is then shrunk by the prox of its penalty,
``prox(w, s) = argmin over u of Σ(u − w)²/(2s) + Ω(u)``, where s is the optimizer's own step for
each entry: how far it moves an entry for each unit of a steady derivative. With that s, and no
other, training converges to the minimum of data loss + Ω. For L1 the prox is
``sign(w)·max(|w| − s·lam, 0)``, exactly zero where the derivative of the data loss cannot hold the
weight.

>>> import numpy as np
>>> from shrinkage.scratch import SGD, Dense
>>> layer = Dense(1, 1, rng=0)
>>> layer.weights[:] = 1.0
>>> layer.forward(np.array([[2.0]]))
>>> layer.backward(np.array([[1.0]]))  # the derivative by the weight is 2
>>> optimizer = SGD(lr=0.1)
>>> optimizer.pre_update()
>>> optimizer.update(layer)
>>> optimizer.post_update()
>>> float(layer.weights[0, 0])
0.8

`move_` is the step of one array, with what the optimizer remembers of it. It returns s.

>>> w, memory = np.array([1.0]), {}
>>> SGD(lr=0.1).move_(w, np.array([2.0]), memory)
OwnStep(step=0.1, limit=inf)
>>> w
array([0.8])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from shrinkage.penalties import Penalty
from shrinkage.scratch.checks import Array, check_number
from shrinkage.scratch.layers import Dense

Memory = dict[str, Any]  # what an optimizer remembers of an array: arrays like it, and numbers


class OwnStep(NamedTuple):
    """The step s of each entry, and how far a prox may move an entry at most.

    Where an entry's derivative was always tiny, s is enormous and means nothing. At convergence the
    prox undoes the optimizer's own move, so a limit of twice the largest steady move never hinders
    it, and keeps it from wiping weights whose derivatives have not begun.
    """

    step: float | Array
    limit: float


class Optimizer(ABC):
    """Moves the weights of layers, step by step.

    Attributes
    ----------
    iterations : int
        How many steps were taken.
    current_lr : float
        The learning rate of the current step, or of the last one.
    memories : dict
        What it remembers of each layer that it has moved, by hand or in `fit`.
    """

    # The names of the constructor's arguments, in their order.
    settings: ClassVar[tuple[str, ...]]

    def __init__(self, lr: float, decay: float) -> None:
        self.lr = check_number("lr", lr)
        self.decay = check_number("decay", decay)
        self.iterations = 0
        self.current_lr = self.lr
        self.memories: dict[Dense, dict[str, Memory]] = {}
        self._updated: set[Dense] | None = None  # in the current step; None between two steps

    def pre_update(self) -> None:
        """Begin a step: set its learning rate."""
        self.current_lr = self.lr / (1.0 + self.decay * self.iterations)
        self._updated = set()

    def update(self, layer: Dense) -> None:
        """Move the weights and biases of one layer, in place.

        Raises
        ------
        RuntimeError
            Outside of a step, twice in one step, and before the layer's `backward`.
        """
        self._check_update(layer)
        memories = self.memories.setdefault(layer, {"weights": {}, "biases": {}})
        for name, w, gradient, penalty in (
            ("weights", layer.weights, layer.dweights, layer.weight_penalty),
            ("biases", layer.biases, layer.dbiases, layer.bias_penalty),
        ):
            assert gradient is not None
            own_step = self.move_(w, gradient, memories[name])
            if penalty is not None and layer.how == "proximal":
                prox_(w, penalty, own_step)

    def post_update(self) -> None:
        """End a step."""
        self.iterations += 1
        self._updated = None

    def cancel_update(self) -> None:
        """End a step that was interrupted, without counting it.

        >>> from shrinkage.scratch import SGD
        >>> optimizer = SGD()
        >>> optimizer.pre_update()
        >>> optimizer.cancel_update()
        >>> optimizer.iterations
        0
        """
        self._updated = None

    @abstractmethod
    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        """Move `w` in place against `gradient`; `memory` belongs to `w`, and is empty at first."""

    def _check_update(self, layer: Dense) -> None:
        if not isinstance(layer, Dense):
            kind = type(layer).__name__
            raise TypeError(f"{kind} has no weights to update; only Dense layers learn")
        if self._updated is None:
            raise RuntimeError("update needs pre_update() before it, in each step")
        if layer in self._updated:
            raise RuntimeError(f"{layer!r} was already updated in this step; post_update() ends it")
        if layer.dweights is None or layer.dbiases is None:
            raise RuntimeError(f"{layer!r} has no derivatives: call its backward before update")
        self._updated.add(layer)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({arguments})"


def prox_(w: Array, penalty: Penalty, own_step: OwnStep) -> None:
    """w ← prox(w, s), but no entry moves farther than the optimizer's limit."""
    target = penalty.prox(w, own_step.step)
    w[...] = penalty._cap_move(np, w, target, own_step.limit)
