"""Coupled or decoupled: does a decay pass through the optimizer's own arithmetic?

The answer is found by imitation. The optimizer without any decay is given gradients to which wd·w
was added: if that is the same run, the decay is coupled. Or its weights are moved by the law of the
decay, apart from its steps: if that is the same run, the decay is decoupled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.probe.arguments import accepted
from shrinkage.probe.measure import (
    Fitted,
    Setting,
    effects,
    is_cautious,
    known_gradient,
    no_gradient,
    paths,
)
from shrinkage.probe.stepper import Driver

ROUNDING = 1e-8  # of the effect
SAME = 1e-3  # of the effect: two runs that differ by less are one
STEPS = 4  # fewer than those after which a lookahead puts its own weights in
MOMENTUM = 0.9
AVERAGED = 30  # last steps, for what happens at every fifth or sixth alone
SETTLED = 150  # steps after which a momentum of 0.9 is full
Runs = tuple[Tensor, Tensor]  # with the decay, and without


@dataclass(frozen=True)
class Coupling:
    """How a decay and the steps of the optimizer belong together."""

    coupled: bool | None  # None: both imitations are the same run
    order: str  # of a decoupled one: "before", "after" or "either"
    equals: str  # what it adds to the gradient, where that imitates it exactly
    cautious: bool  # acts only where the gradient, too, makes the weight smaller
    growth: float  # its share of a weight after many steps, by that of the first
    momentum: float | None  # what the judgement was made at, beside the factory's own


def coupling(driver: Driver, start: Tensor, base: Setting, law: Fitted) -> Coupling:
    """Judge at the factory's own settings, and under momentum where these leave it open."""
    found = _judged(driver, start, base, law)
    if found.coupled is not None or "momentum" not in accepted(driver.factory):
        return found
    under = replace(driver, momentum=MOMENTUM)
    try:
        found = _judged(under, start, base, law)
    except (TypeError, ValueError):  # refused, beside the factory's other options
        return found
    return replace(found, momentum=MOMENTUM)


def _judged(driver: Driver, start: Tensor, base: Setting, law: Fitted) -> Coupling:
    known = known_gradient(base.weight_decay)
    runs = paths(driver, start, base, known, STEPS + law.step - 1)
    added = {name: _fed(driver, start, base, runs, extra) for name, extra in _extras(law, base)}
    apart = {order: _nudged(driver, start, base, runs, law, order) for order in ("before", "after")}
    equals = min(added, key=lambda name: added[name])
    orders = [
        order
        for order, missed in apart.items()
        if missed < SAME and missed < max(10 * min(apart.values()), ROUNDING)
    ]
    is_added = added[equals] < SAME
    cautious = law.cautious or is_cautious(effects(runs)[0], start, known)
    coupled = not (orders or cautious)
    return Coupling(
        coupled=None if orders and is_added else coupled,
        order="either" if len(orders) == 2 else "".join(orders),
        equals=equals if is_added else "",
        cautious=cautious,
        growth=_growth(driver, start, base, law),
        momentum=None,
    )


def _extras(law: Fitted, base: Setting) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """What may be added to a gradient, by its name."""
    wd = base.weight_decay
    extras: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("wd·w", lambda w: wd * w),
        ("2·wd·w", lambda w: 2 * wd * w),
        ("wd·sign(w)", lambda w: wd * torch.sign(w)),
    ]
    if law.shape.form in ("power", "constant", "mixture", "matrix"):
        extras.append(("its own law", lambda w: -law.effect(w) / base.lr))
    return extras


def _missed(runs: Runs, imitation: Tensor) -> float:
    """How far an imitation is from the run with the decay, by what the decay does."""
    decayed, free = runs
    missed = float((decayed - imitation).norm() / (decayed - free).norm())
    return missed if math.isfinite(missed) else math.inf


def _fed(
    driver: Driver, start: Tensor, base: Setting, runs: Runs, extra: Callable[[Tensor], Tensor]
) -> float:
    def gradient(number: int, w: Tensor) -> Tensor:
        return known_gradient(base.weight_decay)(number, w) + extra(w)

    steps = len(runs[0]) - 1
    imitation = driver.run(start, gradient, lr=base.lr, weight_decay=0.0, steps=steps)
    return _missed(runs, imitation)


def _nudged(
    driver: Driver, start: Tensor, base: Setting, runs: Runs, law: Fitted, order: str
) -> float:
    def nudge(number: int, before: Tensor, after: Tensor) -> Tensor:
        if number + 1 < law.step:
            return after
        return after + law.effect(before if order == "before" else after)

    steps = len(runs[0]) - 1
    known = known_gradient(base.weight_decay)
    imitation = driver.run(start, known, lr=base.lr, weight_decay=0.0, steps=steps, nudge=nudge)
    return _missed(runs, imitation)


def _growth(driver: Driver, start: Tensor, base: Setting, law: Fitted) -> float:
    """At a data gradient of 0 and a tenth of the strength, so that little of a weight is gone."""
    if law.shape.form != "proportional" and law.strength_exponent != 1.0:
        return 1.0
    gentle = replace(base, weight_decay=base.weight_decay / 10, lr=base.lr / 10)
    pair = paths(driver, start, gentle, no_gradient, SETTLED + law.step)
    moves = effects(pair)
    if not torch.isfinite(moves).all():
        return 1.0
    bases = torch.stack([law.shape.basis(w) for w in pair[0][:-1]])
    shares = -(moves * bases).flatten(1).sum(dim=1) / (bases**2).flatten(1).sum(dim=1)
    first = float(shares[law.step - 1])
    growth = float(shares[-AVERAGED:].mean()) / first if first else 1.0
    return growth if math.isfinite(growth) else 1.0
