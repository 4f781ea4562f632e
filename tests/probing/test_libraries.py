"""What the optimizers of other libraries want to be stepped with is found, and said."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import pytorch_optimizer
import torch
import torch_optimizer

from probing.short import probe_law
from shrinkage.torch import probe

pytestmark = pytest.mark.slow  # test_stepper.py has made-up ones for each of their wants

DECAYED = "w ← (1 − lr·wd)·w"

# What is in the whole report.
FOUND = {
    torch_optimizer.SGDW: ("w ← w − lr·wd,", "NOT as documented", "moves weights that are 0"),
    torch_optimizer.Lookahead: (DECAYED, "probed around torch.optim.SGD"),
    torch_optimizer.Shampoo: ("UVᵀ", "coupled", "the strength cancels"),
    pytorch_optimizer.SGDW: (DECAYED, "decoupled, before", "under momentum 0.9 at 0.1 times"),
    pytorch_optimizer.Lion: (DECAYED, "decoupled", "within the box |w| ≤ 1/wd"),
    functools.partial(pytorch_optimizer.Lion, fixed_decay=True): (
        "w ← (1 − wd)·w", "as documented: decoupled, (1 − wd)·w (weight_decouple=True)",
    ),
    functools.partial(pytorch_optimizer.AdamP, weight_decouple=False): ("does nothing",),
    pytorch_optimizer.SAM: (DECAYED, "stepped with a closure"),
    pytorch_optimizer.AdaHessian: (DECAYED, "stepped with a graph"),
    pytorch_optimizer.Muon: (DECAYED, "use_muon", "one-dimensional parameters: left alone"),
    pytorch_optimizer.Prodigy: ("1e-06·lr·wd",),
    pytorch_optimizer.ScheduleFreeSGD: (DECAYED, "solves J"),
    pytorch_optimizer.Adan: ("w ← w/(1 + lr·wd)", "decoupled, after the update"),
    pytorch_optimizer.SM3: ("weight_decay is taken among any others and does nothing",),
    torch.optim.LBFGS: ("takes no weight_decay",),
    torch.optim.Adafactor: (DECAYED, "decoupled"),
}  # fmt: skip
AFTER_TRAINING = {"solves J", "within the box |w| ≤ 1/wd", "under momentum 0.9 at 0.1 times"}


@pytest.mark.parametrize("factory", FOUND, ids=str)
def test_what_libraries_have_is_found(factory: Any) -> None:
    report = (probe if AFTER_TRAINING & {*FOUND[factory]} else probe_law)(factory).report()
    for part in FOUND[factory]:
        assert part in report


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (pytorch_optimizer.GSAM, "it needs rho_scheduler: give it by functools.partial"),
        (pytorch_optimizer.LOMO, "NotImplementedError: it has no step"),
    ],
)
def test_what_cannot_be_probed_says_why(factory: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        probe(factory)
