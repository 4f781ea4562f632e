"""The optimizers: SGD, AdaGrad, RMSProp and Adam. `base_optimizer` says what a step consists of.

Each class states its update of an entry w with the derivative g, and its own step s: how far it
moves the entry for each unit of a steady derivative.
"""

from __future__ import annotations

from typing import final

import numpy as np

from shrinkage.scratch.base_optimizer import Memory, Optimizer, OwnStep
from shrinkage.scratch.checks import Array, check_number


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

    Examples
    --------
    >>> sgd, w, memory = SGD(lr=0.5, momentum=0.5), np.array([1.0]), {}
    >>> for _ in range(2):  # m = 1, then 1.5
    ...     own_step = sgd.move_(w, np.array([1.0]), memory)
    >>> w
    array([-0.25])
    """

    settings = ("lr", "decay", "momentum", "nesterov")

    def __init__(
        self, lr: float = 1.0, decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(lr, decay)
        self.momentum = check_number("momentum", momentum, below=1.0)
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

    Examples
    --------
    >>> adagrad, w, memory = AdaGrad(lr=1.0), np.array([1.0]), {}
    >>> own_step = adagrad.move_(w, np.array([2.0]), memory)  # v = 4, w − 2/2
    >>> own_step = adagrad.move_(w, np.array([1.5]), memory)  # v = 6.25, w − 1.5/2.5
    >>> w.round(4)
    array([-0.6])
    """

    settings = ("lr", "decay", "eps")

    def __init__(self, lr: float = 1.0, decay: float = 0.0, eps: float = 1e-8) -> None:
        super().__init__(lr, decay)
        self.eps = check_number("eps", eps, above=0.0)

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

    s = lr/(√v + eps). With a constant learning rate it ends in a cycle of about lr/2 around the
    point that it converges to. Reference: Tieleman and Hinton (2012).

    Parameters
    ----------
    lr : float, default 0.001
    decay : float, default 0
        The learning rate is ``lr/(1 + decay·iterations)``.
    rho : float, default 0.9
        How much of v stays at a step, from 0 up to but not including 1; torch calls it alpha.
    eps : float, default 1e-8

    Examples
    --------
    >>> rmsprop, w, memory = RMSProp(lr=0.1, rho=0.75), np.array([1.0]), {}
    >>> own_step = rmsprop.move_(w, np.array([2.0]), memory)  # v = 1, w − 0.1·2/1
    >>> w.round(4)
    array([0.8])
    """

    settings = ("lr", "decay", "rho", "eps")

    def __init__(
        self, lr: float = 0.001, decay: float = 0.0, rho: float = 0.9, eps: float = 1e-8
    ) -> None:
        super().__init__(lr, decay)
        self.rho = check_number("rho", rho, below=1.0)
        self.eps = check_number("eps", eps, above=0.0)

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

    Examples
    --------
    >>> adam, w, memory = Adam(lr=0.1), np.array([1.0]), {}
    >>> own_step = adam.move_(w, np.array([5.0]), memory)  # m̂ = 5, v̂ = 25
    >>> w.round(4)
    array([0.9])
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
            check_number("betas[0]", betas[0], below=1.0),
            check_number("betas[1]", betas[1], below=1.0),
        )
        self.eps = check_number("eps", eps, above=0.0)

    def move_(self, w: Array, gradient: Array, memory: Memory) -> OwnStep:
        if not memory:
            memory.update(m=np.zeros_like(w), v=np.zeros_like(w), count=0)
        m, v, (beta1, beta2) = memory["m"], memory["v"], self.betas
        count = memory["count"] = memory["count"] + 1
        m *= beta1
        m += (1.0 - beta1) * gradient
        v *= beta2
        v += (1.0 - beta2) * gradient * gradient
        step = np.sqrt(v)  # from here in place: this is the costly part of a step
        step *= (1.0 - beta2**count) ** -0.5  # √v̂
        step += self.eps
        np.divide(self.current_lr, step, out=step)
        w -= step * m * (1.0 / (1.0 - beta1**count))
        return OwnStep(step, 2.0 * self.current_lr)
