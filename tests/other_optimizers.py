"""Optimizers of other packages for which "proximal" works: what they are shown to rest with.

    python tests/other_optimizers.py [NAME ...]

trains each for many steps, and prints how far from scikit-learn's Lasso it ends.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diabetes import fit, minimum
from optimizer_cases import Factory
from shrinkage import L1

LASSO = L1(0.1)
SHAPE = (2, 5)  # two axes, so that what handles matrices differently does so
SLOW = {"lr": 0.02}
# timm's names, each class once and its masks
TIMM: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            *("adafactor", "adafactorbv", "adamc", "adamp", "adamwlegacy", "adan", "adanw"),
            *("adopt", "adoptw", "cadamw", "cadopt", "clamb", "clion", "cnadamw", "lamb"),
            *("lambc", "laprop", "larc", "lars", "lion", "mars", "nadamw"),
        ),
        SLOW,
    ),
    **dict.fromkeys(("csgdw", "nadamlegacy", "novograd", "radamlegacy", "sgdp", "sgdw"), SLOW),
}
KOZISTR = ["AdamW", "ADOPT", "Lamb", "Lion", "NAdam", "QHAdam", "SignSGD", "StableAdamW", "Tiger"]
CLASSES: dict[str, dict[str, Any]] = {
    **{f"pytorch_optimizer.{name}": {**SLOW, "weight_decay": 0.0} for name in KOZISTR},
    "torch.optim.Adafactor": {"lr": 0.02, "weight_decay": 0.0},
    "transformers.optimization.Adafactor": {
        "lr": 0.02,
        "scale_parameter": False,
        "relative_step": False,
    },
}


def factory(name: str, options: dict[str, Any]) -> Factory:
    """The optimizer of that name as a function of its parameters."""
    if name in TIMM:
        create = importlib.import_module("timm.optim").create_optimizer_v2
        return partial(create, opt=name, weight_decay=0.0, **TIMM[name] | options)
    module, _, kind = name.rpartition(".")
    return partial(getattr(importlib.import_module(module), kind), **CLASSES[name] | options)


def distance(name: str, steps: int, **options: Any) -> tuple[float, bool]:
    """How far from the minimum the weights end, and whether their zeros are the minimum's."""
    make = factory(name, options)

    def quietly(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the packages' own construction
            return make(parameters)

    weights, _ = fit(quietly, LASSO, "proximal", shape=SHAPE, steps=steps)
    target = minimum(LASSO, SHAPE)
    return float(np.abs(weights - target).max()), bool(((weights == 0) == (target == 0)).all())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or (*TIMM, *CLASSES):
        away, right = distance(chosen, 8000)
        print(f"{chosen:40s} {away:8.1e}  zeros {'right' if right else 'WRONG'}", flush=True)
