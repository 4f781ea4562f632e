"""A model function of the user's: imported by its name, and the digest of its source."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path

from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.training.foreign_code import describe_error, exits_as_errors
from shrinkage.study.training.model_text import KNOWN, names_function


def import_function(text: str) -> Callable[[int, int], object]:
    """The function that "package.module:function" names."""
    from shrinkage.probe.factories import current_directory_importable  # which imports torch

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
                f"({describe_error(error)}){suggest(module_name, ('mlp', 'linear'))}; {KNOWN}"
            ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"model {text!r}: {getattr(module, '__file__', module_name)} has no function {name!r}"
            f"{suggest(name, vars(module))}"
        )
    return function  # type: ignore[no-any-return]


def hash_model_source(text: str) -> str:
    """The sha256 of the file that a model function comes from; "" for a model by name."""
    if not names_function(text):
        return ""
    function = import_function(text)
    try:
        path = inspect.getsourcefile(function)
    except TypeError:  # a callable object, which has no source of its own
        path = inspect.getsourcefile(type(function))
    if path is None or not Path(path).is_file():
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
