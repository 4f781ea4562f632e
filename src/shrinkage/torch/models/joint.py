"""Parameters of several layers that make up the same units, and the search for them in a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import nn

from shrinkage.penalties.layout import heads_in
from shrinkage.torch.models.owners import Modules
from shrinkage.user_warning import warn_user


@final
@dataclass(frozen=True, init=False, repr=False)
class Joint:
    """All that belongs to one unit, in several parameters, as one group.

    A key of a `Regularizer`'s mapping. With ``Joint("0.weight", "0.bias", "2.weight:in")`` the
    penalty sees one matrix whose row i is unit i: row i of ``0.weight``, entry i of ``0.bias`` and
    column i of ``2.weight``. A group penalty then zeroes a neuron whole, with all that leads to it
    and from it; p_g counts all these entries.

    Parameters
    ----------
    *members : str
        Whole names of two parameters or more, each with the side where its units are after a colon:
        "out" (the default, and all there is in one dimension), "in", an axis ("1"), or the heads of
        attention ("heads:64", "in:heads:64"). The module says which entries these are, as for
        `GroupLasso`. A later weight needs its side wherever "in" could be meant too. Beside a
        convolution, other members may have several entries for each channel, one after the other,
        as `torch.nn.Flatten` lays them out.

    Raises
    ------
    ValueError
        Here for fewer than two members, one named twice, or an unknown side; in the `Regularizer`
        for names that do not exist, parameters that an earlier key of the mapping takes, numbers of
        units that differ, a side that is left out where it could be either, and penalties with
        other groups than `groups="out"`.

    Notes
    -----
    A member that is frozen or has no gradient stays where it is, and counts in its groups' size.
    Structured pruning calls these coupled parameters (DepGraph: Fang et al., 2023). For the heads
    and neurons of transformers, `shrinkage.torch.heads` and `shrinkage.torch.neurons` write the
    Joints.

    Examples
    --------
    >>> import torch
    >>> from shrinkage import GroupLasso
    >>> from shrinkage.torch import Regularizer
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> with torch.no_grad():  # unit 0: 2, 3 and 6; unit 1: nothing
    ...     _ = model[0].weight.copy_(torch.tensor([[2.0], [0.0]]))
    ...     _ = model[0].bias.copy_(torch.tensor([3.0, 0.0]))
    ...     _ = model[2].weight.copy_(torch.tensor([[6.0, 0.0]]))
    >>> neurons = Joint("0.weight", "0.bias", "2.weight:in")
    >>> regularizer = Regularizer(model, {neurons: GroupLasso(1.0, weight="none")})
    >>> regularizer.value()
    7.0
    >>> regularizer.sparsity()
    3 of 6 penalized weights are exactly zero
      0.weight + 0.bias + 2.weight:in: 3 of 6, 1 of 2 groups
    """

    members: tuple[str, ...]

    def __init__(self, *members: str) -> None:
        for member in members:
            if not isinstance(member, str):
                raise TypeError(f"a member of a Joint is a parameter's name, got {member!r}")
            side = member.partition(":")[2]
            if ":" in member and not (re.fullmatch(r"out|in|-?\d+", side) or heads_in(side)):
                raise ValueError(
                    'after the colon of a member comes "out", "in", an axis ("1") or heads '
                    f'("heads:64", "in:heads:64"), got {member!r}'
                )
        object.__setattr__(self, "members", members)
        if len(members) < 2:
            raise ValueError(f"a Joint takes two parameters or more, got {self!r}")
        repeated = next((name for name in self.names if self.names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"{self!r} names {repeated} twice")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, without their sides."""
        return tuple(member.partition(":")[0] for member in self.members)

    @property
    def sides(self) -> tuple[str, ...]:
        """The side of each parameter where its units are, "out" unless another one is given."""
        return tuple(member.partition(":")[2] or "out" for member in self.members)

    def __str__(self) -> str:
        return " + ".join(self.members)

    def __repr__(self) -> str:
        return f"Joint({', '.join(map(repr, self.members))})"


Find = Callable[[nn.Module, Modules], list[Joint] | None]


def find_joints(function: str, what: str, model: nn.Module, find: Find) -> list[Joint]:
    """The Joints that `find` makes of each module.

    `find` returns None for a module that has such units in an unknown layout. A warning names these
    modules, or says that the model has no such units.
    """
    joints: list[Joint] = []
    unknown: set[str] = set()
    modules = Modules(model)
    for module in modules:
        found_joints = find(module, modules)
        joints += found_joints or []
        if found_joints is None:
            unknown.add(type(module).__name__)
    if unknown:
        warn_user(
            f"{function}() leaves out {', '.join(sorted(unknown))}: how its units are laid "
            "out is not known; write their Joint by hand",
        )
    elif not joints:
        warn_user(f"{function}() knows no {what} in {type(model).__name__}")
    return joints
