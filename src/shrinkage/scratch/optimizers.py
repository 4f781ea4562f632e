"""How weights move against their derivatives.

Each step of training calls ``pre_update()``, ``update(layer)`` for each layer that learns, and
``post_update()``. The learning rate falls as ``lr/(1 + decay·iterations)``.

A layer with ``how="proximal"`` is then shrunk by the prox of its penalty,
``prox(w, s) = argmin over u of Σ(u − w)²/(2s) + Ω(u)``, where s is the optimizer's own step for
each entry: how far it moves an entry for each unit of a steady derivative. Only with that s does
training rest where data loss + Ω is least. For L1 the prox is ``sign(w)·max(|w| − s·lam, 0)``,
exactly zero where the derivative of the data loss cannot hold the weight.

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
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from shrinkage.penalties import Penalty
from shrinkage.scratch.checks import Array, checked_number
from shrinkage.scratch.layers import Dense

Memory = dict[str, Any]  # what an optimizer remembers of an array: others of its shape, and counts


class OwnStep(NamedTuple):
    """The step s of each entry, and how far a prox may move an entry at most.

    Where an entry's derivative was always tiny, s is enormous and says nothing. At rest the prox
    undoes the optimizer's own move, so twice the largest steady move of that optimizer is never in
    its way, and keeps it from wiping weights whose derivatives have not begun.
    """

    step: float | Array
    limit: float


class Optimizer(ABC):
    """Moves the weights of layers, step by step.

    Attributes
    ----------
    iterations : int
        How many steps are done.
    current_lr : float
        The learning rate of the present step, or of the last one.
    memories : dict
        What it remembers of each layer that it has moved, by hand or in `fit`.
    """

    # The numbers that make an optimizer, in the order of its arguments.
    settings: ClassVar[tuple[str, ...]]

    def __init__(self, lr: float, decay: float) -> None:
        self.lr = checked_number("lr", lr)
        self.decay = checked_number("decay", decay)
        self.iterations = 0
        self.current_lr = self.lr
        self.memories: dict[Dense, dict[str, Memory]] = {}
        self._updated: set[Dense] | None = None  # in the present step; None between two steps

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
            own = self.move_(w, gradient, memories[name])
            if penalty is not None and layer.how == "proximal":
                prox_(w, penalty, own)

    def post_update(self) -> None:
        """End a step."""
        self.iterations += 1
        self._updated = None

    @abstractmethod
    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        """Move `w` in place against `gradient`; `memory` is empty at first, and this one's own."""

    def _check_update(self, layer: Dense) -> None:
        if not isinstance(layer, Dense):
            kind = type(layer).__name__
            raise TypeError(f"{kind} has no weights to update; only Dense layers learn")
        if self._updated is None:
            raise RuntimeError("update needs pre_update() before it, in each step")
        if layer in self._updated:
            raise RuntimeError(f"{layer!r} was updated in this step already; post_update() ends it")
        if layer.dweights is None or layer.dbiases is None:
            raise RuntimeError(f"{layer!r} has no derivatives: call its backward before update")
        self._updated.add(layer)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({said})"


