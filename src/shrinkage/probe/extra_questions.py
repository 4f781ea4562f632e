"""Further experiments with an optimizer whose law is known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch

from shrinkage.probe.arguments import rate_name, strength_name
from shrinkage.probe.factories import UnprobeableError
from shrinkage.probe.fitting import CLOSE, NOTHING, UNLIKE, fit
from shrinkage.probe.law_fit import Fitted
from shrinkage.probe.measure import (
    STEPS,
    WEIGHTS,
    Setting,
    find_moved,
    known_gradient,
    no_gradient,
    run_pair,
)
from shrinkage.probe.settling import WARM_UP, can_step, is_moved
from shrinkage.probe.stepper import Gradient, Stepper


def describe_stepping(stepper: Stepper) -> tuple[str, ...]:
    """Notes on what was needed to make and step the optimizer."""
    phrases = {
        "groups": "made with groups that say use_muon",
        "named": "made with named parameters",
        "model": "made with a model",
        "around": "probed around torch.optim.SGD",
        "closure": "stepped with a closure",
        "graph": "stepped with a graph of the gradient",
    }
    notes = [phrases[each] for each in (stepper.build, stepper.step) if each in phrases]
    notes += ["in float32"] if stepper.dtype is not torch.float64 else []
    if stepper.build == "around":
        return tuple(notes)
    rate, strength = rate_name(stepper.factory), strength_name(stepper.factory)
    notes += ["takes no lr"] if rate is None else []
    notes += [f"its lr is called {rate}"] if rate not in (None, "lr") else []
    notes += [f"its weight_decay is called {strength}"] if strength != "weight_decay" else []
    return tuple(notes)


def acts_without_gradient(stepper: Stepper, base: Setting, law: Fitted) -> bool | None:
    """Whether weights move whose gradient is None; None where such a step fails."""
    try:
        pair = run_pair(stepper, WEIGHTS, base, lambda *_: None, max(3, law.step))
    except Exception:  # foreign code may raise anything
        return None
    return pair.acting_step is not None


def check_that_nothing_acts(stepper: Stepper, base: Setting) -> None:
    """Raise where a decay that seems to do nothing may have been missed.

    Gradients must still arrive, and tensors of no other shape may be decayed.
    """
    known = known_gradient(base.weight_decay)
    if not is_moved(stepper, WEIGHTS, WARM_UP):
        raise UnprobeableError(f"no gradient moves its weights, within {WARM_UP} steps")
    for w in (WEIGHTS.flatten(), WEIGHTS.reshape(2, 2, 3, 2), UNLIKE):
        if not can_step(stepper, w):
            continue
        if run_pair(stepper, w, base, known, STEPS).acting_step is not None:
            raise UnprobeableError(
                f"it leaves weights of shape {tuple(WEIGHTS.shape)} alone and decays those of "
                f"shape {tuple(w.shape)}, which is no law of one kind"
            )


def describe_rhythm(
    stepper: Stepper, base: Setting, law: Fitted, gradient: Gradient
) -> tuple[str, ...]:
    """Whether there are steps, after the first at which it acts, at which it does not."""
    pair = run_pair(stepper, WEIGHTS, base, gradient, max(STEPS, 2 * law.step + 1))
    moves, weights = pair.effects, pair.decayed[:-1]
    not_vanished = weights.flatten(1).norm(dim=1) > 0.1 * WEIGHTS.norm()
    acting = moves.flatten(1).norm(dim=1) > NOTHING * WEIGHTS.norm()
    if bool((acting | ~not_vanished)[law.step - 1 :].all()):
        return ()
    steps = (torch.nonzero(acting).flatten() + 1).tolist()
    gaps = {after - before for before, after in itertools.pairwise(steps)}
    if len(gaps) == 1 and gaps != {1}:
        return (f"acts at one step in {gaps.pop()}",)
    written = ", ".join(map(str, steps))
    return (f"of the first {len(moves)} steps it acts at these alone: {written}",)


def compare_on_vectors(stepper: Stepper, base: Setting, law: Fitted, gradient: Gradient) -> str:
    """How a parameter with one dimension decays, such as a bias or a gain."""
    w = WEIGHTS.flatten()
    if not can_step(stepper, w):
        return "refused"
    pair = run_pair(stepper, w, base, gradient, max(STEPS, law.step))
    acting = pair.acting_step
    if acting is None:
        return "left alone"
    effect = pair.effects[acting]
    touched = find_moved(effect, w)
    shape, expected = fit(effect, pair.decayed[acting] * touched), law.shape
    alike = shape.form == expected.form and acting + 1 == law.step
    near = abs(shape.coefficient - expected.coefficient) < CLOSE * abs(expected.coefficient)
    return "same law" if alike and near else "another law"


def compare_in_bfloat16(stepper: Stepper, base: Setting) -> tuple[str, ...]:
    """Whether a strength is lost where weights have few digits."""
    half = replace(stepper, dtype=torch.bfloat16)
    start = WEIGHTS.to(torch.bfloat16).double()  # a number that both types hold
    try:
        rounded = run_pair(half, start, base, no_gradient, STEPS)
    except Exception:  # foreign code may raise anything
        return ("cannot be stepped in bfloat16",)
    if rounded.acting_step is not None:
        return ()
    exact = run_pair(stepper, start, base, no_gradient, STEPS)
    lost = "in bfloat16 a decay this weak is lost: no weight moves"
    return () if exact.acting_step is None else (lost,)
