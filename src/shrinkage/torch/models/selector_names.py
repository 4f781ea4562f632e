"""Selectors of parameters, in which layers and parameters are replaced by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from shrinkage.penalties import Penalty
from shrinkage.torch.models.effective import Effective
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.owners import Candidate, candidates, modules_by_name, unwrapped

Predicate = Callable[[str, torch.Tensor, nn.Module], bool]
Selector = str | type[nn.Module] | Predicate | Joint | Effective
WrittenSelector = (
    Selector | nn.Module | torch.Tensor | tuple[str, torch.Tensor]
)  # as a user writes it
On = WrittenSelector | Iterable[WrittenSelector]
Penalties = Penalty | Mapping[Any, Penalty | None]


def replace_by_names(
    model: nn.Module, penalty: Penalties, on: On | None
) -> tuple[Penalty | dict[Any, Penalty | None], Selector | list[Selector] | None]:
    """Replace layers and parameters of the model in `penalty` and `on` by their names.

    A layer becomes the pattern of all that is below it, ``"fc.*"``, and a parameter its whole name.
    """
    pool = candidates(model)
    if isinstance(penalty, Mapping):
        named: dict[Any, Penalty | None] = {}
        for key, item in penalty.items():
            name = _replace_by_name(key, model, pool)
            if name in named:
                raise ValueError(f"the mapping has {name!r} twice, as a name and as the object")
            named[name] = item
        penalty = named
    is_one = isinstance(on, str | type | nn.Module | torch.Tensor) or _is_named_parameter(on)
    if is_one or not isinstance(on, Iterable):
        return penalty, _replace_by_name(on, model, pool)
    if isinstance(on, Mapping):
        raise TypeError(f"on= says which parameters; give {on!r} as the penalty, without on=")
    return penalty, [_replace_by_name(item, model, pool) for item in on]


def _replace_by_name(selector: Any, model: nn.Module, pool: Sequence[Candidate]) -> Any:
    if isinstance(selector, nn.Module):
        kind, inner = type(selector).__name__, unwrapped(selector)[0]
        if next(selector.parameters(), None) is None:
            raise ValueError(f"this {kind} holds no parameter that could be penalized")
        for prefix, module, _ in modules_by_name(model):
            if module is inner or module is selector:
                escaped = re.sub(r"([*?[])", r"[\1]", prefix)
                return f"{escaped}*"
        raise ValueError(f"this {kind} is no layer of the model; give one that is, or its pattern")
    if _is_named_parameter(selector):
        selector = selector[1]
    if not isinstance(selector, torch.Tensor):
        return selector
    for candidate in pool:
        if candidate.parameter is selector:
            return candidate.name
    raise ValueError(
        f"a tensor of shape {tuple(selector.shape)} is no parameter of the model; name it by its "
        "pattern, or give the parameter itself, model.fc.weight"
    )


def _is_named_parameter(selector: object) -> bool:
    """Whether it is a pair of `named_parameters`."""
    return (
        isinstance(selector, tuple)
        and len(selector) == 2
        and isinstance(selector[0], str)
        and isinstance(selector[1], torch.Tensor)
    )
