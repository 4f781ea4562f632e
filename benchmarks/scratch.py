"""How fast a network from scratch trains: against a tutorial's loop, and against eager PyTorch.

    python benchmarks/scratch.py [--rounds 15] [--epochs 200] [--threads 1]

All do the same work an epoch, full batch: forward, data loss, L2 on the first layer's weights and
biases, accuracy, backward, Adam with a decaying learning rate. Each runs in a process of its own,
as people run them, with so many threads for BLAS and torch. "ours" is `Network.fit` in a long
training, by compiled loops in one thread; "layers" is the same without Numba. Every figure is the
median, with quartiles, of interleaved rounds (tutorial, ours, torch, tutorial, ...); absolute times
are not comparable from run to run. Goals: the layers are as fast as the tutorial's loop, and the
compiled loops at least 4 times in float64, at least 6 times in float32, and ahead of torch in both.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from numpy.typing import NDArray

from shrinkage import L2
from shrinkage.scratch import (
    Adam,
    Dense,
    Network,
    ReLU,
    SoftmaxCategoricalCrossEntropy,
    spiral,
    training,
)
from tutorial import tutorial_loop

LAM, LR, DECAY = 5e-4, 0.05, 5e-7
REST = 0.1  # seconds between turns, in which the threads of the one before stop waiting for work
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings that are meant for old processors
Run = Callable[[int], object]  # so many epochs
Points = tuple[NDArray[np.float64], NDArray[np.int64]]


def ours(points: Points, widths: Sequence[int], dtype: str, least_work: float) -> Run:
    """`Network.fit`, compiled from that work on."""
    training.LEAST_WORK = least_work
    rng, layers = np.random.default_rng(0), []
    for number, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        penalty = L2(LAM) if number == 0 else None
        layers += [
            Dense(n_in, n_out, weight_penalty=penalty, bias_penalty=penalty, dtype=dtype, rng=rng),
            ReLU(),
        ]
    network = Network(layers[:-1], loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam(LR, DECAY))
    return lambda epochs: network.fit(*points, epochs=epochs)


def eager_torch(points: Points, widths: Sequence[int], dtype: str) -> Run:
    """The loop that PyTorch's tutorials show, with the fused Adam."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out, dtype=kind), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    X, y = torch.tensor(points[0], dtype=kind), torch.tensor(points[1])
    criterion, first = nn.CrossEntropyLoss(), model[0]
    done = 0

    def run(epochs: int) -> object:
        nonlocal done
        history = []
        for _ in range(epochs):
            optimizer.zero_grad()
            output = model(X)
            data_loss = criterion(output, y)
            penalty = LAM * (first.weight**2).sum() + LAM * (first.bias**2).sum()
            loss = data_loss + penalty
            accuracy = (output.argmax(dim=1) == y).float().mean()
            loss.backward()
            optimizer.param_groups[0]["lr"] = LR / (1 + DECAY * done)
            optimizer.step()
            history.append((accuracy.item(), loss.item(), data_loss.item(), penalty.item()))
            done += 1
        return history

    return run


def work(name: str, samples: int, widths: Sequence[int], threads: int) -> None:
    """In a process of its own: train for as many epochs as each line says, and say how long."""
    points = spiral(samples, 3)
    who, _, dtype = name.partition(" ")
    if who == "torch":
        import torch

        torch.set_num_threads(threads)
        run = eager_torch(points, widths, dtype)
    elif who == "tutorial":
        run = tutorial_loop(*points, widths)
    else:
        run = ours(points, widths, dtype, math.inf if who == "layers" else 0.0)
    for line in sys.stdin:
        start = time.perf_counter()
        run(int(line))
        print(time.perf_counter() - start, flush=True)


