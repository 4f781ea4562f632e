"""The effect of a decay: the same run with it and without it, over strengths and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.torch.probing.driving import Driver, Gradient
from shrinkage.torch.probing.fitting import NOTHING, Shape, fit, snapped

STEPS = 12  # from where momentum begins until most of it is there
LONG = 300  # where nothing happens within these: a warm-up may be over after so many

# Signs and sizes that vary, two zeros, no two singular values alike.
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
    """What is chosen for one experiment."""

    lr: float
    weight_decay: float
    schedule: float = 1.0  # lr is this times the first one
    size: float = 1.0  # of the weights


@dataclass(frozen=True)
class Fitted:
    """An effect as a formula: ``coefficient·lr^a·lr₀^b·wd^c·basis(w)``, and how well that fits."""

    shape: Shape
    share: str  # "linear"; "implicit": w/(1 + r); "exponential": exp(−r)·w
    lr_exponent: float
    first_lr_exponent: float
    strength_exponent: float
    size_exponent: float  # the effect's, when all weights are made larger
    coefficient: float
    misfit: float
    step: int  # from 1: the first step at which it acts
    norm: float  # of the weights that the shape was fitted at

    @property
    def norm_exponent(self) -> float:
        """The k of a factor ‖w‖^k beside what each entry's own form says."""
        own = _own_exponent(self.shape)
        if own is None or not math.isfinite(self.size_exponent):
            return 0.0
        return self.size_exponent - own

    def effect(self, w: Tensor) -> Tensor:
        """What the decay adds to `w` at the rates that the shape was fitted at."""
        return self.shape.effect(w, (float(w.norm()) / self.norm) ** self.norm_exponent)


def no_gradient(_: int, w: Tensor) -> Tensor:
    """A data gradient of 0."""
    return torch.zeros_like(w)


def known_gradient(weight_decay: float) -> Callable[[int, Tensor], Tensor]:
    """One that does not change, about as large as wd·w; half of its signs are those of WEIGHTS."""

    def gradient(_: int, w: Tensor) -> Tensor:
        pattern = torch.linspace(-1.3, 1.7, w.numel(), dtype=torch.float64).reshape(w.shape)
        return 2 * weight_decay * torch.where(pattern.abs() < 0.2, 0.2, pattern)

    return gradient


def paths(
    driver: Driver, start: Tensor, setting: Setting, gradient: Gradient, steps: int
) -> tuple[Tensor, Tensor]:
    """The weights over steps with the decay, and without it."""
    held = None if setting.schedule == 1.0 else (lambda _: setting.schedule)
    with_decay, without = (
        driver.run(
            setting.size * start,
            gradient,
            lr=setting.lr,
            weight_decay=weight_decay,
            steps=steps,
            schedule=held,
        )
        for weight_decay in (setting.weight_decay, 0.0)
    )
    return with_decay, without


def effects(pair: tuple[Tensor, Tensor]) -> Tensor:
    """What the decay added at each step: (steps, *shape)."""
    decayed, free = pair
    return decayed.diff(dim=0) - free.diff(dim=0)


def first_acting(moves: Tensor, w: Tensor) -> int | None:
    """The index of the first step at which anything moved."""
    sizes = moves.flatten(1).norm(dim=1)
    acting = torch.nonzero(sizes > NOTHING * float(w.norm())).flatten()
    return int(acting[0]) if len(acting) else None


def acted_on(move: Tensor, w: Tensor) -> Tensor:
    """Which entries a decay moved at all; a cautious one leaves some alone."""
    return move.abs() > NOTHING * float(w.abs().max())


def fitted(driver: Driver, start: Tensor, base: Setting, gradient: Gradient) -> Fitted | None:
    """The formula of the effect, or nothing where no step has one.

    Raises
    ------
    FloatingPointError
        If the weights are not finite.
    """
    steps = STEPS
    pair = paths(driver, start, base, gradient, steps)
    acting = first_acting(effects(pair), start)
    if acting is None:
        steps = LONG
        pair = paths(driver, start, base, gradient, steps)
        acting = first_acting(effects(pair), start)
    if not torch.isfinite(pair[0]).all() or not torch.isfinite(pair[1]).all():
        raise FloatingPointError
    if acting is None:
        return None
    steps = acting + 1
    settings = [
        replace(base, lr=base.lr / 2),
        replace(base, schedule=0.5),
        replace(base, weight_decay=base.weight_decay / 2),
        replace(base, size=2.0),
        replace(base, lr=base.lr / 2, weight_decay=base.weight_decay * 2, schedule=0.5),
    ]
    moves = effects(pair)[acting]
    touched = acted_on(moves, start)
    seen = [(base, moves, pair[0][acting] * touched)]
    for setting in settings:
        other = paths(driver, start, setting, gradient, steps)
        seen.append((setting, effects(other)[acting], other[0][acting] * touched))
    shape = fit(seen[0][1], seen[0][2])
    if shape.form == "sign" and _stops_at_zero(driver, start, base, gradient, steps, shape):
        shape = replace(shape, clipped=True)
    shares = ("linear", "implicit", "exponential") if shape.form == "proportional" else ("linear",)
    found = [_exponents(shape, share, seen, acting + 1) for share in shares]
    best = min(found, key=lambda each: each.misfit)
    return found[0] if found[0].misfit <= max(1e-6, 1.1 * best.misfit) else best


