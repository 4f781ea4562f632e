"""What may be called at all: nothing is called that does not look as if it makes an optimizer."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

from shrinkage.probe.arguments import (
    MODELS,
    NAMED,
    PARAMETERS,
    WRAPPED,
    Factory,
    accepted,
    rate_name,
    strength_name,
)

WANTED = (
    "name a class of optimizers, or a function whose first argument is params and which returns "
    "an optimizer"
)


class UnprobeableError(Exception):
    """It cannot be made or stepped; the message says why."""


class NoOptimizerError(UnprobeableError):
    """It makes something else, whichever way it is called."""


def check_factory(factory: Factory) -> None:
    """Refuse what would make no optimizer, by what can be known without calling it.

    A class must descend from `torch.optim.Optimizer` or have a ``step()``. A function must be
    written in Python, and its arguments must be those of an optimizer.

    Raises
    ------
    NoOptimizerError
        With the reason and the remedy.
    """
    inner: Any = factory
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inner is torch.optim.Optimizer:
        raise NoOptimizerError("it is the class that optimizers descend from, and has no step()")
    if isinstance(inner, type):
        if issubclass(inner, torch.optim.Optimizer):
            return
        if not callable(getattr(inner, "step", None)):
            raise NoOptimizerError(f"it is no optimizer, for it has no step(); {WANTED}")
    if inspect.isbuiltin(inner) or not _has_arguments_of_an_optimizer(factory):
        raise NoOptimizerError(
            f"it is no optimizer, and its arguments are not those of an optimizer; {WANTED}"
        )


def _has_arguments_of_an_optimizer(factory: Factory) -> bool:
    own = accepted(factory)
    first = next(iter(own.values()), None)
    if first is None:
        return False
    named = {name for name, each in own.items() if each.kind in NAMED}
    rates = ({rate_name(factory), strength_name(factory)} & named) - {first.name}
    if first.name in (*MODELS, *WRAPPED):
        opens = any(each.kind is each.VAR_KEYWORD for each in own.values())
        return bool(rates) or opens or isinstance(factory, type)
    return first.kind in NAMED and (first.name in PARAMETERS or bool(rates))


def check_made(made: object) -> None:
    """Refuse what was made, before anything of it is called, where it is no optimizer.

    Raises
    ------
    NoOptimizerError
        If it is neither a `torch.optim.Optimizer` nor has a ``step()`` and, beside it, a
        ``zero_grad()`` or ``param_groups``, or if it wraps another without saying so.
    """
    if isinstance(made, torch.optim.Optimizer):
        if not hasattr(made, "param_groups"):
            raise NoOptimizerError("it has no param_groups; probe the optimizer that it wraps")
        return
    kind = "a class" if isinstance(made, type) else f"of type {type(made).__name__}"
    steps = callable(getattr(made, "step", None)) and not isinstance(made, type)
    if not steps or not (hasattr(made, "zero_grad") or hasattr(made, "param_groups")):
        raise NoOptimizerError(f"it makes no optimizer: what it returns is {kind}; {WANTED}")