@contextmanager
def worker(
    name: str, samples: int, widths: Sequence[int], threads: int
) -> Iterator[Callable[[int], float]]:
    """A function of a number of epochs, which another process trains for: the seconds it took."""
    given = [name, str(samples), ",".join(map(str, widths)), str(threads)]
    environment = {key: value for key, value in os.environ.items() if key not in SLOWING}
    environment["OPENBLAS_NUM_THREADS"] = str(threads)
    with subprocess.Popen(
        [sys.executable, __file__, "--work", *given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def timed(epochs: int) -> float:
            print(epochs, file=process.stdin, flush=True)
            return float(process.stdout.readline())

        yield timed
        process.stdin.close()


def interleaved(
    names: Sequence[str], samples: int, widths: Sequence[int], plan: argparse.Namespace
) -> dict[str, list[float]]:
    """The seconds of each in each round, in turn; two rounds before warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(worker(name, samples, widths, plan.threads)) for name in names
        }
        for number in range(plan.rounds + 2):
            for name, run in runs.items():
                time.sleep(REST)
                taken = run(plan.epochs)
                if number >= 2:
                    seconds[name].append(taken)
    return seconds


def ratios(slow: Sequence[float], fast: Sequence[float]) -> str:
    """How many times as fast, by round: the median and its quartiles."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(slow, fast, strict=True)], n=4)
    return f"{middle:6.2f}  ({low:.2f} to {high:.2f})"


NAMES = (
    *("tutorial float64", "layers float64", "ours float64", "torch float64"),
    *("layers float32", "ours float32", "torch float32"),
)


def document(plan: argparse.Namespace) -> None:
    """3 × 1000 points, 2-64-3: the network of the tutorial."""
    seconds = interleaved(NAMES, 1000, (2, 64, 3), plan)
    print("\n3 x 1000 points, 2-64-3: times as fast, median (quartiles)")
    print(f"  {'':18s}{'than the tutorial':28s}than torch in the same type")
    for name in NAMES[1:]:
        than_torch = ratios(seconds[f"torch {name.split()[1]}"], seconds[name])
        print(f"  {name:18s}{ratios(seconds[NAMES[0]], seconds[name]):28s}{than_torch}")


def growth(plan: argparse.Namespace) -> None:
    """How the cost of an epoch grows with points, width and depth."""
    cases = [(samples, (2, 64, 3)) for samples in (100, 300, 1000, 3000, 10_000)]
    cases += [(1000, (2, width, 3)) for width in (16, 256, 1024)]
    cases += [(1000, (2, *(64,) * depth, 3)) for depth in (2, 3, 4)]
    print("\nTimes as fast as the tutorial in float64, by points, width and depth (medians)")
    print(f"  {'points':>8s}  {'network':18s}{'microseconds':>14s}", end="")
    print("".join(f"{name:>16s}" for name in NAMES[1:]))
    epochs = plan.epochs
    for samples, widths in cases:
        plan.epochs = max(10, epochs * 1000 // samples)
        seconds = interleaved(NAMES, samples, widths, plan)
        slow = seconds[NAMES[0]]
        cost = 1e6 * statistics.median(seconds["ours float64"]) / plan.epochs
        print(f"  {3 * samples:8d}  {'-'.join(map(str, widths)):18s}{cost:14.0f}", end="")
        for name in NAMES[1:]:
            faster = [one / other for one, other in zip(slow, seconds[name], strict=True)]
            print(f"{statistics.median(faster):16.2f}", end="")
        print(flush=True)
    print("  (microseconds: an epoch of ours in float64, in this run alone)")


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        name, samples, widths, threads = sys.argv[2:]
        work(name, int(samples), [int(width) for width in widths.split(",")], int(threads))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=200, help="in each turn of a round")
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and of torch")
    plan = parser.parse_args()
    print(f"{platform.machine()}, NumPy {np.__version__}, BLAS and torch: {plan.threads} threads")
    document(plan)
    plan.rounds, plan.epochs = max(3, plan.rounds // 4), max(10, plan.epochs // 2)
    growth(plan)


if __name__ == "__main__":
    main()
