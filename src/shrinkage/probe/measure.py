"""Measure the effect of a decay as the difference of a run with it and a run without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from shrinkage.probe.fitting import NOTHING
from shrinkage.probe.stepper import Gradient, Stepper

KnownGradient = Callable[[int, Tensor], Tensor]  # as Gradient, and never None
STEPS = 12  # enough for most of the momentum to build up
LONG = 300  # tried where nothing happens within STEPS, as during a warm-up

# Varying signs and sizes, two zeros, distinct singular values.
WEIGHTS = torch.tensor(
    [
        [1.0, -1.5, 0.3, 2.0, -0.4, 0.7],
        [-0.6, 0.9, -2.5, 0.0, 1.2, -0.25],
        [0.5, 1.8, -0.8, -1.1, 0.0, 3.0],
        [-2.2, 0.35, 1.4, 0.8, -1.7, 0.45],
    ],
    dtype=torch.float64,
)


@dataclass(frozen=True)
class Setting:
    """The values chosen for one experiment."""

    lr: float
    weight_decay: float
    schedule: float = 1.0  # lr is this times the first one
    size: float = 1.0  # of the weights


@dataclass(frozen=True)
class Pair:
    """The weights over the steps of two runs that differ in the decay alone."""

    decayed: Tensor  # (steps + 1, *shape)
    free: Tensor  # without the decay

    @property
    def effects(self) -> Tensor:
        """What the decay added at each step: (steps, *shape)."""
        return self.decayed.diff(dim=0) - self.free.diff(dim=0)

    @property
    def acting_step(self) -> int | None:
        """The index of the first step at which the decay moved anything; None if none did."""
        sizes = self.effects.flatten(1).norm(dim=1)
        acting = torch.nonzero(sizes > NOTHING * float(self.decayed[0].norm())).flatten()
        return int(acting[0]) if len(acting) else None


@dataclass(frozen=True)
class Observation:
    """The result of one experiment."""

    setting: Setting
    effect: Tensor  # what the decay added in one step
    w: Tensor  # the weights before that step


@dataclass(frozen=True)
class Experiment:
    """How effects are observed: at which step, and under which gradient."""

    stepper: Stepper
    gradient: KnownGradient
    acting: int  # the index of the step
    cautious: bool

    def observe(self, start: Tensor, setting: Setting) -> Observation:
        pair = run_pair(self.stepper, start, setting, self.gradient, self.acting + 1)
        w = pair.decayed[self.acting]
        if self.cautious:
            w = w * (self.gradient(self.acting, w) * w > 0)
        return Observation(setting, pair.effects[self.acting], w)


def no_gradient(_: int, w: Tensor) -> Tensor:
    """A data gradient of 0."""
    return torch.zeros_like(w)


def known_gradient(weight_decay: float) -> KnownGradient:
    """A constant gradient, about as large as wd·w; half of its signs are those of WEIGHTS."""

    def gradient(_: int, w: Tensor) -> Tensor:
        pattern = torch.linspace(-1.3, 1.7, w.numel(), dtype=torch.float64).reshape(w.shape)
        return 2 * weight_decay * torch.where(pattern.abs() < 0.2, 0.2, pattern)

    return gradient


def run_pair(
    stepper: Stepper, start: Tensor, setting: Setting, gradient: Gradient, steps: int
) -> Pair:
    """Step the same weights with the decay, and without it."""
    schedule = None if setting.schedule == 1.0 else (lambda _: setting.schedule)
    runs = (
        stepper.run(
            setting.size * start,
            gradient,
            lr=setting.lr,
            weight_decay=weight_decay,
            steps=steps,
            schedule=schedule,
        )
        for weight_decay in (setting.weight_decay, 0.0)
    )
    return Pair(*runs)


def find_moved(move: Tensor, w: Tensor) -> Tensor:
    """Which entries a decay moved; a cautious one leaves some unchanged."""
    return move.abs() > NOTHING * float(w.abs().max())


def is_cautious(effect: Tensor, gradient: KnownGradient) -> bool:
    """Whether only those of WEIGHTS moved that the gradient makes smaller too."""
    first = gradient(0, WEIGHTS)
    if not bool(first.any()):
        return False
    agree = first * WEIGHTS > 0
    return bool((find_moved(effect, WEIGHTS) == agree)[WEIGHTS != 0].all())
