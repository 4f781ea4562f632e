"""What `attach` costs: a regularized optimizer step as a ratio to torch's fused plain step.

    python benchmarks/attach.py [--rounds 15] [--threads 2]

Every ratio is the median of interleaved rounds (plain, ours, plain, ours, ...) in one process, with
its quartiles; absolute times are not comparable from run to run. Beside each way stands what people
write by hand today. Goals: proximal L1 at most 1.60 with AdamW, at most 1.45 with SGD.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.torch import Regularizer

LAM = 1e-6
Step = Callable[[], None]


def renew_gradients(model: nn.Module) -> None:
    """New gradient tensors over the same memory, as a backward pass would leave them."""
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad = parameter.grad.detach()


OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "AdamW": (torch.optim.AdamW, {"lr": 1e-5, "weight_decay": 0.0, "fused": True}),
    "SGD momentum": (torch.optim.SGD, {"lr": 1e-5, "momentum": 0.9, "fused": True}),
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


def prepared(model: nn.Module, name: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of the model with gradients, and its optimizer after a first step."""
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-2
    kind, options = OPTIMIZERS[name]
    optimizer = kind(model.parameters(), **options)
    optimizer.step()
    return model, optimizer


def stepping(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The optimizer's step on new gradients."""

    def step() -> None:
        renew_gradients(model)
        optimizer.step()

    return step


def plain(model: nn.Module, name: str) -> Step:
    model, optimizer = prepared(model, name)
    return stepping(model, optimizer)


def attached(model: nn.Module, name: str, penalty: Penalty, how: str) -> Step:
    model, optimizer = prepared(model, name)
    Regularizer(model, penalty).attach(optimizer, how=how)
    return stepping(model, optimizer)


def by_hand_gradient(model: nn.Module, name: str) -> Step:
    """``p.grad += lam·sign(p)``: coupled L1 as people write it."""
    model, optimizer = prepared(model, name)
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    @torch.no_grad()
    def step() -> None:
        for parameter in weights:
            assert parameter.grad is not None
            parameter.grad.add_(LAM * torch.sign(parameter))
        optimizer.step()

    return step


def by_hand_autograd(model: nn.Module, name: str) -> Step:
    """``loss + lam·Σ|p|`` with its backward pass: L1 in the loss as people write it."""
    model, optimizer = prepared(model, name)
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    def step() -> None:
        total: Tensor = LAM * sum(parameter.abs().sum() for parameter in weights)  # type: ignore
        total.backward()
        optimizer.step()

    return step


def by_hand_softshrink(model: nn.Module, name: str) -> Step:
    """softshrink by lr·lam after the step: proximal L1 as people write it (not Adam's metric)."""
    model, optimizer = prepared(model, name)
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    @torch.no_grad()
    def step() -> None:
        optimizer.step()
        for parameter in weights:
            parameter.copy_(nn.functional.softshrink(parameter, 1e-5 * LAM))

    return step


def contenders(model: nn.Module, name: str) -> dict[str, Step]:
    return {
        "coupled L1": attached(model, name, L1(LAM), "coupled"),
        "coupled L2": attached(model, name, L2(LAM), "coupled"),
        "decoupled L1": attached(model, name, L1(LAM), "decoupled"),
        "decoupled L2": attached(model, name, L2(LAM), "decoupled"),
        "proximal L1": attached(model, name, L1(LAM), "proximal"),
        "proximal L1 + L2": attached(model, name, L1(LAM) + L2(LAM), "proximal"),
        "proximal group lasso": attached(model, name, GroupLasso(LAM), "proximal"),
        "by hand: L1 in the loss": by_hand_autograd(model, name),
        "by hand: grad += lam·sign": by_hand_gradient(model, name),
        "by hand: softshrink": by_hand_softshrink(model, name),
    }


def interleaved(baseline: Step, step: Step, rounds: int, repeats: int) -> list[float]:
    """The ratio of `step` to `baseline` in each round, the two in turn."""
    ratios = []
    for number in range(rounds + 2):
        seconds = []
        for run in (baseline, step):
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            seconds.append(time.perf_counter() - start)
        if number >= 2:  # the first two warm caches up
            ratios.append(seconds[1] / seconds[0])
    return ratios


def report(title: str, model: nn.Module, rounds: int, repeats: int) -> None:
    for name in OPTIMIZERS:
        print(f"\n{title}, {name}: ratio to the fused plain step")
        baseline = plain(model, name)
        for label, step in contenders(model, name).items():
            low, middle, high = statistics.quantiles(
                interleaved(baseline, step, rounds, repeats), n=4
            )
            print(f"  {label:28s} {middle:6.2f}   quartiles {low:.2f} to {high:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"{platform.machine()}, torch {torch.__version__}, {arguments.threads} threads")
    mixed = mixed_model()
    sizes = [parameter.numel() for parameter in mixed.parameters()]
    report(
        f"{len(sizes)} mixed tensors, {sum(sizes) / 1e6:.1f}M entries", mixed, arguments.rounds, 1
    )
    report("4 huge tensors, 25.0M entries", huge_model(), arguments.rounds, 1)
    report("5 tensors of 100 entries", tiny_model(), arguments.rounds, 200)


if __name__ == "__main__":
    main()
