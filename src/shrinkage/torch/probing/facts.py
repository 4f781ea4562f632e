"""Single questions to a black box whose law is known."""

from __future__ import annotations

from dataclasses import replace

import torch

from shrinkage.torch.probing.driving import Driver, Gradient, OutOfTimeError, on_vectors
from shrinkage.torch.probing.effects import (
    STEPS,
    WEIGHTS,
    Fitted,
    Setting,
    acted_on,
    effects,
    first_acting,
    no_gradient,
    paths,
)
from shrinkage.torch.probing.factories import takes
from shrinkage.torch.probing.fitting import CLOSE, fit


def on_driving(driver: Driver) -> tuple[str, ...]:
    """What had to be done to step it at all."""
    said = {
        "groups": "made with groups that say use_muon",
        "named": "made with named parameters",
        "model": "made with a model",
        "around": "probed around torch.optim.SGD",
        "closure": "stepped with a closure",
        "graph": "stepped with a graph of the gradient",
    }
    notes = [said[each] for each in (driver.build, driver.step) if each in said]
    notes += ["in float32"] if driver.dtype is not torch.float64 else []
    notes += [] if takes(driver.factory, "lr") or driver.build == "around" else ["takes no lr"]
    return tuple(notes)


def acts_without_gradient(driver: Driver, base: Setting, law: Fitted) -> bool | None:
    """Whether weights move whose gradient is None; None where such a step fails."""
    try:
        pair = paths(driver, WEIGHTS, base, lambda *_: None, max(3, law.step))
    except OutOfTimeError:
        raise
    except Exception:  # foreign code may raise anything
        return None
    return first_acting(effects(pair), WEIGHTS) is not None


def on_one_dimension(driver: Driver, base: Setting, law: Fitted, gradient: Gradient) -> str:
    """What becomes of a parameter with one dimension, as biases and gains have."""
    w = WEIGHTS.flatten()
    if on_vectors(driver, w) is None:
        return "refused"
    pair = paths(driver, w, base, gradient, max(STEPS, law.step))
    moves = effects(pair)
    acting = first_acting(moves, w)
    if acting is None:
        return "left alone"
    touched = acted_on(moves[acting], w)
    shape, expected = fit(moves[acting], pair[0][acting] * touched), law.shape
    alike = shape.form == expected.form and acting + 1 == law.step
    near = abs(shape.coefficient - expected.coefficient) < CLOSE * abs(expected.coefficient)
    return "same law" if alike and near else "another law"


def in_half_precision(driver: Driver, base: Setting) -> tuple[str, ...]:
    """Whether a strength is lost where weights have few digits."""
    half = replace(driver, dtype=torch.bfloat16)
    start = WEIGHTS.to(torch.bfloat16).double()  # a number that both types hold
    try:
        lost = first_acting(effects(paths(half, start, base, no_gradient, STEPS)), start) is None
    except OutOfTimeError:
        raise
    except Exception:  # foreign code may raise anything
        return ("cannot be stepped in bfloat16",)
    kept = first_acting(effects(paths(driver, start, base, no_gradient, STEPS)), start) is not None
    return ("in bfloat16 a decay this weak is lost: no weight moves",) if lost and kept else ()
