"""Optimizers of torch.optim by name, with a learning rate that usually works."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from shrinkage.study.errors import UsageError, nearest

# For standardized data and small networks, decayed to 0 along a cosine.
DEFAULT_LR = {
    "Adam": 0.03,
    "AdamW": 0.03,
    "NAdam": 0.03,
    "RAdam": 0.03,
    "Adamax": 0.05,
    "Adagrad": 0.1,
    "Adadelta": 1.0,
    "RMSprop": 0.01,
    "SGD": 0.3,
    "ASGD": 0.3,
    "LBFGS": 0.5,
}


def default_lr(text: str) -> float:
    """The usual learning rate of an optimizer: the tabulated one, or else torch's default."""
    kind, _ = _parse_text(text)
    torch_default = inspect.signature(kind).parameters["lr"].default
    return DEFAULT_LR.get(
        kind.__name__, float(torch_default) if isinstance(torch_default, int | float) else 0.01
    )


def build_optimizer(
    text: str, parameters: Iterable[nn.Parameter], lr: float
) -> torch.optim.Optimizer:
    """Build an optimizer without weight decay of its own, so that only the penalties differ.

    Parameters
    ----------
    text : str
        A name in torch.optim, in any case, perhaps with options: "sgd,momentum=0.9,nesterov=true".

    Raises
    ------
    UsageError
        For an unknown name or option (with the nearest), and for what the optimizer refuses.
    """
    kind, options = _parse_text(text)
    accepted = inspect.signature(kind).parameters
    options["lr"] = lr
    if "weight_decay" in accepted:
        options = {"weight_decay": 0.0, **options}
    if "fused" in accepted:
        options = {"fused": True, **options}  # a third faster for small models
    try:
        return kind(parameters, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"optimizer {text!r} is refused by torch: {error}") from None


def _parse_text(text: str) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    name, *pairs = (part.strip() for part in text.split(","))
    kinds = {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.Optimizer)
        and name != "Optimizer"
    }
    if name.lower() not in kinds:
        raise UsageError(
            f"optimizer {name!r} is not in torch.optim{nearest(name, kinds)} "
            f"(there are {', '.join(sorted(kinds))})"
        )
    kind = kinds[name.lower()]
    accepted = [name for name in inspect.signature(kind).parameters if name not in ("params", "lr")]
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key == "lr":
            raise UsageError(f"optimizer {text!r}: the learning rate has its own argument, lr")
        if key == "weight_decay":
            raise UsageError(
                f"optimizer {text!r}: weight decay is what is compared; name it as a penalty, "
                "l2@coupled or l2@decoupled"
            )
        if key not in accepted or not equals:
            raise UsageError(
                f"optimizer {text!r}: {name} has no option {pair!r}{nearest(key, accepted)}; "
                "write for example sgd,momentum=0.9"
            )
        options[key] = _parse_value(text, value)
    return kind, options


def _parse_value(text: str, written: str) -> object:
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    try:
        return float(written)
    except ValueError:
        raise UsageError(f"optimizer {text!r}: {written!r} is no number, true or false") from None
