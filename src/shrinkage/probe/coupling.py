"""Coupled or decoupled: does a decay pass through the optimizer's own arithmetic?

The answer is found by imitation. First the optimizer without decay gets gradients to which wd·w was
added: if its run is the same, the decay is coupled. Then its weights are moved by the law of the
decay outside its steps: if that run is the same, the decay is decoupled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.probe.arguments import parameters_of
from shrinkage.probe.law_fit import Fitted
from shrinkage.probe.measure import (
    WEIGHTS,
    Setting,
    is_cautious,
    known_gradient,
    no_gradient,
    run_pair,
)
from shrinkage.probe.stepper import Gradient, Nudge, Stepper

ROUNDING = 1e-8  # of the effect
SAME = 1e-3  # of the effect: two runs that differ by less are one
STEPS = 4  # fewer than those after which a lookahead replaces the weights
MOMENTUM = 0.9
AVERAGED = 30  # last steps, since some optimizers act at every fifth or sixth only
SETTLED = 150  # steps after which a momentum of 0.9 is full


@dataclass(frozen=True)
class Coupling:
    """How a decay relates to the steps of the optimizer."""

    coupled: bool | None  # None: both imitations are the same run
    order: str  # of a decoupled one: "before", "after" or "either"
    equals: str  # what it adds to the gradient, where that imitates it exactly
    cautious: bool  # acts only where the gradient, too, makes the weight smaller
    momentum: float | None = None  # given for the judgement, if the factory's own did not decide


def judge_coupling(stepper: Stepper, base: Setting, law: Fitted) -> Coupling:
    """Judge with the factory's own settings, and with momentum where these do not decide."""
    coupling = _compare_imitations(stepper, base, law)
    if coupling.coupled is not None or "momentum" not in parameters_of(stepper.factory):
        return coupling
    with_momentum = replace(stepper, momentum=MOMENTUM)
    try:
        coupling = _compare_imitations(with_momentum, base, law)
    except (TypeError, ValueError):  # refused together with the factory's other options
        return coupling
    return replace(coupling, momentum=MOMENTUM)


def _compare_imitations(stepper: Stepper, base: Setting, law: Fitted) -> Coupling:
    known = known_gradient(base.weight_decay)
    pair = run_pair(stepper, WEIGHTS, base, known, STEPS + law.step - 1)

    def miss(gradient: Gradient, nudge: Nudge | None = None) -> float:
        """How far an imitation is from the run with the decay, by what the decay does."""
        steps = len(pair.free) - 1
        imitation = stepper.run(
            WEIGHTS, gradient, lr=base.lr, weight_decay=0.0, steps=steps, nudge=nudge
        )
        missed = float((pair.decayed - imitation).norm() / (pair.decayed - pair.free).norm())
        return missed if math.isfinite(missed) else math.inf

    def miss_with_term(term: Callable[[Tensor], Tensor]) -> float:
        return miss(lambda number, w: known(number, w) + term(w))

    def miss_with_nudge(order: str) -> float:
        def nudge(number: int, before: Tensor, after: Tensor) -> Tensor:
            if number + 1 < law.step:
                return after
            return after + law.predict(before if order == "before" else after, base)

        return miss(known, nudge)

    by_term = {name: miss_with_term(term) for name, term in _list_terms(base, law).items()}
    by_order = {order: miss_with_nudge(order) for order in ("before", "after")}
    nearest = min(by_term, key=lambda name: by_term[name])
    tolerance = min(SAME, max(10 * min(by_order.values()), ROUNDING))
    orders = [order for order, missed in by_order.items() if missed < tolerance]
    is_added = by_term[nearest] < SAME
    cautious = law.cautious or is_cautious(pair.effects[0], known)
    return Coupling(
        coupled=None if orders and is_added else not (orders or cautious),
        order="either" if len(orders) == 2 else "".join(orders),
        equals=nearest if is_added else "",
        cautious=cautious,
    )


def _list_terms(base: Setting, law: Fitted) -> dict[str, Callable[[Tensor], Tensor]]:
    """What a coupled decay may add to a gradient, by its formula."""
    wd = base.weight_decay
    terms: dict[str, Callable[[Tensor], Tensor]] = {
        "wd·w": lambda w: wd * w,
        "2·wd·w": lambda w: 2 * wd * w,
        "wd·sign(w)": lambda w: wd * torch.sign(w),
    }
    if law.shape.form in ("power", "constant", "mixture", "matrix"):
        terms["its own law"] = lambda w: -law.predict(w, base) / base.lr
    return terms


def measure_growth(stepper: Stepper, base: Setting, law: Fitted) -> float:
    """Its share of a weight after many steps, by that of the first.

    The strength is a tenth of the usual one, and there is no data gradient.
    """
    if law.shape.form != "proportional" and law.exponents.strength != 1.0:
        return 1.0
    gentle = replace(base, weight_decay=base.weight_decay / 10, lr=base.lr / 10)
    pair = run_pair(stepper, WEIGHTS, gentle, no_gradient, SETTLED + law.step)
    moves = pair.effects
    if not torch.isfinite(moves).all():
        return 1.0
    bases = torch.stack([law.shape.basis(w) for w in pair.decayed[:-1]])
    shares = -(moves * bases).flatten(1).sum(dim=1) / (bases**2).flatten(1).sum(dim=1)
    first = float(shares[law.step - 1])
    growth = float(shares[-AVERAGED:].mean()) / first if first else 1.0
    return growth if math.isfinite(growth) else 1.0
