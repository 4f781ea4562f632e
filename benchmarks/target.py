"""What a step on the way to a target costs, in steps of the fused Adam with L1 inside.

With `--ramps`: how many of the wanted zeros a steered strength holds by itself at the end of ramps
of several lengths, in points of the share; the others are filled by the smallest.

    python benchmarks/target.py [--entries 25000000]
    python benchmarks/target.py --ramps 40 200
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import torch
from sklearn.datasets import load_digits
from torch import nn

import shrinkage.torch
from shrinkage import L0, L1, MCP, SCAD, GroupLasso, LogSum
from shrinkage.torch import Regularizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ramps", type=int, nargs="+", help="steps of each ramp")
    options = parser.parse_args()
    if options.ramps:
        measure_ramps(options.ramps)
    else:
        measure_cost(options)


def measure_ramps(ramps: list[int]) -> None:
    warnings.filterwarnings("ignore", message="target:")
    data, classes = load_digits(return_X_y=True)
    x, y = torch.tensor(data / 16.0, dtype=torch.float32), torch.tensor(classes)
    for penalty in (L1(1e-3), MCP(0.1, 1.0), SCAD(0.1), LogSum(1e-3, 0.03), GroupLasso(1e-3)):
        share = 0.75 if isinstance(penalty, GroupLasso) else 0.9
        for steps in ramps:
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
            regularizer = Regularizer(model, penalty)
            regularizer.attach(
                optimizer, "proximal", target=share, target_start=steps, target_steps=steps
            )
            for _ in range(2 * steps):
                rows = torch.randint(len(x), (64,))
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
            goal = regularizer.bound.target.goals["*"]
            held = 100.0 * (share - goal.filled)
            print(
                f"{type(penalty).__name__:10} {steps:4} steps: {held:.1f} of {100 * share:.0f} "
                f"points held by the strength, factor {goal.factor:.3g}",
                flush=True,
            )
            regularizer.release()


def measure_cost(options: argparse.Namespace) -> None:
    side = round(options.entries**0.5)
    models = [nn.Linear(side, side, bias=False) for _ in range(2)]
    for model in models:
        model.weight.grad = torch.randn_like(model.weight) * 0.01
    inside = Regularizer(models[0], L1(1e-5))
    fused = shrinkage.torch.Adam(models[0].parameters(), lr=1e-3, penalty=inside, how="proximal")
    led = shrinkage.torch.Adam(models[1].parameters(), lr=1e-3)
    Regularizer(models[1], L0(1.0)).attach(
        led, how="proximal", target=0.9, target_steps=1000 * options.rounds
    )
    seconds: dict[str, list[float]] = {"fused": [], "led": []}
    for number in range(options.rounds + 1):
        for name, optimizer in (("fused", fused), ("led", led)):
            start = time.perf_counter()
            optimizer.step()
            if number:
                seconds[name].append(time.perf_counter() - start)
    times = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{side * side} entries, {torch.get_num_threads()} threads")
    print({name: f"{1000 * value:.0f} ms" for name, value in times.items()})
    print(f"a step with a target is {times['led'] / times['fused']:.2f} fused steps")


if __name__ == "__main__":
    main()
