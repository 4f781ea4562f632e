"""Optimizers by name, with a learning rate that usually works; torch is imported where needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shrinkage.study.errors import UsageError, suggest

if TYPE_CHECKING:
    import torch

# For standardized data and small networks, decayed to 0 along a cosine.
DEFAULT_LR = {
    "adam": 0.03,
    "adamw": 0.03,
    "nadam": 0.03,
    "radam": 0.03,
    "adamax": 0.05,
    "adagrad": 0.1,
    "adadelta": 1.0,
    "rmsprop": 0.01,
    "sgd": 0.3,
    "asgd": 0.3,
    "lbfgs": 0.5,
}
# The options of torch's usual optimizers, which are known without importing it.
OPTIONS = {
    "adam": (
        "betas",
        "eps",
        "weight_decay",
        "amsgrad",
        "foreach",
        "maximize",
        "capturable",
        "differentiable",
        "fused",
        "decoupled_weight_decay",
    ),
    "sgd": (
        "momentum",
        "dampening",
        "weight_decay",
        "nesterov",
        "maximize",
        "foreach",
        "differentiable",
        "fused",
    ),
}


def default_lr(text: str) -> float:
    """The usual learning rate of an optimizer: the tabulated one, or else torch's default.

    Raises
    ------
    UsageError
        As `parse_optimizer`.
    """
    name, _ = parse_optimizer(text)
    if name in DEFAULT_LR:
        return DEFAULT_LR[name]
    from shrinkage.study.training import torch_optimizers

    default = torch_optimizers.list_arguments(name)["lr"].default
    return float(default) if isinstance(default, int | float) else 0.01


def build_optimizer(
    text: str, parameters: Iterable[torch.nn.Parameter], lr: float
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
    from shrinkage.study.training import torch_optimizers

    name, options = parse_optimizer(text)
    accepted = torch_optimizers.list_arguments(name)
    defaults: dict[str, object] = {"lr": lr}
    if "weight_decay" in accepted:
        defaults["weight_decay"] = 0.0
    if "fused" in accepted:
        defaults["fused"] = True  # a third faster for small models
    try:
        return torch_optimizers.find_kind(name)(parameters, **{**defaults, **options})
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"optimizer {text!r} is refused by torch: {error}") from None


def parse_optimizer(text: str) -> tuple[str, dict[str, float | bool]]:
    """The name of an optimizer in torch.optim, in lower case, and its options.

    Raises
    ------
    UsageError
        For an unknown name or option, with the nearest.

    Examples
    --------
    >>> parse_optimizer("SGD, momentum=0.9, nesterov=true")
    ('sgd', {'momentum': 0.9, 'nesterov': True})
    """
    written, *pairs = (part.strip() for part in text.split(","))
    name = written.lower()
    if name in OPTIONS:
        accepted = list(OPTIONS[name])
    else:
        from shrinkage.study.training import torch_optimizers

        accepted = [key for key in torch_optimizers.list_arguments(written) if key != "lr"]
    options: dict[str, float | bool] = {}
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
                f"optimizer {text!r}: {written} has no option {pair!r}{suggest(key, accepted)}; "
                "write for example sgd,momentum=0.9"
            )
        options[key] = _parse_value(text, value)
    return name, options


def _parse_value(text: str, written: str) -> float | bool:
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    try:
        return float(written)
    except ValueError:
        raise UsageError(f"optimizer {text!r}: {written!r} is no number, true or false") from None
