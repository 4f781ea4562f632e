"""Models by name, and what can be counted in any model."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import NoReturn

import torch
from torch import nn

from shrinkage.study.errors import UsageError, nearest

KNOWN = 'write "linear", "mlp:64", "mlp:64,32" or "package.module:function"'
MOST_WEIGHTS = 100_000_000  # the trained weights of every trial are kept
MOST_SAID = 300  # characters of what foreign code says


def build(text: str, features: int, outputs: int) -> nn.Module:
    """A fresh model, initialized from torch's global generator.

    Parameters
    ----------
    text : str
        "linear"; "mlp:64,32", the widths of hidden layers with ReLU between; or a function
        "package.module:function", called as function(features, outputs), from the current
        directory or the environment.

    Raises
    ------
    UsageError
        If `text` names no model or one that is too large, or the function cannot be imported,
        fails, tries to end the program, or returns no model.
    """
    name, colon, rest = text.partition(":")
    if text == "linear":
        return nn.Linear(features, outputs)
    if name == "mlp":
        widths = [features, *_widths(text, rest), outputs]
        _check_size(text, sum(inner * outer for inner, outer in pairwise(widths)))
        return _mlp(widths)
    if not colon:
        raise UsageError(f"model {text!r} is unknown{nearest(text, ('linear', 'mlp:64'))}: {KNOWN}")
    function = imported(text)
    with _current_directory_importable():
        try:
            with exits_as_errors():
                model = function(features, outputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's function raises, sys.exit as well
            raise UsageError(
                f"model {text!r} fails when called with ({features}, {outputs}), features and "
                f"outputs: {told(error)}"
            ) from None
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"model {text!r} returned {type(model).__name__}: it must return a torch.nn.Module"
        )
    _check_size(text, sum(parameter.numel() for parameter in model.parameters()))
    return model


def imported(text: str) -> Callable[[int, int], object]:
    """The function that "package.module:function" names."""
    module_name, _, name = text.partition(":")
    with _current_directory_importable():
        try:
            with exits_as_errors():
                module = importlib.import_module(module_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the user's module raises while it is imported
            raise UsageError(
                f"model {text!r} cannot be imported from {os.getcwd()} or the environment "
                f"({told(error)}){nearest(module_name, ('mlp', 'linear'))}; {KNOWN}"
            ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"model {text!r}: {getattr(module, '__file__', module_name)} has no function {name!r}"
            f"{nearest(name, vars(module))}"
        )
    return function  # type: ignore[no-any-return]


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Let `os._exit` raise in this process: a model must not end the study without a word."""
    really, process = os._exit, os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() != process:  # a process that the model started
            really(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        yield
    finally:
        os._exit = really


def told(error: BaseException) -> str:
    """The kind of an error and what it says, on one line of no great length."""
    said = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it tries to end the program, with {said or 'nothing'} as its exit code"
    kind = type(error).__name__
    return f"{kind}: {said[:MOST_SAID]}" if said else kind


def count_neurons(model: nn.Module) -> tuple[int, int]:
    """Dead hidden units and all of them, over the pairs of Linear layers that follow each other.

    A unit is dead when all its incoming or all its outgoing weights are exactly zero.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    dead = total = 0
    with torch.no_grad():
        for first, second in pairwise(layers):
            if first.out_features != second.in_features:
                continue
            silent = (first.weight == 0).all(dim=1) | (second.weight == 0).all(dim=0)
            dead += int(silent.sum())
            total += first.out_features
    return dead, total


def _mlp(widths: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _check_size(text: str, weights: int) -> None:
    if weights > MOST_WEIGHTS:
        raise UsageError(
            f"model {text!r} has {weights:,} weights: a study takes {MOST_WEIGHTS:,} at the most, "
            "as it keeps those of every trial"
        )


def _widths(text: str, written: str) -> list[int]:
    try:
        widths = [int(width) for width in written.split(",")]
    except ValueError:
        widths = []
    if not widths or min(widths) < 1:
        raise UsageError(f'model {text!r}: after mlp: come widths from 1 up, as in "mlp:64,32"')
    return widths


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before
