"""Search a model for Joints: the common part of `heads` and `neurons`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from torch import nn

from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.owners import Modules

Find = Callable[[nn.Module, Sequence[nn.Module], Modules], list[Joint] | None]


def find_joints(function: str, what: str, model: nn.Module, find: Find) -> list[Joint]:
    """The Joints that `find` makes of each module and of the modules that hold it.

    `find` returns None for a module that has such units in an unknown layout. A warning names these
    modules, or says that the model has no such units.
    """
    joints: list[Joint] = []
    unknown: set[str] = set()
    modules = Modules(model)
    for module, ancestors in modules.ancestors:
        found_joints = find(module, ancestors, modules)
        joints += found_joints or []
        if found_joints is None:
            unknown.add(type(module).__name__)
    if unknown:
        warnings.warn(
            f"{function}() leaves out {', '.join(sorted(unknown))}: how its units are laid "
            "out is not known; write their Joint by hand",
            stacklevel=3,
        )
    elif not joints:
        warnings.warn(f"{function}() knows no {what} in {type(model).__name__}", stacklevel=3)
    return joints
