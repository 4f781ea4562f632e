"""Fit the formula of a decay's effect to experiments that differ in one setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from shrinkage.probe.fitting import (
    OTHERS,
    UNLIKE,
    Factors,
    Shape,
    evaluate_factors,
    find_factors,
    fit,
    snap,
)
from shrinkage.probe.law import DOUBTFUL
from shrinkage.probe.measure import (
    LONG,
    STEPS,
    WEIGHTS,
    Experiment,
    KnownGradient,
    Observation,
    Setting,
    find_moved,
    is_cautious,
    known_gradient,
    run_pair,
)
from shrinkage.probe.stepper import SEED, Stepper

SEEDS = 8  # further seeds that are tried; one where the first steps do nothing
FAR = (0.02, 50.0)  # factors on the weights that reveal a threshold
VISIBLE = {torch.float64: 1e-9, torch.float32: 1e-4}  # shares of a weight that rounding leaves


class Exponents(NamedTuple):
    """The exponents of the rates; NaN where one is unknown."""

    lr: float
    first_lr: float
    strength: float

    def scale(self, setting: Setting) -> float:
        """lr^a·lr₀^b·wd^c; exponents that are unknown count as 0."""
        present, initial, strength = (each if math.isfinite(each) else 0.0 for each in self)
        lr = setting.lr * setting.schedule
        return float(lr**present * setting.lr**initial * setting.weight_decay**strength)


@dataclass(frozen=True)
class Fitted:
    """A formula, ``coefficient·lr^a·lr₀^b·wd^c·factors(w)·basis(w)``, and how well it fits."""

    shape: Shape
    share: str  # "linear"; "implicit": w/(1 + r); "exponential": exp(−r)·w
    exponents: Exponents
    factors: Factors  # how the size of the whole tensor enters, in addition to each entry's form
    coefficient: float
    step: int  # from 1: the first step at which it acts
    cautious: bool  # acts only where the gradient, too, makes the weight smaller
    misfit: float = 0.0  # the largest share of an observed effect that it leaves unexplained
    is_random: bool = False  # other random numbers give another effect

    def predict(self, w: Tensor, setting: Setting) -> Tensor:
        """What the decay adds to `w` in a step."""
        if not self.shape.coefficient:
            return torch.zeros_like(w)
        scale = self.exponents.scale(setting)
        amount = self.coefficient * evaluate_factors(self.factors, w) * scale
        return self.shape.effect(w, _to_share(amount, self.share) / self.shape.coefficient)

    def misfit_of(self, seen: Observation) -> float:
        """The share of an observed effect that the formula leaves unexplained."""
        size = float(seen.effect.norm())
        missed = float((seen.effect - self.predict(seen.w, seen.setting)).norm()) / (size or 1.0)
        return missed if size and math.isfinite(missed) else 1.0


def fit_effect(stepper: Stepper, base: Setting, gradient: KnownGradient) -> Fitted | None:
    """The formula of the effect, or nothing where no step has one.

    Raises
    ------
    FloatingPointError
        If the weights are not finite.
    """
    for steps in (STEPS, LONG):
        pair = run_pair(stepper, WEIGHTS, base, gradient, steps)
        acting = pair.acting_step
        if acting is not None:
            break
    if not torch.isfinite(pair.decayed).all() or not torch.isfinite(pair.free).all():
        raise FloatingPointError
    if acting is None:
        return None
    cautious = is_cautious(pair.effects[acting], gradient)
    experiment = Experiment(stepper, gradient, acting, cautious)
    settings = (  # each differs from the first in one value, and the last in three
        base,
        replace(base, lr=base.lr / 2),
        replace(base, schedule=0.5),
        replace(base, weight_decay=base.weight_decay / 2),
        replace(base, size=2.0),
        replace(base, lr=base.lr / 2, weight_decay=base.weight_decay * 2, schedule=0.5),
    )
    seen = [experiment.observe(WEIGHTS, setting) for setting in settings]
    first = seen[0]
    others = [experiment.observe(other, base) for other in OTHERS]
    unlike = experiment.observe(UNLIKE, base)
    shape = fit(first.effect, first.w)
    if shape.form == "sign" and _stops_at_zero(experiment, base, shape):
        shape = replace(shape, clipped=True)
    shares = ("linear", "implicit", "exponential") if shape.form == "proportional" else ("linear",)
    laws = []
    for share in shares:
        law = _find_exponents(experiment, shape, share, seen, others)
        misfits = map(law.misfit_of, (*seen, *others, unlike))
        laws.append(replace(law, misfit=max(shape.misfit, *misfits)))
    best = min(laws, key=lambda law: law.misfit)
    law = laws[0] if laws[0].misfit <= max(1e-6, 1.1 * best.misfit) else best
    law = _check_randomness(law, experiment, first)
    return _check_thresholds(law, experiment, base)


def _check_randomness(law: Fitted, experiment: Experiment, first: Observation) -> Fitted:
    """The law with its misfit where torch, NumPy and Python draw other random numbers.

    All other runs draw the same numbers, so that noise apart from the decay cancels in the
    difference of two runs; a random decay would look like a fixed one. Several seeds are tried,
    since a decay that acts at half of the steps is the same in many runs.
    """
    for seed in range(SEED + 1, SEED + 1 + (SEEDS if experiment.acting < STEPS else 1)):
        reseeded = replace(experiment, stepper=replace(experiment.stepper, seed=seed))
        seen = reseeded.observe(WEIGHTS, first.setting)
        misfit = law.misfit_of(seen)
        difference = misfit - law.misfit
        if torch.equal(seen.w, first.w):
            difference = float((seen.effect - first.effect).norm() / first.effect.norm())
        if difference > DOUBTFUL:
            return replace(law, misfit=max(law.misfit, misfit), is_random=True)
    return law


def _check_thresholds(law: Fitted, experiment: Experiment, base: Setting) -> Fitted:
    """The law with its misfit on far smaller and larger weights, where it leaves some alone."""
    for size in FAR if law.misfit < DOUBTFUL else ():
        seen = experiment.observe(WEIGHTS, replace(base, size=size))
        predicted = law.predict(seen.w, seen.setting).abs()
        visible = predicted > VISIBLE[experiment.stepper.dtype] * seen.w.abs()
        if bool((visible & ~find_moved(seen.effect, seen.w)).any()):
            law = replace(law, misfit=max(law.misfit, law.misfit_of(seen)))
    return law


def try_other_gradients(stepper: Stepper, base: Setting, law: Fitted) -> Fitted:
    """The same law with its misfit under gradients of another size and other signs.

    What acts under a gradient alone may depend on it, and then its law holds for none other.
    """

    def gradient(number: int, w: Tensor) -> Tensor:
        return -3 * known_gradient(base.weight_decay)(number, w)

    seen = Experiment(stepper, gradient, law.step - 1, law.cautious).observe(WEIGHTS, base)
    return replace(law, misfit=max(law.misfit, law.misfit_of(seen)))


def _stops_at_zero(experiment: Experiment, base: Setting, shape: Shape) -> bool:
    """Whether weights smaller than the step of the sign become 0: half of them are, here."""
    smaller = abs(shape.coefficient) / float(WEIGHTS.abs().median())
    seen = experiment.observe(WEIGHTS, replace(base, size=smaller))
    small = (seen.w != 0) & (seen.w.abs() < 0.99 * abs(shape.coefficient))
    return bool(small.any()) and bool((seen.w + seen.effect)[small].abs().max() == 0)


def _find_exponents(
    experiment: Experiment,
    shape: Shape,
    share: str,
    seen: Sequence[Observation],
    others: Sequence[Observation],
) -> Fitted:
    """Find the exponents from pairs of experiments that differ in one value."""
    first = seen[0]

    def find_amount(observed: Observation) -> float:
        return _from_share(shape.amount(observed.effect, observed.w), share)

    at_first, lr, schedule, strength, *_ = map(find_amount, seen)
    whole, by_schedule = _find_exponent(lr, at_first), _find_exponent(schedule, at_first)
    exponents = Exponents(
        by_schedule, snap(whole - by_schedule), _find_exponent(strength, at_first)
    )
    amounts = [(each.w, find_amount(each)) for each in others]
    growth = float(seen[4].effect.norm() / max(float(first.effect.norm()), 1e-300))
    by_entries = shape.weight_exponent
    # ‖effect‖ grows with the size of the weights by what each entry's form says, and by norms.
    by_norms = 0.0
    if by_entries is not None and 0 < growth < math.inf and math.isfinite(by_entries):
        by_norms = snap(math.log2(growth)) - by_entries
    factors = find_factors(by_norms, [(first.w, at_first), *amounts])
    scale = exponents.scale(first.setting) * evaluate_factors(factors, first.w)
    return Fitted(
        shape=shape,
        share=share,
        exponents=exponents,
        factors=factors,
        coefficient=at_first / scale,
        step=experiment.acting + 1,
        cautious=experiment.cautious,
    )


def _find_exponent(halved: float, whole: float) -> float:
    """The k of an amount that is 2⁻ᵏ of the first where a rate is half of it."""
    quotient = halved / whole if whole else 0.0
    return snap(-math.log2(quotient)) if quotient > 0 else math.nan


def _from_share(amount: float, share: str) -> float:
    """r, from the share of a weight that r takes away."""
    if share == "linear":
        return amount
    if not amount < 1:
        return math.nan
    return amount / (1 - amount) if share == "implicit" else -math.log1p(-amount)


def _to_share(r: float, share: str) -> float:
    if share == "implicit":
        return r / (1 + r)
    return -math.expm1(-r) if share == "exponential" else r
