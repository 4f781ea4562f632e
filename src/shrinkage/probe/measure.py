"""The effect of a decay: the same run with it and without it, over strengths and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.probe.fitting import NOTHING, Shape, fit, snapped
from shrinkage.probe.sizes import OTHERS, UNLIKE, Factors, factors_of, size
from shrinkage.probe.stepper import Driver, Gradient

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
    """A formula, ``coefficient·lr^a·lr₀^b·wd^c·factors(w)·basis(w)``, and how well it fits."""

    shape: Shape
    share: str  # "linear"; "implicit": w/(1 + r); "exponential": exp(−r)·w
    lr_exponent: float
    first_lr_exponent: float
    strength_exponent: float
    factors: Factors  # by which the size of the whole tensor enters, beside each entry's own form
    coefficient: float
    misfit: float
    step: int  # from 1: the first step at which it acts
    size: float  # that the factors have for the weights that the shape was fitted at
    cautious: bool  # acts only where the gradient, too, makes the weight smaller

    def effect(self, w: Tensor) -> Tensor:
        """What the decay adds to `w` at the rates that the shape was fitted at."""
        return self.shape.effect(w, size(self.factors, w) / self.size)


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
    pair = paths(driver, start, base, gradient, STEPS)
    acting = first_acting(effects(pair), start)
    if acting is None:
        pair = paths(driver, start, base, gradient, LONG)
        acting = first_acting(effects(pair), start)
    if not torch.isfinite(pair[0]).all() or not torch.isfinite(pair[1]).all():
        raise FloatingPointError
    if acting is None:
        return None
    look = _Look(driver, gradient, acting, is_cautious(effects(pair)[acting], start, gradient))
    seen = [look(start, setting) for setting in _settings(base)]
    others = [look(other, base) for other in OTHERS]
    unlike = look(UNLIKE, base)
    shape = fit(seen[0].effect, seen[0].w)
    if shape.form == "sign" and _stops_at_zero(look, start, base, shape):
        shape = replace(shape, clipped=True)
    shares = ("linear", "implicit", "exponential") if shape.form == "proportional" else ("linear",)
    found = [_exponents(shape, share, seen, others, unlike, look) for share in shares]
    best = min(found, key=lambda each: each.misfit)
    return found[0] if found[0].misfit <= max(1e-6, 1.1 * best.misfit) else best


def under_other_gradients(driver: Driver, start: Tensor, base: Setting, found: Fitted) -> Fitted:
    """The same law with its misfit under gradients of another size and other signs.

    What acts under a gradient alone may depend on it, and then its law holds for none other.
    """

    def gradient(number: int, w: Tensor) -> Tensor:
        return -3 * known_gradient(base.weight_decay)(number, w)

    look = _Look(driver, gradient, found.step - 1, found.cautious)
    seen = look(start, base)
    rates = (found.lr_exponent, found.first_lr_exponent, found.strength_exponent)
    amount = found.coefficient * size(found.factors, seen.w) * _scale(base, rates)
    missed = _missed(found.shape, _done(amount, found.share), seen)
    return replace(found, misfit=max(found.misfit, missed))


def _settings(base: Setting) -> list[Setting]:
    """Experiments that differ from the first in one thing, and one that differs in three."""
    return [
        base,
        replace(base, lr=base.lr / 2),
        replace(base, schedule=0.5),
        replace(base, weight_decay=base.weight_decay / 2),
        replace(base, size=2.0),
        replace(base, lr=base.lr / 2, weight_decay=base.weight_decay * 2, schedule=0.5),
    ]


def is_cautious(effect: Tensor, start: Tensor, gradient: Gradient) -> bool:
    """Whether only those entries moved that the gradient makes smaller, too."""
    given = gradient(0, start)
    if given is None or not bool(given.any()):
        return False
    agree = given * start > 0
    return bool((acted_on(effect, start) == agree)[start != 0].all())


@dataclass(frozen=True)
class _Seen:
    """One experiment."""

    setting: Setting
    effect: Tensor
    w: Tensor  # the weights before it


@dataclass(frozen=True)
class _Look:
    """How experiments are made: at which step, and under which gradient."""

    driver: Driver
    gradient: Gradient
    acting: int
    cautious: bool

    def __call__(self, start: Tensor, setting: Setting) -> _Seen:
        pair = paths(self.driver, start, setting, self.gradient, self.acting + 1)
        w = pair[0][self.acting]
        given = self.gradient(self.acting, w)
        if self.cautious and given is not None:
            w = w * (given * w > 0)
        return _Seen(setting, effects(pair)[self.acting], w)


def _stops_at_zero(look: _Look, start: Tensor, base: Setting, shape: Shape) -> bool:
    """Once more with weights of which half are smaller than the step of the sign."""
    smaller = abs(shape.coefficient) / float(start.abs().median())
    seen = look(start, replace(base, size=smaller))
    small = (seen.w != 0) & (seen.w.abs() < 0.99 * abs(shape.coefficient))
    return bool(small.any()) and bool((seen.w + seen.effect)[small].abs().max() == 0)


def _exponents(
    shape: Shape, share: str, seen: list[_Seen], others: list[_Seen], unlike: _Seen, look: _Look
) -> Fitted:
    """Exponents from pairs of experiments that differ in one thing, then the misfit over all."""
    amounts = [_undone(_amount(shape, each.effect, each.w), share) for each in seen]
    at_first, lr, schedule, strength = amounts[:4]
    whole, now = _exponent(lr, at_first, 0.5), _exponent(schedule, at_first, 0.5)
    exponents = (now, snapped(whole - now), _exponent(strength, at_first, 0.5))
    at_others = [_undone(_amount(shape, each.effect, each.w), share) for each in others]
    factors = factors_of(
        _size_exponent(shape, seen),
        [(seen[0].w, at_first), *zip((each.w for each in others), at_others, strict=True)],
    )
    at = size(factors, seen[0].w)
    coefficient = at_first / _scale(seen[0].setting, exponents) / at
    worst = shape.misfit
    for each in (*seen, *others, unlike):
        amount = coefficient * size(factors, each.w) * _scale(each.setting, exponents)
        worst = max(worst, _missed(shape, _done(amount, share), each))
    step = look.acting + 1
    return Fitted(
        shape, share, *exponents, factors, coefficient, worst, step, at, cautious=look.cautious
    )


def _missed(shape: Shape, amount: float, seen: _Seen) -> float:
    """The share of what was seen that the formula leaves unexplained."""
    guess = shape.effect(seen.w, amount / shape.coefficient) if shape.coefficient else 0 * seen.w
    whole = float(seen.effect.norm())
    missed = float((seen.effect - guess).norm()) / whole if whole else 1.0
    return missed if math.isfinite(missed) else 1.0


def _size_exponent(shape: Shape, seen: list[_Seen]) -> float:
    """The k of a factor size^k beside what each entry's own form says."""
    own = _own_exponent(shape)
    larger = float(seen[4].effect.norm() / max(float(seen[0].effect.norm()), 1e-300))
    if own is None or not (larger > 0 and math.isfinite(larger) and math.isfinite(own)):
        return 0.0
    return snapped(math.log2(larger)) - own


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
