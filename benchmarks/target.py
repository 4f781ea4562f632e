"""What a step on the way to a target costs, in steps of the fused Adam with L1 inside.

python benchmarks/target.py [--entries 25000000]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

import shrinkage.torch
from shrinkage import L0, L1
from shrinkage.torch import Regularizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
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
