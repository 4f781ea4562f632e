"""The scalar forms of penalties, registered with Numba so that compiled loops may call them.

A separable penalty declares its prox and gradient for one number in its own file, as plain Python
functions (`shrinkage.penalties.scalars`). This module registers each of them, and each function
that they call, when a loop first asks for the penalty. So a new penalty needs no change in this
folder.
"""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

from shrinkage.kernels.jit import jitable
from shrinkage.penalties import Penalty, scalars
from shrinkage.penalties.scalars import Constants

ScalarForm = scalars.ScalarForm


@cache
def make_jitable(function: Any) -> Any:
    """Register a function, and the functions that it calls, so that loops may call it.

    Numba looks up a called function by its name in the caller's module, and refuses a plain Python
    function that is not registered.
    """
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, FunctionType):
            make_jitable(called)
    return jitable(function)


# Helpers that loops call directly.
above, below = make_jitable(scalars.at_least), make_jitable(scalars.at_most)
signed, soft = make_jitable(scalars.signed), make_jitable(scalars.soft)


def scalar_form_of(penalty: Penalty) -> tuple[ScalarForm, Constants] | None:
    """The scalar form of a penalty with its constants a and b, or None where there is none."""
    declared = penalty._scalar_form()
    if declared is None:
        return None
    form, constants = declared
    has_gradient = form.gradient is not scalars.no_gradient
    if has_gradient and not (form.is_threshold or penalty.traits.pulls_to_zero):
        return None  # a decoupled loop stops at 0, which would be wrong for this penalty
    return prepare(form), constants


@cache
def prepare(form: ScalarForm) -> ScalarForm:
    """Register the functions of a form, so that loops may call them."""
    for function in (form.prox, form.modulus, form.gradient, form.choice, form.is_sure):
        if function is not None:
            make_jitable(function)
    return form


ABSOLUTE = prepare(scalars.ABSOLUTE)  # also that of groups of one entry
