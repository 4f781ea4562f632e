"""The kind of a parameter: a weight, a bias, or another that is penalized only on request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from shrinkage.torch.models.layers import BATCH_NORM, CONVOLUTION
from shrinkage.torch.private import own_parameters
from shrinkage.user_warning import warn_user

NORMALIZATIONS = (BATCH_NORM, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
LAYERS = (
    nn.Linear,
    nn.Bilinear,
    CONVOLUTION,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
LAYER_NAMES = re.compile(r"(Linear|Conv[123]?[dD]?|Dense|Embedding)$")  # of classes not torch's own
POSITIONS_AND_TOKENS = re.compile(
    r"(^|_)(pos|position|positional)_emb(ed|edding|eddings)?(?![a-zA-Z])"
    r"|(^|_)(cls|class|dist|distillation|reg|register|mask)_(tokens?|embedding)$"
    r"|(^|_)position_bias_table$"
)
NO_DECAY = "asks for no weight decay"


def kind_of(module: nn.Module, key: str, parameter: Tensor) -> str:
    """ "weight", "bias", or another kind in words."""
    is_norm = isinstance(module, NORMALIZATIONS)
    if is_norm or re.search(r"Norm([123]d)?$", type(module).__name__):
        return "a normalization's"
    if key.endswith("_g") and f"{key[:-2]}_v" in own_parameters(module):
        return "a weight-norm gain"
    if key == "bias" or key.startswith("bias_") or key.endswith("_bias"):
        return "bias"
    if isinstance(module, nn.PReLU):
        return "a slope"
    is_layer = isinstance(module, LAYERS) or any(
        LAYER_NAMES.search(kind.__name__) for kind in type(module).__mro__
    )
    if parameter.ndim >= 2 and "weight" in key and is_layer:
        return "weight"  # also of one input or one output
    if POSITIONS_AND_TOKENS.search(key):
        return "a position embedding or a token"
    is_matrix = isinstance(module, nn.ParameterDict) and parameter.ndim == 2  # serves no layer
    if sum(size > 1 for size in parameter.shape) < 2 and not is_matrix:
        return "one-dimensional"  # as a gain of shape (1, 1, 1, channels) is
    return "weight"


@dataclass(frozen=True)
class Request:
    """The parameters below one module that its methods name as not to be decayed.

    A name is one that the module's `named_parameters` has, or the end, the beginning or a part
    between dots of such names, or a pattern; a keyword is any part of a name.
    """

    prefix: str  # of the module that asks, without wrappers
    path: str  # with them
    names: frozenset[str]
    loose: frozenset[str]  # names that are no parameter's whole name
    keywords: frozenset[str]

    def includes(self, name: str, path: str, alias: str) -> bool:
        """Whether it names a parameter, given its name, its path with wrappers, and its alias."""
        if path.removeprefix(self.path) in self.names:
            return True
        inner = [inner_name.removeprefix(self.prefix) for inner_name in (name, alias)]
        return (
            any(inner_name in self.names for inner_name in inner)
            or any(word in inner_name for word in self.keywords for inner_name in inner)
            or any(
                f".{part}." in f".{inner_name}." or fnmatchcase(inner_name, part)
                for part in self.loose
                for inner_name in inner
            )
        )


def request_of(module: nn.Module, prefix: str, path: str) -> Request | None:
    """Read ``no_weight_decay()`` and ``no_weight_decay_keywords()`` of a module."""
    names, keywords = _ask(module, "no_weight_decay"), _ask(module, "no_weight_decay_keywords")
    if not names and not keywords:
        return None
    whole = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    return Request(prefix, path, frozenset(names & whole), frozenset(names - whole), keywords)


def _ask(module: nn.Module, method: str) -> frozenset[str]:
    is_own = method in module.__dict__ or hasattr(type(module), method)
    ask: Any = getattr(module, method) if is_own else None  # a wrapper passes its model's on
    if not callable(ask) or isinstance(ask, nn.Module):
        return frozenset()
    try:
        answer = ask()
    except Exception as error:  # foreign code may raise anything
        warn_user(
            f"{type(module).__name__}.{method}() raised {error!r}, so what it would name is "
            "penalized as other parameters are; leave it out with on= or a None in the mapping",
        )
        return frozenset()
    names = [answer] if isinstance(answer, str) else answer if isinstance(answer, Iterable) else ()
    return frozenset(name for name in names if isinstance(name, str) and name)


def is_marked(parameter: Tensor) -> bool:
    """Whether the parameter itself asks for no decay: ``_no_weight_decay``, or S4's ``_optim``."""
    if getattr(parameter, "_no_weight_decay", False):
        return True
    options = getattr(parameter, "_optim", None)
    return isinstance(options, dict) and options.get("weight_decay", 1.0) == 0
