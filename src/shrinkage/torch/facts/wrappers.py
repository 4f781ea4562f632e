"""Optimizers that wrap another one: which are looked through, and which are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.optim import Optimizer

# A step of theirs is the inner optimizer's, so they are looked through. By the name of the class,
# as the frameworks need not be installed.
TRANSPARENT = {
    "AcceleratedOptimizer": "optimizer",  # accelerate, and with it transformers
    "LightningOptimizer": "_optimizer",
    "_FabricOptimizer": "_optimizer",
}
OWN_STEP = ("ZeroRedundancyOptimizer",)  # the inner one steps a part; they share out the rest


def inner_optimizer(optimizer: Any) -> Any:
    """The optimizer itself, where a framework's wrapper only passes steps on to it."""
    names = [base.__name__ for base in type(optimizer).__mro__]
    attribute = next((TRANSPARENT[name] for name in names if name in TRANSPARENT), None)
    return optimizer if attribute is None else inner_optimizer(vars(optimizer)[attribute])


def innermost_optimizer(optimizer: Any) -> Any:
    """The optimizer that moves the weights, inside wrappers of any kind."""
    optimizer = inner_optimizer(optimizer)
    wrapped = wrapped_by(optimizer)
    return innermost_optimizer(wrapped[0][1]) if len(wrapped) == 1 else optimizer


def wrapped_by(optimizer: Any) -> list[tuple[str, Optimizer]]:
    """The optimizers that this one steps in place of its own arithmetic, with where they are."""
    if any(base.__name__ in OWN_STEP for base in type(optimizer).__mro__):
        return []
    held = {id(p) for group in _groups(optimizer) for p in group["params"]}
    return [
        (path, inner)
        for path, inner in _find_optimizers(optimizer)
        if not isinstance(optimizer, Optimizer)
        or any(id(p) in held for group in _groups(inner) for p in group["params"])
    ]


def check_optimizer(optimizer: object) -> None:
    """Refuse anything that is no optimizer, wraps another, or has no hooks."""
    name, wrapped = type(optimizer).__name__, wrapped_by(optimizer)
    places = " or ".join(f"optimizer.{path}" for path, _ in wrapped)
    if not isinstance(optimizer, Optimizer):
        hint = f"; attach to {places}" if wrapped else ""
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {optimizer!r}{hint}")
    if wrapped:
        raise ValueError(
            f"{name} steps another optimizer and may move weights outside of its steps, so a "
            f"penalty must act inside: attach to {places}"
        )
    try:
        for register in (
            optimizer.register_step_pre_hook,
            optimizer.register_step_post_hook,
            optimizer.register_state_dict_post_hook,
            optimizer.register_load_state_dict_post_hook,
        ):
            register(lambda *_: None).remove()
    except AttributeError:
        raise ValueError(
            f"{name} did not call torch.optim.Optimizer.__init__, so torch has no place for its "
            "hooks and no penalty can be attached: call super().__init__(params, defaults) in its "
            "__init__"
        ) from None


def _find_optimizers(optimizer: object) -> Iterator[tuple[str, Optimizer]]:
    for name, value in getattr(optimizer, "__dict__", {}).items():
        if isinstance(value, Optimizer) and value is not optimizer:
            yield name, value
        elif isinstance(value, list | tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in items:
                if isinstance(inner, Optimizer) and inner is not optimizer:
                    yield f"{name}[{key!r}]", inner


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = getattr(optimizer, "param_groups", [])
    return groups
