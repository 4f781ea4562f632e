"""The scalar forms of penalties, ready to be taken in by compiled loops.

A separable penalty declares its prox and gradient for one number in its own file, as plain Python
functions (`shrinkage.penalties.scalars`). Here each of them, and each function that they call, is
made known to Numba when a loop first asks for the penalty. So a new penalty is compiled without an
entry anywhere in this folder.
"""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

from shrinkage.kernels.jit import jitable
from shrinkage.penalties import Penalty, scalars
from shrinkage.penalties.scalars import Constants

Formula = scalars.ScalarForm


@cache
def make_jitable(function: Any) -> Any:
    """The same function, which loops may now call, as may be those that it calls in its turn.

    Numba looks up a called function by its name in the caller's module. It would refuse a plain
    Python function there unless that is registered as well.
    """
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, FunctionType):
            make_jitable(called)
    return jitable(function)


# What loops call beside the forms.
above, below = make_jitable(scalars.at_least), make_jitable(scalars.at_most)
signed, soft = make_jitable(scalars.signed), make_jitable(scalars.soft)


def formula_of(penalty: Penalty) -> tuple[Formula, Constants] | None:
    """The scalar form of a penalty with its constants a and b, or None where there is none."""
    declared = penalty._scalar_form()
    if declared is None:
        return None
    form, constants = declared
    has_gradient = form.gradient is not scalars.no_gradient
    if has_gradient and not (form.is_threshold or penalty.pulls_to_zero):
        return None  # decoupled, the loops stop at 0, which is wrong for it
    return prepare(form), constants


@cache
def prepare(form: Formula) -> Formula:
    """The same form, whose functions loops may now take in."""
    for function in (form.prox, form.modulus, form.gradient, form.choice, form.is_sure):
        if function is not None:
            make_jitable(function)
    return form


ABSOLUTE = prepare(scalars.ABSOLUTE)  # also that of groups of one entry
