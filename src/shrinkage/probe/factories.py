"""What makes an optimizer: its name, and how a command line writes it."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from shrinkage.probe.arguments import Factory, accepted, rate_name, strength_name, takes


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
    factory = _imported(written)
    options = dict(_option(text, factory, pair) for pair in pairs)
    return functools.partial(factory, **options) if options else factory


def _imported(written: str) -> Factory:
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
        raise ValueError(f"optimizer {written!r} is not in {module}{_nearest(name, known)}")
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


def _nearest(written: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(written.lower(), known, n=1)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def _option(text: str, factory: Factory, pair: str) -> tuple[str, object]:
    key, equals, value = (part.strip() for part in pair.partition("="))
    own = {"lr": rate_name(factory), "weight_decay": strength_name(factory)}
    for name, called in own.items():
        if key in (name, called):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"optimizer {text!r}: {key} has an argument of its own, {name} ({option})"
            )
    if not equals or not takes(factory, key):
        known = {name.lower(): name for name in accepted(factory)}
        raise ValueError(
            f"optimizer {text!r}: there is no option {pair!r}{_nearest(key, known)}; "
            "write for example torch.optim.SGD,momentum=0.9"
        )
    return key, _value(value)


def _value(written: str) -> object:
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    for kind in (int, float):
        try:
            return kind(written)
        except ValueError:
            continue
    return written


def is_optimizer(value: object) -> bool:
    """Whether `value` is a class of optimizers, and not the one that all descend from."""
    return (
        isinstance(value, type)
        and issubclass(value, torch.optim.Optimizer)
        and value is not torch.optim.Optimizer
    )
