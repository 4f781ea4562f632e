"""Find by trial how a factory must be called and its optimizer stepped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor

from shrinkage.probe.arguments import (
    MODELS,
    NAMED,
    WRAPPED,
    Factory,
    parameters_of,
    rate_name,
    strength_name,
)
from shrinkage.probe.factories import NoOptimizerError, UnprobeableError
from shrinkage.probe.isolation import NO_DEADLINE, Deadline, isolate
from shrinkage.probe.limits import shorten
from shrinkage.probe.measure import WEIGHTS
from shrinkage.probe.stepper import SUPPLIED, Stepper

WARM_UP = 300  # steps after which weights have moved, or never do
# Words in error messages that ask for another way of calling, which is tried too.
REQUESTS = ("closure", "graph", "require grad", "use_muon", "__contains__", "missing 1 required")


def settle(factory: Factory, deadline: Deadline) -> Stepper:
    """Find by trial how `factory` can be called and its optimizer stepped.

    Raises
    ------
    UnprobeableError
        If there is none, with what the plainest way raised.
    """
    _check_nothing_is_missing(factory)
    reasons, unmoved = [], []  # weights stay in a warm-up, or where no gradient arrives
    for stepper in _list_ways(factory, deadline):
        try:
            moves = is_moved(stepper, WEIGHTS)
        except NoOptimizerError:
            raise
        except Exception as error:  # foreign code may raise anything
            text = str(error) or "it has no step() of the usual kind"
            reasons.append(f"{type(error).__name__}: {shorten(text)}")
        else:
            if moves:
                return stepper
            unmoved.append(stepper)
    for stepper in unmoved[:2]:
        with suppress(Exception):  # foreign code may raise anything
            if is_moved(stepper, WEIGHTS, WARM_UP):
                return stepper
    telling = (each for each in reasons if not any(word in each for word in REQUESTS))
    stays = f"no gradient moves its weights, within {WARM_UP} steps" if unmoved else reasons[0]
    raise UnprobeableError(next(telling, stays))


def make_once(factory: Factory) -> None:
    """Make it once, without a step.

    Raises
    ------
    UnprobeableError
        If it needs more arguments than are known, or what is made is no optimizer.
    Exception
        Whatever the plainest way of making it raises, where none succeeds.
    """
    _check_nothing_is_missing(factory)
    first: Exception | None = None
    for stepper in _list_ways(factory, NO_DEADLINE):
        try:
            stepper.run(torch.ones(2, 3), lambda *_: None, lr=0.1, weight_decay=0.1, steps=0)
        except NoOptimizerError:
            raise
        except Exception as error:  # foreign code may raise anything
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _check_nothing_is_missing(factory: Factory) -> None:
    """Refuse what needs arguments that are not known here."""
    known = {*SUPPLIED, *MODELS, "params", rate_name(factory), strength_name(factory)}
    missing = [
        name
        for name, parameter in list(parameters_of(factory).items())[1:]
        if parameter.default is parameter.empty and parameter.kind in NAMED and name not in known
    ]
    if missing:
        raise UnprobeableError(
            f"it needs {', '.join(missing)}: "
            f"give it by functools.partial(factory, {missing[0]}=...)"
        )


def _list_ways(factory: Factory, deadline: Deadline) -> Iterator[Stepper]:
    """All ways of calling and stepping it, the plainest first."""
    first = next(iter(parameters_of(factory)), "params")
    builds: tuple[str, ...] = ("parameters", "groups", "named")
    if first in MODELS or first in WRAPPED:
        builds = ("model",) if first in MODELS else ("around",)
    for dtype in (torch.float64, torch.float32):
        for build in builds:
            for step in ("plain", "closure", "graph"):
                yield Stepper(factory, build, step, dtype, deadline)


def is_moved(stepper: Stepper, start: Tensor, steps: int = 2) -> bool:
    """Whether a gradient arrives: whether another one moves the weights differently.

    That the weights move is not enough, for a decay moves them, too, and so does rounding.

    Raises
    ------
    ValueError
        If the weights are not finite.
    Exception
        Whatever a step raises.
    """
    gradient = start.flip(0) + 0.1
    other = gradient.roll(1, 0) - 0.3  # of other sizes, and with other signs

    def run_to_end(gradient: Tensor, weight_decay: float) -> Tensor:
        path = stepper.run(
            start, lambda *_: gradient, lr=0.01, weight_decay=weight_decay, steps=steps
        )
        if not torch.isfinite(path).all():
            raise ValueError(f"its weights are not finite after {steps} steps")
        return path[-1]

    run_to_end(gradient, 0.01)  # only to see that it can be stepped
    return not torch.equal(run_to_end(gradient, 0.0), run_to_end(other, 0.0))


def can_step(stepper: Stepper, start: Tensor) -> bool:
    """Whether weights of another shape are not refused."""
    try:
        with isolate():
            is_moved(stepper, start)
    except Exception:  # foreign code may raise anything
        return False
    return True
