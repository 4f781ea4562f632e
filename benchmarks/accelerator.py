"""What holds on an accelerator, and what a regularized step costs there; a table in Markdown.

    python benchmarks/accelerator.py [--device cuda] [--entries 25e6 1e9] [--rounds 9] [--out FILE]

Parity: after 10 steps the weights equal those of the same optimizer on the CPU, from the same
gradients. Accuracy: Ω, its gradient and the penalty against float64 on the CPU. Cost: each step as
a ratio to torch's fused plain step, the median of interleaved rounds with its quartiles; the device
is waited for before and after each. Without a device it runs on the CPU, where its costs say
nothing about one. Not yet measured on any accelerator.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import shrinkage.torch
from shrinkage import L1, ElasticNet, GroupLasso, NuclearNorm, Penalty
from shrinkage.torch import Regularizer

LR, LAM = 1e-3, 1e-2
PENALTIES: dict[str, Penalty | None] = {
    "plain": None,
    "L1": L1(LAM),
    "elastic net": ElasticNet(LAM),
    "group rows": GroupLasso(LAM, 0),
}
TORCH: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"lr": LR, "momentum": 0.9}),
    "Adam": (torch.optim.Adam, {"lr": LR}),
}
INSIDE: dict[str, type[torch.optim.Optimizer]] = {
    "SGD": shrinkage.torch.SGD,
    "Adam": shrinkage.torch.Adam,
}
Lines = Iterator[str]


def weights(entries: int, device: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Square matrices with so many entries together, the same on every device."""
    side = min(4096, max(4, int(entries**0.5)))
    count = max(1, round(entries / side**2))
    generator = torch.Generator().manual_seed(0)
    model = nn.ParameterList(
        0.01 * torch.randn(side, side, generator=generator) for _ in range(count)
    )
    return model.to(device=device, dtype=dtype)


def optimizer_for(
    model: nn.Module, name: str, penalty: Penalty | None, way: str, **options: Any
) -> torch.optim.Optimizer:
    """The penalty "inside" our optimizer, or "attached" to torch's; none: the optimizer alone."""
    kind, defaults = TORCH[name]
    if way == "inside":
        inside = {**defaults, **options, "penalty": penalty, "how": "proximal"}
        return INSIDE[name](model.parameters(), **inside)
    optimizer = kind(model.parameters(), **{**defaults, **options})
    if penalty is not None:
        Regularizer(model, penalty, on="all").attach(optimizer, how="proximal")
    return optimizer


def trained(device: str, dtype: torch.dtype, name: str, penalty: Penalty, way: str) -> Tensor:
    """The weights after 10 steps with gradients that are the same everywhere."""
    model = weights(4096, device, dtype)
    optimizer = optimizer_for(model, name, penalty, way)
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        for w in model.parameters():
            w.grad = torch.randn(w.shape, generator=generator).to(device=device, dtype=dtype)
        optimizer.step()
    return torch.cat([w.detach().flatten() for w in model.parameters()]).cpu().double()


def parity(device: str) -> Lines:
    yield "| optimizer | penalty | type | largest difference | zeros on the device, on the CPU |"
    yield "|---|---|---|---|---|"
    for name in TORCH:
        for label, penalty in PENALTIES.items():
            for way in ("inside", "attached"):
                for dtype in (torch.float32, torch.bfloat16):
                    if penalty is None:
                        continue
                    here, there = (trained(d, dtype, name, penalty, way) for d in (device, "cpu"))
                    off = float((here - there).abs().max())
                    zeros = ", ".join(str(int((w == 0).sum())) for w in (here, there))
                    kind = str(dtype).removeprefix("torch.")
                    yield f"| {name}, {way} | {label} | {kind} | {off:.1e} | {zeros} |"


def accuracy(device: str) -> Lines:
    yield "| penalty | type | Ω, relative error | ∂Ω, largest error |"
    yield "|---|---|---|---|"
    for penalty in (L1(LAM), ElasticNet(LAM), GroupLasso(LAM, 0), NuclearNorm(LAM)):
        for dtype in (torch.float32, torch.bfloat16):
            here = weights(16384, device, dtype)
            there = nn.ParameterList(w.detach().double().cpu() for w in here.parameters())
            values, slopes = [], []
            for model in (here, there):
                total = Regularizer(model, penalty, on="all").penalty()
                total.backward()
                values.append(total.item())
                slopes.append(next(model.parameters()).grad.cpu().double())  # type: ignore[union-attr]
            off = abs(values[0] / values[1] - 1)
            slope = float((slopes[0] - slopes[1]).abs().max())
            kind = str(dtype).removeprefix("torch.")
            yield f"| {type(penalty).__name__} | {kind} | {off:.1e} | {slope:.1e} |"