@final
class SGD(Optimizer):
    """Gradient descent: ``w ← w − lr·g``.

    With momentum μ the move is along a running sum, ``m ← μ·m + g`` and ``w ← w − lr·m``; with
    Nesterov's, ``w ← w − lr·(g + μ·m)``. As in torch. After n steps of a steady derivative g the
    sum is ``b·g`` with ``b = 1 + μ + ... + μ^(n−1)``, so that s = lr·b.

    Parameters
    ----------
    lr : float, default 1.0
    decay : float, default 0
        The learning rate is ``lr/(1 + decay·iterations)``.
    momentum : float, default 0
        μ, from 0 up to but not including 1.
    nesterov : bool, default False
        Needs momentum.
    """

    settings = ("lr", "decay", "momentum", "nesterov")

    def __init__(
        self, lr: float = 1.0, decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(lr, decay)
        self.momentum = checked_number("momentum", momentum, below=1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum, for example momentum=0.9")

    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        lr, momentum = self.current_lr, self.momentum
        if not momentum:
            w -= lr * gradient
            return OwnStep(lr, np.inf)
        if not memory:
            memory.update(m=np.zeros_like(w), b=0.0)
        m = memory["m"]
        m *= momentum
        m += gradient
        b = memory["b"] = 1.0 + momentum * memory["b"]
        if self.nesterov:
            w -= lr * (gradient + momentum * m)
            return OwnStep(lr * (1.0 + momentum * b), np.inf)
        w -= lr * m
        return OwnStep(lr * b, np.inf)


@final
class AdaGrad(Optimizer):
    """Each entry at its own rate: ``v ← v + g²``, ``w ← w − lr·g/(√v + eps)``.

    s = lr/(√v + eps). Reference: Duchi, Hazan and Singer (2011).

    Parameters
    ----------
    lr : float, default 1.0
    decay : float, default 0
        The learning rate is ``lr/(1 + decay·iterations)``.
    eps : float, default 1e-8
    """

    settings = ("lr", "decay", "eps")

    def __init__(self, lr: float = 1.0, decay: float = 0.0, eps: float = 1e-8) -> None:
        super().__init__(lr, decay)
        self.eps = checked_number("eps", eps, above=0.0)

    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        if not memory:
            memory.update(v=np.zeros_like(w), count=0)
        v = memory["v"]
        v += gradient * gradient
        count = memory["count"] = memory["count"] + 1
        step = self.current_lr / (np.sqrt(v) + self.eps)
        w -= step * gradient
        return OwnStep(step, 2.0 * self.current_lr / count**0.5)  # √(v/count): a derivative's size


@final
class RMSProp(Optimizer):
    """Each entry at its own rate: ``v ← rho·v + (1 − rho)·g²``, ``w ← w − lr·g/(√v + eps)``.

    s = lr/(√v + eps). With a constant learning rate it ends in a cycle of about lr/2 around its
    rest. Reference: Tieleman and Hinton (2012).

    Parameters
    ----------
    lr : float, default 0.001
    decay : float, default 0
        The learning rate is ``lr/(1 + decay·iterations)``.
    rho : float, default 0.9
        How much of v stays at a step, from 0 up to but not including 1; torch calls it alpha.
    eps : float, default 1e-8
    """

    settings = ("lr", "decay", "rho", "eps")

    def __init__(
        self, lr: float = 0.001, decay: float = 0.0, rho: float = 0.9, eps: float = 1e-8
    ) -> None:
        super().__init__(lr, decay)
        self.rho = checked_number("rho", rho, below=1.0)
        self.eps = checked_number("eps", eps, above=0.0)

    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        if not memory:
            memory.update(v=np.zeros_like(w))
        v = memory["v"]
        v *= self.rho
        v += (1.0 - self.rho) * gradient * gradient
        step = self.current_lr / (np.sqrt(v) + self.eps)
        w -= step * gradient
        return OwnStep(step, 2.0 * self.current_lr)


@final
class Adam(Optimizer):
    """Momentum, and each entry at its own rate.

    ``m ← β₁·m + (1 − β₁)·g`` and ``v ← β₂·v + (1 − β₂)·g²``, which both begin at 0, so that after t
    steps they are divided by 1 − β₁ᵗ and 1 − β₂ᵗ: ``w ← w − lr·m̂/(√v̂ + eps)``.
    s = lr/(√v̂ + eps). Reference: Kingma and Ba (2015).

    Parameters
    ----------
    lr : float, default 0.001
    decay : float, default 0
        The learning rate is ``lr/(1 + decay·iterations)``.
    betas : (float, float), default (0.9, 0.999)
        Each from 0 up to but not including 1.
    eps : float, default 1e-8
    """

    settings = ("lr", "decay", "betas", "eps")

    def __init__(
        self,
        lr: float = 0.001,
        decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(lr, decay)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"betas must be two numbers, got {betas!r}")
        self.betas = (
            checked_number("betas[0]", betas[0], below=1.0),
            checked_number("betas[1]", betas[1], below=1.0),
        )
        self.eps = checked_number("eps", eps, above=0.0)

    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        if not memory:
            memory.update(m=np.zeros_like(w), v=np.zeros_like(w), count=0)
        m, v, (beta1, beta2) = memory["m"], memory["v"], self.betas
        count = memory["count"] = memory["count"] + 1
        m *= beta1
        m += (1.0 - beta1) * gradient
        v *= beta2
        v += (1.0 - beta2) * gradient * gradient
        step = np.sqrt(v)
        step *= (1.0 - beta2**count) ** -0.5  # √v̂
        step += self.eps
        np.divide(self.current_lr, step, out=step)
        w -= step * m * (1.0 / (1.0 - beta1**count))
        return OwnStep(step, 2.0 * self.current_lr)


def prox_(w: Array, penalty: Penalty, own: OwnStep) -> None:
    """w ← prox(w, s), but no entry moves farther than the optimizer's limit."""
    target = penalty.prox(w, own.step)
    w[...] = penalty._cap_move(np, w, target, own.limit)
