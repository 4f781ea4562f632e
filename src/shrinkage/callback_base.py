"""What the callbacks for Lightning, transformers and skorch have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty, parse
from shrinkage.torch import Regularizer, heads, neurons
from shrinkage.torch.binding.checks import check_penalty
from shrinkage.torch.binding.target import make_target
from shrinkage.torch.facts.own_step import Metric
from shrinkage.torch.facts.scale import check_how
from shrinkage.user_warning import warn_user

Penalties = str | Penalty | Mapping[Any, str | Penalty | None] | Callable[[nn.Module], Any]
UNITS = {"heads": heads, "neurons": neurons}
START, RAMP = 6, 3  # a target's zeros are made from a sixth of the training on, over a third of it


class Settings(Protocol):
    """The arguments that each callback takes, stored as they were given."""

    penalty: Penalties
    how: str
    on: Any
    lam: float | None
    scale: str | None
    metric: Metric | None
    schedule: Callable[[int], float] | None
    target: float | Mapping[str, float] | None
    target_start: int | None
    target_steps: int | None
    target_floor: float | None
    hold_zeros_at: int | None


def check_settings(settings: Settings) -> None:
    """Refuse what no model and no optimizer could make good, before the training begins.

    Raises
    ------
    TypeError, ValueError
    """
    if settings.how == "loss":
        raise ValueError(
            'how="loss" is for a loop that adds regularizer.penalty() to the loss, which a '
            'callback cannot; how="coupled" gives the same numbers'
        )
    check_how(settings.how)
    if not _is_function(settings.penalty):
        read_penalty(settings.penalty, settings.lam)
    steps = settings.target_steps
    if settings.target is not None and steps is None:
        steps = 1  # a share of the training, which is not known yet
    make_target(settings.target, settings.target_start, steps, settings.target_floor)
    hold = settings.hold_zeros_at
    if hold is None:
        return
    if not isinstance(hold, int) or isinstance(hold, bool) or hold < 0:
        raise ValueError(f"hold_zeros_at must be a whole number of steps >= 0, got {hold!r}")
    if settings.target is not None:
        raise ValueError("a target holds its zeros when it is reached: leave out hold_zeros_at")


def read_penalty(penalty: Any, lam: float | None, model: nn.Module | None = None) -> Any:
    """Parse the texts in `penalty`, and replace "heads" and "neurons" by those of the model.

    Parameters
    ----------
    lam : float or None
        The strength of the terms of a text that state none.

    Raises
    ------
    TypeError, ValueError
        For what is no penalty, and for a `lam` that no term takes.
    """
    if _is_function(penalty) and model is not None:
        penalty = penalty(model)
    given = penalty
    if isinstance(penalty, str):
        penalty = parse(penalty, lam)
    elif isinstance(penalty, Mapping):
        penalty = {
            place: parse(item, lam) if isinstance(item, str) else item
            for key, item in penalty.items()
            for place in _read_place(key, model)
        }
    elif not isinstance(penalty, Penalty | type):
        raise TypeError(
            'penalty must be a text such as "l1:1e-4", a Penalty, a mapping of patterns to these, '
            f"or a function from the model to one of them, got {penalty!r}"
        )
    check_penalty(penalty)
    items = list(given.values()) if isinstance(given, Mapping) else [given]
    if lam is not None and not any(_lacks_strength(item) for item in items):
        stated = ", ".join(str(item) if isinstance(item, str) else repr(item) for item in items)
        raise ValueError(
            f"lam={lam!r} would be ignored, for the penalty states its own strength ({stated}): "
            "leave one of the two out"
        )
    return penalty


def _lacks_strength(item: object) -> bool:
    """Whether a sound text has a term that takes `lam`."""
    if not isinstance(item, str):
        return False
    try:
        parse(item)
    except ValueError:
        return True
    return False


def _is_function(penalty: object) -> bool:
    return callable(penalty) and not isinstance(penalty, Penalty | type)


def _read_place(place: Any, model: nn.Module | None) -> list[Any]:
    """What stands for the units of a model, if `place` names them."""
    if model is None or not isinstance(place, str) or place not in UNITS:
        return [place]
    return list(UNITS[place](model))


def attach(
    settings: Settings,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    max_norm: float | None = None,
    training_steps: float | None = None,
) -> Regularizer:
    """Attach a new Regularizer of the model, as the settings say; see `Regularizer.attach`.

    Parameters
    ----------
    training_steps : float, optional
        How many steps the optimizer will make: a target without steps of its own has its ramp
        from a sixth of them on, over a third of them.

    Raises
    ------
    ValueError
        If the weights are flattened by FullyShardedDataParallel.
    """
    check_layout(model)
    on = settings.on
    if on is not None:
        places = on if isinstance(on, list) else [on]
        read = [item for place in places for item in _read_place(place, model)]
        on = read if len(read) != 1 else read[0]
    penalty = read_penalty(settings.penalty, settings.lam, model)
    regularizer = Regularizer(model, penalty, on, schedule=settings.schedule)
    start, steps = settings.target_start, settings.target_steps
    if settings.target is not None and training_steps and math.isfinite(training_steps):
        start = int(training_steps) // START if start is None and steps is None else start
        steps = max(int(training_steps) // RAMP, 1) if steps is None else steps
    regularizer.attach(
        optimizer,
        how=settings.how,
        scale=settings.scale,
        metric=settings.metric,
        max_norm=max_norm,
        target=settings.target,
        target_start=start,
        target_steps=steps,
        target_floor=settings.target_floor,
    )
    return regularizer


def check_layout(model: nn.Module) -> None:
    """Refuse weights that are flattened and cut, in which rows and units are not to be found.

    Raises
    ------
    ValueError
    """
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise ValueError(
            "FullyShardedDataParallel flattens the weights, so that no penalty finds its units and "
            "no norm is whole: shard by torch.distributed.fsdp.fully_shard, which Lightning's "
            "ModelParallelStrategy and accelerate's fsdp_version 2 use"
        )


def hold_when_due(settings: Settings, regularizer: Regularizer) -> None:
    """Hold the zeros from the step `hold_zeros_at` on."""
    due, bound = settings.hold_zeros_at, regularizer.bound
    if due is not None and bound.steps >= due and bound.held is None:
        regularizer.hold_zeros()


def warn_if_not_held(settings: Settings, regularizer: Regularizer) -> None:
    """Warn at the end of a training that has not come to its target, or to `hold_zeros_at`."""
    bound, due = regularizer.bound, settings.hold_zeros_at
    ended = f"the training ended after {bound.steps} steps of the optimizer"
    target = bound.target
    if target is not None and not target.is_reached:
        warn_user(
            f"{ended}, and the ramp of its target ends at step {target.end}, {target.start} + "
            f"{target.steps}, so that its zeros are not held ({target}): train longer, or give a "
            "smaller target_start and target_steps",
        )
    elif due is not None and bound.held is None:
        warn_user(
            f"{ended}, and hold_zeros_at={due} was never reached, so that no zeros are held: train "
            "longer, or give a smaller hold_zeros_at",
        )


def end(regularizer: Regularizer) -> None:
    """Take the penalty off the optimizer, and let go of zeros that are held."""
    regularizer.detach()
    regularizer.release()


def measure(regularizer: Regularizer) -> dict[str, float]:
    """Ω, the share of exact zeros, the groups that are zero, and the factor on every strength."""
    value = math.nan
    with suppress(FloatingPointError):  # a training that diverges says so itself
        value = regularizer.value()
    sparsity = regularizer.sparsity()
    dead_groups = sum(row.dead_groups for row in sparsity.parameters.values())
    return {
        "penalty": value,
        "zeros": sparsity.share,
        "dead_groups": float(dead_groups),
        "factor": regularizer.bound.multiplier,
    }