def _stops_at_zero(
    driver: Driver, start: Tensor, base: Setting, gradient: Gradient, steps: int, shape: Shape
) -> bool:
    """Once more with weights of which half are smaller than the step of the sign."""
    smaller = abs(shape.coefficient) / float(start.abs().median())
    decayed, _ = paths(driver, start, replace(base, size=smaller), gradient, steps)
    before, after = decayed[-2], decayed[-1]
    small = (before != 0) & (before.abs() < 0.99 * abs(shape.coefficient))
    return bool(small.any()) and bool((after[small] == 0).all())


Seen = Sequence[tuple[Setting, Tensor, Tensor]]  # (setting, effect, weights before it)


def _exponents(shape: Shape, share: str, seen: Seen, step: int) -> Fitted:
    """Exponents from pairs of experiments that differ in one thing, then the misfit over all."""
    amounts = [_undone(_amount(shape, effect, w), share) for _, effect, w in seen]
    at_first, lr, schedule, strength = amounts[:4]
    whole, now = _exponent(lr, at_first, 0.5), _exponent(schedule, at_first, 0.5)
    exponents = (now, snapped(whole - now), _exponent(strength, at_first, 0.5))
    larger = float(seen[4][1].norm() / max(float(seen[0][1].norm()), 1e-300))
    size = snapped(math.log2(larger)) if larger > 0 and math.isfinite(larger) else math.nan
    norm = float(seen[0][2].norm())
    law = Fitted(shape, share, *exponents, size, 1.0, shape.misfit, step, norm)
    coefficient = at_first / _scale(seen[0][0], exponents)
    worst = shape.misfit
    for setting, effect, w in seen:
        amount = _done(coefficient * _scale(setting, exponents), share)
        amount *= (float(w.norm()) / norm) ** law.norm_exponent
        guess = shape.effect(w, amount / shape.coefficient) if shape.coefficient else 0 * w
        size_seen = float(effect.norm())
        missed = float((effect - guess).norm()) / size_seen if size_seen else 1.0
        worst = max(worst, missed if math.isfinite(missed) else 1.0)
    coefficient /= norm**law.norm_exponent
    return replace(law, coefficient=coefficient, misfit=worst)


def _own_exponent(shape: Shape) -> float | None:
    """How an effect of that form grows with the weights, if each entry is all that matters."""
    if shape.form in ("power", "matrix"):
        return shape.weight_exponent
    return {"proportional": 1.0, "sign": 0.0, "constant": 0.0}.get(shape.form)


def _amount(shape: Shape, effect: Tensor, w: Tensor) -> float:
    """The coefficient of this effect, in the form found for the first."""
    if shape.clipped:
        return float(effect.abs().max())
    basis = shape.basis(w)
    square = float((basis * basis).sum())
    return -float((effect * basis).sum()) / square if square else 0.0


def _undone(amount: float, share: str) -> float:
    """r, from the share of a weight that r takes away."""
    if share == "implicit":
        return amount / (1 - amount) if amount < 1 else math.nan
    if share == "exponential":
        return -math.log1p(-amount) if amount < 1 else math.nan
    return amount


def _done(r: float, share: str) -> float:
    if share == "implicit":
        return r / (1 + r)
    return -math.expm1(-r) if share == "exponential" else r


def _exponent(other: float, first: float, ratio: float) -> float:
    quotient = other / first if first else 0.0
    return snapped(math.log(quotient) / math.log(ratio)) if quotient > 0 else math.nan


def _scale(setting: Setting, exponents: tuple[float, float, float]) -> float:
    """lr^a·lr₀^b·wd^c; exponents that are unknown count as 0."""
    now, first, strength = (each if math.isfinite(each) else 0.0 for each in exponents)
    lr = setting.lr * setting.schedule
    return float(lr**now * setting.lr**first * setting.weight_decay**strength)
