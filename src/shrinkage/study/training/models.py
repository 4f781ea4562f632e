"""Models by name or from a user's function, and the count of dead neurons."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import torch
from torch import nn

from shrinkage.probe.factories import current_directory_importable
from shrinkage.study.errors import UsageError, nearest

KNOWN = 'write "linear", "mlp:64", "mlp:64,32" or "package.module:function"'
MOST_WEIGHTS = 100_000_000  # the trained weights of every trial are kept
MOST_SHOWN = 300  # characters of a message from foreign code


def build_model(text: str, features: int, outputs: int) -> nn.Module:
    """Build a model, initialized from torch's global generator.

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
        widths = [features, *_parse_widths(text, rest), outputs]
        _check_size(text, sum(inner * outer for inner, outer in pairwise(widths)))
        return _build_mlp(widths)
    if not colon:
        raise UsageError(f"model {text!r} is unknown{nearest(text, ('linear', 'mlp:64'))}: {KNOWN}")
    function = import_function(text)
    with current_directory_importable():
        try:
            with exits_as_errors():
                model = function(features, outputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's function may raise anything, SystemExit too
            raise UsageError(
                f"model {text!r} fails when called with ({features}, {outputs}), features and "
                f"outputs: {describe_error(error)}"
            ) from None
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"model {text!r} returned {type(model).__name__}: it must return a torch.nn.Module"
        )
    _check_size(text, sum(parameter.numel() for parameter in model.parameters()))
    return model


def import_function(text: str) -> Callable[[int, int], object]:
    """The function that "package.module:function" names."""
    module_name, _, name = text.partition(":")
    with current_directory_importable():
        try:
            with exits_as_errors():
                module = importlib.import_module(module_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may raise anything while it is imported
            raise UsageError(
                f"model {text!r} cannot be imported from {os.getcwd()} or the environment "
                f"({describe_error(error)}){nearest(module_name, ('mlp', 'linear'))}; {KNOWN}"
            ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"model {text!r}: {getattr(module, '__file__', module_name)} has no function {name!r}"
            f"{nearest(name, vars(module))}"
        )
    return function  # type: ignore[no-any-return]


def hash_model_source(text: str) -> str:
    """The sha256 of the file that a model function comes from; "" for a model by name."""
    if text == "linear" or text.startswith("mlp:"):
        return ""
    function = import_function(text)
    try:
        path = inspect.getsourcefile(function)
    except TypeError:  # a callable object, which has no source of its own
        path = inspect.getsourcefile(type(function))
    if path is None or not Path(path).is_file():
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Let `os._exit` raise SystemExit, so that a model cannot end the study without a message."""
    exit_process, process = os._exit, os.getpid()

    def raise_exit(status: int) -> NoReturn:
        if os.getpid() != process:  # a process that the model started
            exit_process(status)
        raise SystemExit(status)

    os._exit = raise_exit
    try:
        yield
    finally:
        os._exit = exit_process


def describe_error(error: BaseException) -> str:
    """The kind and the message of an error, on one line of limited length."""
    message = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it tries to end the program, with {message or 'nothing'} as its exit code"
    kind = type(error).__name__
    return f"{kind}: {message[:MOST_SHOWN]}" if message else kind


def count_neurons(model: nn.Module) -> tuple[int, int]:
    """The numbers of dead and of all hidden units, between consecutive Linear layers.

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


def _build_mlp(widths: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _check_size(text: str, weights: int) -> None:
    if weights > MOST_WEIGHTS:
        raise UsageError(
            f"model {text!r} has {weights:,} weights: a study takes at most {MOST_WEIGHTS:,}, "
            "as it keeps those of every trial"
        )


def _parse_widths(text: str, written: str) -> list[int]:
    try:
        widths = [int(width) for width in written.split(",")]
    except ValueError:
        widths = []
    if not widths or min(widths) < 1:
        raise UsageError(f'model {text!r}: after mlp: come widths from 1 up, as in "mlp:64,32"')
    return widths
