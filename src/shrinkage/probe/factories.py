"""Factories of optimizers: which may be called, their names, and their text on a command line.

A factory whose arguments are not those of an optimizer is not called.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch

from shrinkage.probe.arguments import (
    MODELS,
    NAMED,
    PARAMETERS,
    WRAPPED,
    Factory,
    accepts,
    parameters_of,
    rate_name,
    strength_name,
)

REMEDY = (
    "name a class of optimizers, or a function whose first argument is params and which returns "
    "an optimizer"
)


class UnprobeableError(Exception):
    """The optimizer cannot be made or stepped; the message says why."""


class NoOptimizerError(UnprobeableError):
    """The factory makes something else than an optimizer, however it is called."""


def check_factory(factory: Factory) -> None:
    """Refuse a factory that makes no optimizer, as far as is known without calling it.

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
            raise NoOptimizerError(f"it is no optimizer, for it has no step(); {REMEDY}")
    if inspect.isbuiltin(inner) or not _has_arguments_of_an_optimizer(factory):
        raise NoOptimizerError(
            f"it is no optimizer, and its arguments are not those of an optimizer; {REMEDY}"
        )


def _has_arguments_of_an_optimizer(factory: Factory) -> bool:
    parameters = parameters_of(factory)
    first = next(iter(parameters.values()), None)
    if first is None:
        return False
    named = {name for name, each in parameters.items() if each.kind in NAMED}
    rates = ({rate_name(factory), strength_name(factory)} & named) - {first.name}
    if first.name in (*MODELS, *WRAPPED):
        opens = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        return bool(rates) or opens or isinstance(factory, type)
    return first.kind in NAMED and (first.name in PARAMETERS or bool(rates))


def check_made(optimizer: object) -> None:
    """Refuse an object that is no optimizer, before any of its methods is called.

    Raises
    ------
    NoOptimizerError
        If it is neither a `torch.optim.Optimizer` nor has a ``step()`` and, beside it, a
        ``zero_grad()`` or ``param_groups``, or if it wraps another without saying so.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        if not hasattr(optimizer, "param_groups"):
            raise NoOptimizerError("it has no param_groups; probe the optimizer that it wraps")
        return
    kind = "a class" if isinstance(optimizer, type) else f"of type {type(optimizer).__name__}"
    steps = callable(getattr(optimizer, "step", None)) and not isinstance(optimizer, type)
    if not steps or not (hasattr(optimizer, "zero_grad") or hasattr(optimizer, "param_groups")):
        raise NoOptimizerError(f"it makes no optimizer: what it returns is {kind}; {REMEDY}")


def name_of(factory: Factory) -> str:
    """The shortest name under which `factory` can be imported, with the options of a partial."""
    if isinstance(factory, functools.partial):
        options = ", ".join(f"{key}={value}" for key, value in factory.keywords.items())
        return f"{name_of(factory.func)}({options})"
    name = getattr(factory, "__qualname__", type(factory).__name__).split(".<locals>.")[-1]
    module = getattr(factory, "__module__", "") or ""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        home = ".".join(parts[:end])
        if getattr(sys.modules.get(home), name, None) is factory:
            return name if home == "__main__" else f"{home}.{name}"
    return name


def class_name(factory: Factory) -> str:
    """The bare name: "AdamW" for a partial of ``torch.optim.AdamW``."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    return getattr(factory, "__name__", type(factory).__name__)


def factory_from_text(text: str) -> Factory:
    """The factory that a command line names, perhaps with options.

    Parameters
    ----------
    text : str
        "package.module.Class", "package.module:function" or a name in torch.optim in any case;
        then options, "torch.optim.SGD,momentum=0.9,nesterov=true".

    Raises
    ------
    ValueError
        For what cannot be imported or called, and for unknown options, with the nearest.

    Examples
    --------
    >>> factory_from_text("sgd") is torch.optim.SGD
    True
    >>> factory_from_text("torch.optim.SGD,momentum=0.9").keywords
    {'momentum': 0.9}
    """
    written, *pairs = (part.strip() for part in text.split(","))
    factory = _import_factory(written)
    options = dict(_parse_option(text, factory, pair) for pair in pairs)
    return functools.partial(factory, **options) if options else factory


def _import_factory(written: str) -> Factory:
    module, dot, name = written.replace(":", ".").rpartition(".")
    if not dot:
        module, name = "torch.optim", written
    try:
        with current_directory_importable():
            home = importlib.import_module(module)
    except Exception as error:  # foreign code may raise anything while it is imported
        raise ValueError(
            f"optimizer {written!r}: {module!r} cannot be imported: {type(error).__name__}: "
            f"{error}; write for example torch.optim.Adam"
        ) from None
    known = {each.lower(): each for each in vars(home) if callable(getattr(home, each))}
    factory = getattr(home, name, None) or getattr(home, known.get(name.lower(), ""), None)
    if not callable(factory):
        raise ValueError(f"optimizer {written!r} is not in {module}{_suggest(name, known)}")
    return factory  # type: ignore[no-any-return]


@contextmanager
def current_directory_importable() -> Iterator[None]:
    """Let modules in the current directory be imported, after all others."""
    before = list(sys.path)
    sys.path.append(os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def _suggest(written: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(written.lower(), known, n=1)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def _parse_option(text: str, factory: Factory, pair: str) -> tuple[str, object]:
    key, equals, value = (part.strip() for part in pair.partition("="))
    rates = {"lr": rate_name(factory), "weight_decay": strength_name(factory)}
    for name, own_name in rates.items():
        if key in (name, own_name):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"optimizer {text!r}: {key} has an argument of its own, {name} ({option})"
            )
    if not equals or not accepts(factory, key):
        known = {name.lower(): name for name in parameters_of(factory)}
        raise ValueError(
            f"optimizer {text!r}: there is no option {pair!r}{_suggest(key, known)}; "
            "write for example torch.optim.SGD,momentum=0.9"
        )
    if value.lower() in ("true", "false"):
        return key, value.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return key, kind(value)
    return key, value
