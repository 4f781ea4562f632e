"""How the cost of a step grows with the weights: draws `benchmarks/growth.svg`.

    python benchmarks/growth.py [--rounds 15] [--threads 2] [--largest 100000000]

Nanoseconds an entry of one AdamW step on one matrix of 10³ to 10⁸ entries: medians of interleaved
rounds (torch, ours, by hand, torch, ...). The largest needs 9 GB of memory.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

import torch
from torch import nn

from line_chart import draw
from shrinkage import L1
from timing import LAM, Step, by_hand_autograd, by_hand_softshrink, inside, machine, plain, turns

PICTURE = Path(__file__).with_name("growth.svg")
NAME = "AdamW"


def contenders(model: nn.Module) -> dict[str, Step]:
    return {
        "L1 in the loss, by hand": by_hand_autograd(model, NAME),
        "softshrink, by hand": by_hand_softshrink(model, NAME),
        "L1 inside, proximal": inside(model, NAME, L1(LAM)),
        "torch fused, no penalty": plain(model, NAME),
    }


def costs(size: int, rounds: int) -> dict[str, float]:
    """Nanoseconds an entry of each."""
    model = nn.ParameterList([nn.Parameter(torch.randn(size // 100, 100))])
    steps = contenders(model)
    seconds = turns(list(steps.values()), rounds, max(1, min(200, 1_000_000 // size)))
    medians = (statistics.median(times) for times in zip(*seconds, strict=True))
    return {label: 1e9 * median / size for label, median in zip(steps, medians, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--largest", type=int, default=10**8)
    plan = parser.parse_args()
    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    sizes = [10**power for power in range(3, round(math.log10(plan.largest)) + 1)]
    of = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    print(f"{machine()}, {of}\nNanoseconds an entry of one {NAME} step, by entries")
    found = []
    for size in sizes:
        found.append(costs(size, plan.rounds))
        if size == sizes[0]:
            print(f"{'':>10s}" + "".join(f"{label:>26s}" for label in found[0]))
        print(f"{size:>10d}" + "".join(f"{cost:26.2f}" for cost in found[-1].values()), flush=True)
    series = {label: [cost[label] for cost in found] for label in found[0]}
    PICTURE.write_text(draw(sizes, series, f"Nanoseconds an entry of one {NAME} step, {of}"))


if __name__ == "__main__":
    main()
