"""The steps of scikit-learn's solvers "sgd" and "adam", on one vector of parameters.

Each `step_` also returns the rule's own step s: how far it moves an entry for each unit of a steady
gradient. A prox with that step, and no other, comes to rest at the minimum of data loss + Ω.
"""

from __future__ import annotations

from typing import final

import numpy as np

from shrinkage.scratch.base_optimizer import OwnStep
from shrinkage.sklearn.parameters import Array

LEAST_RATE = 1e-6  # at which the adaptive schedule ends, as in scikit-learn


@final
class Sgd:
    """``v ← μ·v − lr·g``, then ``θ ← θ + v``, or with Nesterov's momentum ``θ + μ·v − lr·g``."""

    def __init__(
        self,
        like: Array,
        lr: float,
        schedule: str,
        power_t: float,
        momentum: float,
        nesterov: bool,
    ) -> None:
        self.lr, self.first_lr, self.schedule, self.power_t = lr, lr, schedule, power_t
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity = np.zeros_like(like)
        self.reach = 0.0  # of v, for each unit of a steady gradient

    def step_(self, theta: Array, gradient: Array) -> OwnStep:
        self.reach = self.momentum * self.reach + self.lr
        self.velocity *= self.momentum
        self.velocity -= self.lr * gradient
        if not self.nesterov:
            theta += self.velocity
            return OwnStep(self.reach, np.inf)
        theta += self.momentum * self.velocity
        theta -= self.lr * gradient
        return OwnStep(self.momentum * self.reach + self.lr, np.inf)

    def end_epoch(self, samples_seen: int) -> None:
        if self.schedule == "invscaling":
            self.lr = self.first_lr / (samples_seen + 1) ** self.power_t

    def ends_when_stalled(self) -> bool:
        if self.schedule != "adaptive" or self.lr <= LEAST_RATE:
            return True
        self.lr /= 5.0
        return False


@final
class Adam:
    """Kingma and Ba's (2015), with epsilon beside √v before the correction for early steps."""

    def __init__(
        self, like: Array, lr: float, beta_1: float, beta_2: float, epsilon: float
    ) -> None:
        self.lr, self.beta_1, self.beta_2, self.epsilon = lr, beta_1, beta_2, epsilon
        self.count = 0
        self.mean, self.square = np.zeros_like(like), np.zeros_like(like)

    def step_(self, theta: Array, gradient: Array) -> OwnStep:
        self.count += 1
        self.mean *= self.beta_1
        self.mean += (1.0 - self.beta_1) * gradient
        self.square *= self.beta_2
        gradient *= gradient  # no longer needed as it was
        gradient *= 1.0 - self.beta_2
        self.square += gradient
        step = np.sqrt(self.square)
        step += self.epsilon
        np.divide(self.lr * (1.0 - self.beta_2**self.count) ** 0.5, step, out=step)
        np.multiply(step, self.mean, out=gradient)
        gradient *= 1.0 / (1.0 - self.beta_1**self.count)
        theta -= gradient
        return OwnStep(step, 2.0 * self.lr)

    def end_epoch(self, samples_seen: int) -> None:
        pass

    def ends_when_stalled(self) -> bool:
        return True


UpdateRule = Sgd | Adam