def scaled(device: str) -> Lines:
    """AMP with a scaler: a step whose gradients are infinite must move nothing."""
    kind = torch.device(device).type
    model = nn.Linear(64, 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    regularizer = Regularizer(model, L1(LAM))
    regularizer.attach(optimizer, how="proximal")
    scaler = torch.amp.GradScaler(kind, init_scale=2.0**8)
    x, skipped, moved = torch.randn(32, 64, device=device), 0, 0
    for step in range(20):
        optimizer.zero_grad()
        with torch.autocast(kind, dtype=torch.bfloat16):
            loss = model(x).square().mean()
        scaler.scale(loss * (float("inf") if step % 5 == 0 else 1.0)).backward()
        before = model.weight.detach().clone()
        scaler.step(optimizer)
        scaler.update()
        if step % 5 == 0:
            skipped += int(torch.equal(before, model.weight))
        else:
            moved += int(not torch.equal(before, model.weight))
    yield f"AMP with GradScaler: {skipped} of 4 infinite steps moved nothing, {moved} of 16 moved."


def seconds(device: str, run: Callable[[], object]) -> float:
    wait = getattr(torch, torch.device(device).type).synchronize
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def cost(device: str, entries: int, rounds: int, *, compiles: bool) -> Lines:
    yield "| optimizer | step | ratio to torch's fused step | quartiles |"
    yield "|---|---|---|---|"
    ways: list[tuple[str, dict[str, Any]]] = [
        ("attached", {"fused": True}),
        ("attached", {"foreach": True}),
        ("inside", {}),
        *([("inside", {"compile": True})] if compiles else []),
    ]
    for name in TORCH:
        for label, penalty in PENALTIES.items():
            for way, options in ways:
                low, middle, high = ratio(device, entries, rounds, name, penalty, way, options)
                said = ", ".join([way, *(f"{key}=True" for key in options)])
                yield f"| {name} | {label}, {said} | {middle:.2f} | {low:.2f} to {high:.2f} |"


def ratio(
    device: str,
    entries: int,
    rounds: int,
    name: str,
    penalty: Penalty | None,
    way: str,
    options: dict[str, Any],
) -> list[float]:
    """Quartiles of the step's time to that of torch's fused step, by interleaved rounds."""
    model = weights(entries, device)
    for w in model.parameters():
        w.grad = torch.randn_like(w) * 1e-2
    plain = optimizer_for(model, name, None, "attached", fused=True)
    ours = optimizer_for(model, name, penalty, way, **options)
    pairs = [(seconds(device, plain.step), seconds(device, ours.step)) for _ in range(rounds + 3)]
    return statistics.quantiles([mine / theirs for theirs, mine in pairs[3:]], n=4)


def trials(device: str) -> Lines:
    """A study in small: three strengths with the same seeds, all on the device."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(512, 64, generator=generator).to(device)
    y = X[:, :4].sum(1, keepdim=True)
    yield "| lam | inputs in use of 64 (4 are real) | loss |"
    yield "|---|---|---|"
    for lam in (1e-2, 1e-1, 3e-1):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
        penalty = {"0.weight": GroupLasso(lam, "in")}
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        Regularizer(model, penalty).attach(optimizer, how="proximal")
        for _ in range(100):
            optimizer.zero_grad()
            loss = (model(X) - y).square().mean()
            loss.backward()
            optimizer.step()
        used = int((model[0].weight != 0).any(0).sum())
        yield f"| {lam:g} | {used} | {loss.item():.3f} |"


def machine(device: str) -> str:
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{platform.machine()} CPU ({device}), torch {torch.__version__}"


def report(device: str, sizes: list[int], rounds: int, *, compiles: bool) -> Lines:
    yield f"# On {machine(device)}"
    for title, lines in (
        ("Parity with the CPU after 10 steps", parity(device)),
        ("Accuracy against float64", accuracy(device)),
        ("Mixed precision", scaled(device)),
        ("Three strengths", trials(device)),
        *(
            (f"Cost at {size:,} entries", cost(device, size, rounds, compiles=compiles))
            for size in sizes
        ),
    ):
        yield f"\n## {title}\n"
        yield from lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    parser.add_argument("--device", default=str(found or "cpu"))
    parser.add_argument("--entries", type=float, nargs="+", default=[25e6, 1e9])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true", help="leave out compile=True")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*master weights")  # bfloat16 is meant here
    sizes = [int(entries) for entries in chosen.entries]
    lines = []
    for line in report(chosen.device, sizes, chosen.rounds, compiles=not chosen.no_compile):
        print(line, flush=True)
        lines.append(line)
    if chosen.out is not None:
        chosen.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
