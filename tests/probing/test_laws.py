"""Each law is found on optimizers that are written here, right ones and wrong ones."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import cache, partial

import pytest
import torch
from torch import nn

import shrinkage.torch as ours
from fused_twins import torch_operations
from probing import black_boxes as boxes
from probing.short import probe_law
from shrinkage import L1, L2
from shrinkage.torch import SGDW, Law, Regularizer, probe

LR, WD = 0.1, 0.1
EXACT = 1e-9  # of a fit in float64, where exponents are exact


def fields(law: Law) -> tuple[object, ...]:
    return (law.form, law.lr_exponent, law.first_lr_exponent, law.strength_exponent)


# box -> form, exponents of lr, lr₀ and wd, coefficient, coupled, order, formula
LAWS = {
    boxes.Constant: ("constant", 1, 0, 1, 1, None, "", "w ← w − lr·wd"),
    boxes.Sign: ("sign", 1, 0, 1, 1, None, "", "w ← w − lr·wd·sign(w)"),
    boxes.Soft: ("sign", 1, 0, 1, 1, False, "after", "w ← sign(w)·max(|w| − lr·wd, 0)"),
    boxes.Power: ("power", 1, 0, 1, 3, None, "", "w ← w − 3·lr·wd·sign(w)·|w|^1.5"),
    boxes.Grows: ("grows", 1, 0, 1, 1, False, "before", "w ← (1 + lr·wd)·w"),
    boxes.Unscaled: ("proportional", 0, 0, 1, 1, False, "before", "w ← (1 − wd)·w"),
    boxes.Squared: ("proportional", 2, 0, 1, 1, False, "before", "w ← (1 − lr²·wd)·w"),
    boxes.Scheduled: ("proportional", 1, -1, 1, 1, False, "before", "w ← (1 − (lr/lr₀)·wd)·w"),
    boxes.Corrected: ("proportional", 2, -1, 1, 1, None, "", "w ← (1 − (lr²/lr₀)·wd)·w"),
    boxes.Doubled: ("proportional", 1, 0, 1, 2, True, "", "w ← (1 − 2·lr·wd)·w"),
    boxes.Coupled: ("proportional", 1, 0, 1, 1, True, "", "w ← (1 − lr·wd)·w"),
    boxes.CoupledL1: ("sign", 1, 0, 1, 1, True, "", "w ← w − lr·wd·sign(w)"),
    boxes.AfterMomentum: ("proportional", 1, 0, 1, 1, False, "before", "w ← (1 − lr·wd)·w"),
    boxes.Plain: ("proportional", 1, 0, 1, 1, None, "", "w ← (1 − lr·wd)·w"),
    boxes.After: ("proportional", 1, 0, 1, 1, False, "after", "w ← (1 − lr·wd)·w"),
    boxes.Implicit: ("proportional", 1, 0, 1, 1, False, "after", "w ← w/(1 + lr·wd)"),
    boxes.Exponential: ("proportional", 1, 0, 1, 1, False, "before", "w ← exp(−lr·wd)·w"),
    boxes.OnNone: ("proportional", 1, 0, 1, 1, False, "before", "w ← (1 − lr·wd)·w"),
    boxes.SkipsVectors: ("proportional", 1, 0, 1, 1, None, "", "w ← (1 − lr·wd)·w"),
    boxes.Cautious: ("proportional", 1, 0, 1, 1, False, "", "w ← (1 − lr·wd)·w"),
    boxes.CautiousAtRest: ("proportional", 1, 0, 1, 1, False, "", "w ← (1 − lr·wd)·w"),
    boxes.Matrix: ("matrix", 1, 0, 1, 1, None, "", "w ← w − lr·wd·UVᵀ (w = USVᵀ)"),
    boxes.OfTheNorm: ("matrix", 1, 0, 1, 1, False, "before", "w ← w − lr·wd·w·‖w‖⁻¹"),
    boxes.Mixture: ("mixture", 1, 0, 1, 1, None, "", "w ← w − lr·wd·(0.25·w + 0.75·sign(w))"),
    boxes.Late: ("proportional", 1, 0, 1, 1, False, "before", "w ← (1 − lr·wd)·w"),
    boxes.Noisy: ("proportional", 1, 0, 1, 1, None, "", "w ← (1 − lr·wd)·w"),
    boxes.SignSteps: ("sign", 1, 0, 0, 1, True, "", "w ← w − lr·sign(w)"),
}


@cache
def law_of(box: type[boxes.Box]) -> Law:
    """What a probe finds, which several tests look at."""
    return (probe if box in OBJECTIVES else probe_law)(box, lr=LR, weight_decay=WD)


@pytest.mark.quick_where(box=["Coupled", "Sign"])
@pytest.mark.parametrize("box", LAWS, ids=lambda box: box.__name__)
def test_the_law_is_the_one_that_was_written(box: type[boxes.Box]) -> None:
    law = law_of(box)
    form, lr, first_lr, strength, coefficient, coupled, order, formula = LAWS[box]
    assert fields(law) == (form, lr, first_lr, strength)
    assert law.coefficient == pytest.approx(coefficient, rel=EXACT)
    assert (law.coupled, law.order, law.formula) == (coupled, order, formula)
    assert law.misfit < EXACT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("box", "lr", "weight_decay"),
    [
        (boxes.After, 1e-3, 0.3),
        (boxes.Coupled, 0.02, 1e-4),
        (boxes.Power, 1e-3, 0.3),
        (boxes.Soft, 0.02, 1e-4),
        (boxes.Squared, 1e-3, 0.3),
    ],
)
def test_the_law_does_not_depend_on_where_one_looks(
    box: type[boxes.Box], lr: float, weight_decay: float
) -> None:
    law = probe_law(box, lr=lr, weight_decay=weight_decay)
    form, *exponents, coefficient, coupled, order, formula = LAWS[box]
    assert fields(law) == (form, *exponents)
    assert law.coefficient == pytest.approx(coefficient, rel=1e-6)  # tiny effects, less rounded
    assert (law.coupled, law.order, law.formula) == (coupled, order, formula)


@pytest.mark.slow
def test_what_is_cautious_is_said_to_be() -> None:
    for box in (boxes.Cautious, boxes.CautiousAtRest, boxes.Plain):
        law = law_of(box)
        assert law.cautious is (box is not boxes.Plain)
        assert ("only where the gradient shrinks the weight" in law.law) is law.cautious


def test_what_does_nothing_is_said_to() -> None:
    law = probe(boxes.Nothing)
    assert fields(law) == ("none", 0, 0, 0)
    assert law.formula == "w ← w"
    assert "weight_decay is taken and does nothing" in law.report()


def test_what_follows_no_law_is_said_to() -> None:
    law = probe_law(boxes.Lottery)
    assert law.misfit > 0.3
    assert not law.is_simple
    assert law.law.startswith("no simple law")
    assert "unexplained" in law.report()


# box -> what report() says beside the law
FACTS = {
    boxes.Constant: "moves weights that are 0",
    boxes.OnNone: "acts where the gradient is None, too",
    boxes.SkipsVectors: "one-dimensional parameters: left alone",
    boxes.Matrix: "one-dimensional parameters: left alone",
    boxes.Late: "acts from step 21 on",
    boxes.Coupled: "after 150 steps it is 10 times as strong as at first",
    boxes.Cautious: "at a data gradient of 0 it does nothing",
    boxes.SignSteps: "the strength cancels",
    boxes.Doubled: "coupled: 2·wd·w joins the gradient",
}


@pytest.mark.quick_where(box=["Coupled"])
@pytest.mark.parametrize("box", FACTS, ids=lambda box: box.__name__)
def test_the_report_says_what_else_is_to_know(box: type[boxes.Box]) -> None:
    assert FACTS[box] in law_of(box).report()
    assert FACTS[box] not in law_of(boxes.Sign).report()


# box -> the objective that it converges to the minimum of, by calculus
OBJECTIVES = {
    boxes.Plain: "solves J with L2 strength wd (½·s·Σw²)",
    boxes.Coupled: "solves J with L2 strength wd (½·s·Σw²)",
    boxes.Doubled: "solves J with L2 strength 2·wd (½·s·Σw²)",
    boxes.Sign: "solves J with L1 strength wd (s·Σ|w|)",
    boxes.CoupledL1: "solves J with L1 strength wd (s·Σ|w|)",
    boxes.After: "solves J with L2 strength 0.1·wd (½·s·Σw²)",  # 1 − 0.9 of the momentum
    boxes.Scheduled: "solves J with L2 strength wd/lr₀ (½·s·Σw²)",
    boxes.Unscaled: (
        "solves J with L2 strength wd/lr (½·s·Σw²) at a constant lr, and goes to 0 as lr does"
    ),
    boxes.Constant: "minimizes data loss + wd·Σw, which is no penalty",
    boxes.Squared: "solves the unpenalized problem",
}


@pytest.mark.quick_where(box=["Coupled", "Sign"])
@pytest.mark.parametrize("box", OBJECTIVES, ids=lambda box: box.__name__)
def test_the_objective_is_what_calculus_gives(box: type[boxes.Box]) -> None:
    assert law_of(box).objective == OBJECTIVES[box]


@pytest.mark.slow
@pytest.mark.parametrize(
    "box",
    [boxes.RandomRate, boxes.RandomEntries, boxes.RandomSteps, boxes.Lottery],
    ids=lambda box: box.__name__,
)
def test_a_random_decay_follows_no_law(box: type[boxes.Box]) -> None:
    law = probe(box)
    assert not law.is_simple
    assert "random: with other random numbers it has another effect" in law.facts
    assert law.objective == "it is not known what it solves: its decay is random"


@pytest.mark.slow
def test_noise_beside_a_decay_is_no_random_decay() -> None:
    law = probe(boxes.Noisy)
    assert law.is_simple
    assert not any("random" in fact for fact in law.facts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "box", [boxes.AboveThreshold, boxes.BelowThreshold], ids=lambda box: box.__name__
)
def test_a_decay_of_some_sizes_alone_follows_no_law(box: type[boxes.Box]) -> None:
    law = probe(box)
    assert not law.is_simple
    assert "strength differs" in law.objective


# Known of torch's own: form, strength exponent, coupled, objective.
BOX = "solves the unpenalized problem within the box |w| ≤ 1/wd"
UNDER_NOISE = (
    "; with noisy gradients, a problem whose strength depends on each gradient's size (wd·√E[g²])"
)
TORCH = {
    "SGD": ("proportional", 1, True, "solves J with L2 strength wd"),
    "Adam": ("sign", 0, True, "solves J with L2 strength wd"),
    "AdamW": ("proportional", 1, False, BOX + UNDER_NOISE),
    "RMSprop": ("sign", 0, True, "solves J with L2 strength wd"),
    "Adamax": ("sign", 0, True, "solves J with L2 strength wd"),
    "Muon": ("proportional", 1, False, ""),
}


@pytest.mark.quick_where(name=["AdamW"])
@pytest.mark.parametrize("name", TORCH)
def test_torch_does_what_is_known_of_it(name: str) -> None:
    law = probe(getattr(torch.optim, name))
    form, strength, coupled, objective = TORCH[name]
    assert (law.form, law.strength_exponent, law.coupled) == (form, strength, coupled)
    assert (law.lr_exponent, law.first_lr_exponent) == (1, 0)
    assert law.objective.startswith(objective)
    assert law.as_documented


@pytest.mark.slow
def test_the_first_step_of_adam_is_the_sign_of_the_weight() -> None:
    law = probe_law(torch.optim.Adam)
    assert law.coefficient == pytest.approx(1.0, rel=1e-6)  # its eps is 1e-8
    assert law.strength_cancels
    assert law.gradient_term == "wd·w"
    assert str(law).startswith("torch.optim.Adam: w ← w − lr·sign(w) (the strength cancels)")


def attached(penalty, how, kind, **options):
    """A factory whose weight_decay is the lam of a penalty attached from outside."""

    def factory(params, lr, weight_decay):
        model = nn.Module()
        (model.weight,) = params
        optimizer = kind(model.parameters(), lr=lr)
        if weight_decay:
            regularizer = Regularizer(model, penalty(weight_decay), on="all")
            optimizer.handle = regularizer.attach(optimizer, how=how, **options)
        return optimizer

    return factory


SGD, ADAM = torch.optim.SGD, torch.optim.Adam
ADAMW = partial(torch.optim.AdamW, weight_decay=0.0)


# This library's own: factory, form, exponents of lr, lr₀, wd, coefficient, coupled.
def inside(penalty, how, kind):
    """An optimizer with the penalty inside, whose lam is called weight_decay."""

    def factory(params, lr, weight_decay):
        return kind(params, lr=lr, penalty=penalty(weight_decay), how=how)

    return factory


OWN = {
    "SGDW": (SGDW, "proportional", 0, 0, 1, 1, False),
    "SGDW of L1": (partial(SGDW, weight_norm=1), "sign", 0, 0, 1, 1, False),
    "SGDW by lr": (partial(SGDW, scale="lr"), "proportional", 1, 0, 1, 1, False),
    "L2 coupled, SGD": (attached(L2, "coupled", SGD), "proportional", 1, 0, 1, 2, None),
    "L1 coupled, SGD": (attached(L1, "coupled", SGD), "sign", 1, 0, 1, 1, None),
    "L2 coupled, Adam": (attached(L2, "coupled", ADAM), "sign", 1, 0, 0, 1, True),
    "L1 coupled, Adam": (attached(L1, "coupled", ADAM), "sign", 1, 0, 0, 1, True),
    "L2 coupled, AdamW": (attached(L2, "coupled", ADAMW), "sign", 1, 0, 0, 1, True),
    "L2 decoupled, SGD": (attached(L2, "decoupled", SGD), "proportional", 1, 0, 1, 2, None),
    "L2 decoupled, Adam": (attached(L2, "decoupled", ADAM), "proportional", 1, 0, 1, 2, False),
    "L1 decoupled, Adam": (attached(L1, "decoupled", ADAM), "sign", 1, 0, 1, 1, False),
    "L2 decoupled by the schedule": (
        attached(L2, "decoupled", ADAM, scale="schedule"), "proportional", 1, -1, 1, 2, False
    ),
    "L2 decoupled, unscaled": (
        attached(L2, "decoupled", ADAM, scale="none"), "proportional", 0, 0, 1, 2, False
    ),
    "L2 proximal, SGD": (attached(L2, "proximal", SGD), "proportional", 1, 0, 1, 2, False),
    "L1 proximal, SGD": (attached(L1, "proximal", SGD), "sign", 1, 0, 1, 1, False),
    "SGD itself": (ours.SGD, "proportional", 1, 0, 1, 1, True),
    "AdamW itself": (
        partial(ours.Adam, decoupled_weight_decay=True), "proportional", 1, 0, 1, 1, False
    ),
    "L2 coupled inside SGD": (inside(L2, "coupled", ours.SGD), "proportional", 1, 0, 1, 2, None),
    "L2 coupled inside Adam": (inside(L2, "coupled", ours.Adam), "sign", 1, 0, 0, 1, True),
    "L1 decoupled inside Adam": (inside(L1, "decoupled", ours.Adam), "sign", 1, 0, 1, 1, False),
    "L1 proximal inside SGD": (inside(L1, "proximal", ours.SGD), "sign", 1, 0, 1, 1, False),
    "L2 proximal inside SGD": (inside(L2, "proximal", ours.SGD), "proportional", 1, 0, 1, 2, False),
}  # fmt: skip


COMPILED = ["L2 coupled inside Adam", "L1 proximal inside SGD"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "in_loops"), [*((name, False) for name in OWN), *((name, True) for name in COMPILED)]
)
def test_this_librarys_own_ways_do_what_they_say(name: str, in_loops: bool) -> None:
    factory, form, lr, first_lr, strength, coefficient, coupled = OWN[name]
    with nullcontext() if in_loops else torch_operations():  # nothing has to be compiled
        law = (probe if in_loops else probe_law)(factory)
    assert fields(law) == (form, lr, first_lr, strength)
    assert law.coefficient == pytest.approx(coefficient, rel=1e-6)
    assert law.coupled is coupled
    assert law.misfit < 1e-6
    assert law.as_documented is not False
    assert math.isfinite(law.coefficient)
