"""What the benchmarks of a step share: models, what steps them, and interleaved rounds."""

from __future__ import annotations

import copy
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor, nn

import shrinkage.torch
from shrinkage import Penalty
from shrinkage.torch import Regularizer

LR, LAM = 1e-5, 1e-6
Run = Callable[[], object]


class Step(NamedTuple):
    """What is timed, and what goes before it untimed, as a backward pass would."""

    before: Run
    run: Run


OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD momentum": (torch.optim.SGD, {"lr": LR, "momentum": 0.9, "fused": True}),
    "AdamW": (torch.optim.AdamW, {"lr": LR, "weight_decay": 0.0, "fused": True}),
}
OURS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD momentum": (shrinkage.torch.SGD, {"lr": LR, "momentum": 0.9}),
    "AdamW": (shrinkage.torch.Adam, {"lr": LR}),
}


def mixed_model() -> nn.Module:
    """161 tensors with 25 million entries, from a bias of 64 to a matrix of 4 million."""
    widths = [64, 128, 256, 512, 1024, 2048, 2048]
    layers: list[nn.Module] = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    layers += [nn.Linear(512, 512) for _ in range(60)]
    layers += [nn.Conv2d(64, 64, 3) for _ in range(14)]
    layers += [nn.Linear(1024, 1700, bias=False)]
    return nn.Sequential(*layers)


def huge_model() -> nn.Module:
    """Four matrices with 25 million entries together."""
    return nn.Sequential(*(nn.Linear(2500, 2500, bias=False) for _ in range(4)))


def tiny_model() -> nn.Module:
    """Five tensors of 100 entries."""
    return nn.Sequential(*(nn.Linear(10, 10, bias=False) for _ in range(5)))


MODELS = {
    "161 mixed tensors, 25.0M entries": (mixed_model, 1),
    "4 huge tensors, 25.0M entries": (huge_model, 1),
    "5 tensors of 100 entries": (tiny_model, 200),
}  # with the steps that are timed as one


def prepared(
    model: nn.Module, kind: type[torch.optim.Optimizer], options: dict[str, Any]
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of the model with gradients, and its optimizer after a first step."""
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-2
    optimizer = kind(model.parameters(), **options)
    optimizer.step()
    return model, optimizer


def renewing(model: nn.Module) -> Run:
    """New gradient tensors over the same memory, as a backward pass would leave them."""
    parameters = list(model.parameters())

    def renew() -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad = parameter.grad.detach()

    return renew


def stepping(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The optimizer's step on new gradients."""
    return Step(renewing(model), optimizer.step)


def plain(model: nn.Module, name: str) -> Step:
    """torch's fused step, without a penalty."""
    return stepping(*prepared(model, *OPTIMIZERS[name]))


def inside(model: nn.Module, name: str, penalty: Penalty | None, how: str = "proximal") -> Step:
    """Our optimizer, with the penalty inside on every parameter."""
    kind, options = OURS[name]
    return stepping(*prepared(model, kind, {**options, "penalty": penalty, "how": how}))


def attached(model: nn.Module, name: str, penalty: Penalty, how: str) -> Step:
    """A regularizer attached to torch's fused optimizer."""
    model, optimizer = prepared(model, *OPTIMIZERS[name])
    Regularizer(model, penalty).attach(optimizer, how=how)
    return stepping(model, optimizer)


def by_hand_gradient(model: nn.Module, name: str) -> Step:
    """``p.grad += lam·sign(p)``: coupled L1 as people write it."""
    model, optimizer = prepared(model, *OPTIMIZERS[name])
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    @torch.no_grad()
    def step() -> None:
        for parameter in weights:
            assert parameter.grad is not None
            parameter.grad.add_(LAM * torch.sign(parameter))
        optimizer.step()

    return Step(renewing(model), step)


def by_hand_autograd(model: nn.Module, name: str) -> Step:
    """``loss + lam·Σ|p|`` with its backward pass: L1 in the loss as people write it."""
    model, optimizer = prepared(model, *OPTIMIZERS[name])
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    def step() -> None:
        total: Tensor = LAM * sum(parameter.abs().sum() for parameter in weights)  # type: ignore
        total.backward()
        optimizer.step()

    return Step(renewing(model), step)


def by_hand_softshrink(model: nn.Module, name: str) -> Step:
    """softshrink by lr·lam after the step: proximal L1 as people write it (not Adam's metric)."""
    model, optimizer = prepared(model, *OPTIMIZERS[name])
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    @torch.no_grad()
    def step() -> None:
        optimizer.step()
        for parameter in weights:
            parameter.copy_(nn.functional.softshrink(parameter, LR * LAM))

    return Step(renewing(model), step)


BY_HAND = {
    "by hand: L1 in the loss": by_hand_autograd,
    "by hand: grad += lam·sign": by_hand_gradient,
    "by hand: softshrink": by_hand_softshrink,
}


class Spread(NamedTuple):
    """Median and quartiles."""

    low: float
    middle: float
    high: float


def spread(values: list[float]) -> Spread:
    return Spread(*statistics.quantiles(values, n=4))


def turns(steps: list[Step], rounds: int, repeats: int) -> list[list[float]]:
    """The seconds of each step in each round, one after the other; two rounds before warm up."""
    seconds: list[list[float]] = []
    for _ in range(rounds + 2):
        seconds.append([])
        for step in steps:
            total = 0.0
            for _ in range(repeats):
                step.before()
                start = time.perf_counter()
                step.run()
                total += time.perf_counter() - start
            seconds[-1].append(total / repeats)
    return seconds[2:]


def ratio(baseline: Step, step: Step, rounds: int, repeats: int) -> Spread:
    """`step` to `baseline`, by round."""
    return spread([ours / theirs for theirs, ours in turns([baseline, step], rounds, repeats)])


def machine() -> str:
    """Where the figures come from."""
    model, caches = platform.processor() or platform.machine(), []
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = [
            (cache / part).read_text().strip() for part in ("level", "type", "size")
        ]
        caches.append(f"L{level} {kind.lower()} {size}")
    versions = f"torch {torch.__version__}, Numba {numba.__version__}, NumPy {np.__version__}"
    return (
        f"{model}, {os.cpu_count()} cores ({', '.join(caches)}); "
        f"Python {platform.python_version()}, {versions}"
    )
