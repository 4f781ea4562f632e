"""The optimizers that torch.optim has, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch

from shrinkage.study.errors import UsageError, suggest


def find_kind(name: str) -> Callable[..., torch.optim.Optimizer]:
    """The class in torch.optim of a name in any case.

    Raises
    ------
    UsageError
        If there is none, with the nearest.
    """
    kinds = {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.Optimizer)
        and name != "Optimizer"
    }
    if name.lower() not in kinds:
        raise UsageError(
            f"optimizer {name!r} is not in torch.optim{suggest(name, kinds)} "
            f"(there are {', '.join(sorted(kinds))})"
        )
    return kinds[name.lower()]


def list_arguments(name: str) -> Mapping[str, inspect.Parameter]:
    """The arguments of an optimizer by name, those of its parameters left out."""
    arguments = dict(inspect.signature(find_kind(name)).parameters)
    del arguments["params"]
    return arguments
