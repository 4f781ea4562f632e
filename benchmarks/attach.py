"""What `attach` costs: a regularized optimizer step as a ratio to torch's fused plain step.

    python benchmarks/attach.py [--rounds 15] [--threads 2]

Every ratio is the median of interleaved rounds (plain, ours, plain, ours, ...) in one process, with
its quartiles; absolute times are not comparable from run to run. Beside each way stands what people
write by hand today. Goals: proximal L1 at most 1.60 with AdamW, at most 1.45 with SGD.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

from shrinkage import L1, L2, GroupLasso
from timing import BY_HAND, LAM, MODELS, OPTIMIZERS, Step, attached, machine, plain, ratio


def contenders(model: nn.Module, name: str) -> dict[str, Step]:
    steps = {
        f"{how} {label}": attached(model, name, penalty, how)
        for how, label, penalty in (
            ("coupled", "L1", L1(LAM)),
            ("coupled", "L2", L2(LAM)),
            ("decoupled", "L1", L1(LAM)),
            ("decoupled", "L2", L2(LAM)),
            ("proximal", "L1", L1(LAM)),
            ("proximal", "L1 + L2", L1(LAM) + L2(LAM)),
            ("proximal", "group lasso", GroupLasso(LAM)),
        )
    }
    return steps | {label: make(model, name) for label, make in BY_HAND.items()}


def report(title: str, model: nn.Module, rounds: int, repeats: int) -> None:
    for name in OPTIMIZERS:
        print(f"\n{title}, {name}: ratio to the fused plain step")
        baseline = plain(model, name)
        for label, step in contenders(model, name).items():
            low, middle, high = ratio(baseline, step, rounds, repeats)
            print(f"  {label:28s} {middle:6.2f}   quartiles {low:.2f} to {high:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"{machine()}, {arguments.threads} threads")
    for title, (make, repeats) in MODELS.items():
        report(title, make(), arguments.rounds, repeats)


if __name__ == "__main__":
    main()
