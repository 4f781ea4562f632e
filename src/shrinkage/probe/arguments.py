"""Recognize the learning rate and the decay among an optimizer's arguments, and call it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from shrinkage.penalties.conventions import DECAY_NAMES

Factory = Callable[..., Any]

MODELS = ("model", "module", "net", "network")
WRAPPED = ("optimizer", "base", "base_optimizer")
PARAMETERS = ("params", "parameters", "named_parameters", "named_params", "param_groups", "weights")
RATES = ("lr", "learning_rate", "step_size", "eta")
# Patterns of names for weight_decay in lower case, the likeliest first.
STRENGTHS = (
    *DECAY_NAMES,
    r"(.*_)?l2(_.*)?",
    r"lambda_?2",
    r"lambda_?|lamda|lmbda|lambd|lamb|lam|(lambda|lam)_(wd|decay|reg|w)",
    r"reg|reg_.*|regulari[sz](ation|er)(_.*)?|ridge",
    r"(.*_)?l1(_.*)?|lambda_?1",
    r"decay|decay_rate",
)
NAMED = (  # kinds of single arguments with a name
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def parameters_of(factory: Factory) -> Mapping[str, inspect.Parameter]:
    """The parameters of `factory` by name; nothing where they cannot be known."""
    try:
        return inspect.signature(factory).parameters
    except (ValueError, TypeError):
        return {}


def accepts(factory: Factory, name: str) -> bool:
    """Whether `factory` can be called with an argument of that name."""
    parameters = parameters_of(factory)
    return (
        not parameters
        or name in parameters
        or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    )


def rate_name(factory: Factory) -> str | None:
    """The argument that is the learning rate; None where there is none."""
    parameters = parameters_of(factory)
    known = next((name for name in RATES if name in parameters), None)
    return known or ("lr" if accepts(factory, "lr") else None)


def strength_name(factory: Factory) -> str | None:
    """The argument that is the strength of the decay; None where there is none.

    Examples
    --------
    >>> strength_name(lambda params, lr, wd=0.0: None)
    'wd'
    >>> strength_name(lambda params, lr: None) is None
    True
    """
    names = [name for name, each in parameters_of(factory).items() if _may_be_a_strength(each)]
    passes_on = "base_optimizer" in parameters_of(factory) and accepts(factory, "weight_decay")
    for pattern in () if passes_on else STRENGTHS:
        for name in names:
            if re.fullmatch(pattern, name.lower()):
                return name
    return "weight_decay" if accepts(factory, "weight_decay") else None


def _may_be_a_strength(parameter: inspect.Parameter) -> bool:
    """Whether it takes a number, by its default."""
    default = parameter.default
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    is_open = default is parameter.empty or default is None or parameter.name == "weight_decay"
    return parameter.kind in NAMED and (is_number or is_open)


def call(factory: Factory, params: Any, options: Mapping[str, Any]) -> Any:
    """``factory(params, **options)``, by position or by name as its arguments want it."""
    keywords, parameters = dict(options), list(parameters_of(factory).values())
    if parameters and parameters[0].kind in (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    ):
        names = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
        first = "params" if "params" in names or not names else names[0]
        return factory(**{first: params}, **keywords)
    by_position = [
        keywords.pop(each.name, each.default)
        for each in parameters[1:]
        if each.kind is inspect.Parameter.POSITIONAL_ONLY
    ]
    return factory(params, *by_position, **keywords)
