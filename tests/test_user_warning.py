"""Warnings point to the user's own line, whatever is between it and the library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType

import pytest

import shrinkage
from shrinkage.user_warning import warn_user

SOURCE = Path(shrinkage.__file__).parent


def as_of(module: str, call: Callable[[], None]) -> FunctionType:
    """A function that calls another one, as if it were written in that module."""

    def pass_on() -> None:
        call()

    named = {**globals(), "__name__": module}
    return FunctionType(pass_on.__code__, named, closure=pass_on.__closure__)


@pytest.mark.parametrize("module", ["shrinkage.torch.regularizer", "torch.optim", "contextlib"])
def test_frames_of_the_library_and_of_frameworks_are_passed_over(module: str) -> None:
    inner = as_of("shrinkage.inner", partial(warn_user, "it is said", RuntimeWarning))
    outer = as_of(module, as_of("shrinkage", inner))
    with pytest.warns(RuntimeWarning, match="it is said") as caught:
        outer()
    here = test_frames_of_the_library_and_of_frameworks_are_passed_over.__code__.co_firstlineno
    assert (caught[0].filename, caught[0].lineno - here) == (__file__, 5)


@pytest.mark.parametrize("module", ["torch_user", "shrinkage_user", "__main__"])
def test_a_name_that_begins_alike_is_the_user(module: str) -> None:
    user = as_of(module, as_of("shrinkage", partial(warn_user, "it is said")))
    with pytest.warns(UserWarning, match="it is said") as caught:
        user()
    assert caught[0].lineno == as_of.__code__.co_firstlineno + 4


def test_all_files_warn_in_this_way() -> None:
    """In a loss that is compiled, torch leaves a plain warning out, and knows no frames."""
    other = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "warnings.warn(" in path.read_text("utf-8")
    }
    assert other == {"user_warning.py", "torch/regularizer.py"}
