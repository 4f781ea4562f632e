"""Choose the compiled loop for a penalty on one parameter, if there is one.

`benchmarks/step.py`, every row of the table of penalties: without a plan, torch operations step the
parameter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from shrinkage.kernels.kind import Groups, How, Kind, Update
from shrinkage.kernels.register_forms import ABSOLUTE, ScalarForm, scalar_form_of
from shrinkage.penalties import Penalty


class KernelPlan(NamedTuple):
    """A penalty on one parameter, in the form that compiled loops take."""

    form: ScalarForm | None
    constants: tuple[float, float]
    width: int = 0  # of the rows that are its groups, or neighbours in such a group; 0: no groups
    span: int = 0  # of the rows that the groups go across; 0 where groups are rows

    def kind(self, update: Update, how: How, dtype: str) -> Kind:
        """The kind of the compiled loop for an optimizer's update."""
        groups = Groups.ROWS if self.width else Groups.NONE
        if self.span:
            groups = Groups.COLUMNS
        return Kind(update, self.form, how, groups, dtype)


def plan_kernel(penalty: Penalty | None, shape: tuple[int, ...]) -> KernelPlan | None:
    """Plan the loop for a penalty on weights of that shape; None where there is no loop."""
    if penalty is None:
        return KernelPlan(None, (0.0, 0.0))
    scalar_form = scalar_form_of(penalty)
    if scalar_form is not None:
        return KernelPlan(*scalar_form)
    absolute, square, others = penalty.split()
    grouped = others[0]._as_group_norms(shape) if len(others) == 1 else None
    if absolute or square or grouped is None:
        return None
    layout, strength = grouped
    return _plan_groups(layout.view or shape, layout.axes, strength)


def _plan_groups(
    view: tuple[int, ...], axes: tuple[int, ...], strength: float
) -> KernelPlan | None:
    last = axes[-1] + 1 if axes else 0
    if not math.prod(view) or axes != tuple(range(last - len(axes), last)):
        return None
    size = math.prod(view) // math.prod(view[axis] for axis in axes)
    if size == 1:
        return KernelPlan(ABSOLUTE, (strength, 0.0))
    width = math.prod(view[last:])
    if width == size:
        return KernelPlan(None, (0.0, strength), width)
    return KernelPlan(None, (0.0, strength), width, math.prod(view[axes[0] :]))
