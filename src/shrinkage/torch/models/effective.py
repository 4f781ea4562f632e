"""Weights that a model computes from its parameters: products of LoRA, parametrized tensors.

Some of them are divided by their own size (`divided_by_size`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, final

from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from shrinkage.torch.models.owners import Owner
from shrinkage.torch.private import own_parameters

FACTOR = re.compile(
    r"(?:(?P<layer>.*)\.)?lora_(?P<side>[ABab])(?:\.(?P<adapter>\w+?))??(?:\.weight)?"
)

ORIGINAL = re.compile(r"(?P<layer>.*\.)?parametrizations\.(?P<tensor>\w+)\.(?P<key>original\d*)")

ZEROED = {"weight norm": "a row", "spectral norm": "the whole"}  # what must not be 0, by divisor
FACTORS_TAKEN = (
    "one mapping cannot penalize both an effective weight and a parameter that it is computed "
    "from; give each a Regularizer of its own, and add the penalty() of one of them to the loss"
)


@final
@dataclass(frozen=True)
class Effective:
    """The weight that a model computes from its parameters, in place of these.

    A key of a `Regularizer`'s mapping. The penalty sees the computed weight, and reaches the
    parameters by the chain rule. It can be

    - ``"layer.lora"``: the product B·A of a low-rank adapter, times the layer's ``scaling`` if it
      has one: peft's (``"layer.lora.NAME"`` for adapters that are not called "default"), and any
      layer with ``lora_A`` and ``lora_B`` or ``lora_a`` and ``lora_b``, modules or parameters;
    - ``"layer.weight"``, where that is parametrized by `torch.nn.utils.parametrize`: weight
      normalization, spectral normalization, orthogonal or a parametrization of your own;
    - ``"up.weight @ down.weight"``: the product of the parameters of these whole names.

    Parameters
    ----------
    pattern : str
        A name of such a weight, or a pattern of names as in ``"*.lora"``.

    Raises
    ------
    ValueError
        In the `Regularizer`: if it matches no computed weight, or an earlier key takes a part of
        one; in `attach`: for "proximal" and "decoupled", which set weights, since nothing says
        which of the factors is to be set.

    Notes
    -----
    How "loss" and "coupled" converge to a stationary point of data loss + Ω(computed weight),
    without exact zeros. ``‖B·A‖_*`` is the least ½(‖A‖² + ‖B‖²) over all factors of the product, so
    ``L2(lam / 2)`` on both factors has the minima of ``NuclearNorm(lam)`` (with ``scaling`` 1).

    Examples
    --------
    >>> import torch
    >>> from shrinkage import L1
    >>> from shrinkage.torch import Effective, Regularizer
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 1, bias=False))
    >>> layer.weight = torch.tensor([[3.0, -4.0]])
    >>> Regularizer(layer, {Effective("weight"): L1(0.5)}).value()
    3.5
    """

    pattern: str

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            raise TypeError(f"Effective takes the name of a computed weight, got {self.pattern!r}")

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the factors of a product that is written out; empty for a pattern."""
        names = tuple(name.strip() for name in self.pattern.split("@"))
        return names if len(names) > 1 else ()

    def __str__(self) -> str:
        return self.pattern

    def __repr__(self) -> str:
        return f"Effective({self.pattern!r})"


def matching_name(key: Effective, owner: Owner) -> str | None:
    """The name of the weight that the key means and that the owner's parameter is a part of."""
    if key.factors:
        return key.pattern if not set(key.factors).isdisjoint(owner.names) else None
    name = effective_name(owner)
    return name if name is not None and fnmatchcase(name, key.pattern) else None


def effective_name(owner: Owner) -> str | None:
    """The name of the computed weight that a parameter is a part of, if there is one."""
    original = ORIGINAL.fullmatch(owner.name)
    if original is not None and parametrization_of(owner) is not None:
        return f"{original['layer'] or ''}{original['tensor']}"
    found = FACTOR.fullmatch(owner.name)
    if found is None:
        return None
    adapter = found["adapter"]
    parts = (found["layer"], "lora", adapter if adapter != "default" else None)
    return ".".join(part for part in parts if part)


def parametrization_of(owner: Owner) -> tuple[ParametrizationList, str] | None:
    """The parametrization that a parameter is an input of, and its name there."""
    found, steps = ORIGINAL.fullmatch(owner.name), _parametrizations(owner)
    return None if found is None or steps is None else (steps, found["key"])


def parametrization_class(owner: Owner) -> str | None:
    """The class of the first parametrization that makes the weight from this parameter, or None."""
    steps = _parametrizations(owner)
    return None if steps is None else type(steps[0]).__name__


def _parametrizations(owner: Owner) -> ParametrizationList | None:
    module: Any = owner.module
    return module.parametrizations[owner.key] if is_parametrized(module, owner.key) else None


def is_second_factor(owner: Owner) -> bool:
    """Whether it is the A of a product B·A."""
    found = FACTOR.fullmatch(owner.name)
    return found is not None and found["side"] in "Aa"


def scaling_of(owner: Owner) -> float:
    """The number by which the layer multiplies its B·A; 1 where it does not say."""
    found = FACTOR.fullmatch(owner.name)
    for module in (owner.module, *reversed(owner.ancestors)):
        scaling = getattr(module, "scaling", None)
        if isinstance(scaling, Mapping) and found is not None:
            scaling = scaling.get(found["adapter"] or "default")
        if isinstance(scaling, int | float):
            return float(scaling)
        if hasattr(module, "lora_A") or hasattr(module, "lora_a"):
            return 1.0
    return 1.0


def divided_by_size(owner: Owner) -> str | None:
    """What divides a weight by its own size before the layer uses it, or None.

    "weight norm" divides each row by its norm, "spectral norm" the whole by its largest singular
    value, in their forms of today (`torch.nn.utils.parametrizations`) and of before (hooks that
    store ``weight_v`` and ``weight_g``, or ``weight_orig`` and ``weight_u``). A row, or a whole,
    that is exactly 0 then makes every output NaN.
    """
    module, key = owner.module, owner.key
    if key.endswith("_v") and f"{key.removesuffix('_v')}_g" in own_parameters(module):
        return "weight norm"
    if key.endswith("_orig") and f"{key.removesuffix('_orig')}_u" in dict(
        module.named_buffers(recurse=False)
    ):
        return "spectral norm"
    name = parametrization_class(owner)
    if name == "_WeightNorm" and owner.name.endswith("original1"):
        return "weight norm"
    return "spectral norm" if name == "_SpectralNorm" else None
