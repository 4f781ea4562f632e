"""What comes before the first step: imports, the command's help, and compiling the loops."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from timing import Spread, spread

HELP = "from shrinkage.cli import main; main()"
FIRST_STEP = """
import sys, time, torch, shrinkage.torch
from shrinkage import L1
w = torch.nn.Parameter(torch.ones(10, 10))
w.grad = torch.ones(10, 10)
optimizer = getattr(shrinkage.torch, sys.argv[1])([w], lr=1e-3, penalty=L1(1e-6))
start = time.perf_counter()
optimizer.step()
print(time.perf_counter() - start)
"""


def seconds(code: str, *arguments: str) -> float:
    """The time a process takes to run this code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def imports(rounds: int) -> tuple[Spread, Spread]:
    """`import shrinkage` over bare NumPy, and `shrinkage --help`; the three in turn."""
    over, shown = [], []
    for number in range(rounds + 1):
        bare = seconds("import numpy")
        ours = seconds("import shrinkage")
        helped = seconds(HELP, "--help")
        if number:  # the first fills the file caches
            over.append(ours - bare)
            shown.append(helped)
    return spread(over), spread(shown)


def first_steps(optimizer: str, rounds: int) -> tuple[Spread, Spread]:
    """The seconds of a first step in a new process: nothing compiled yet, and all on disk."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for times in (cold, warm):
                done = subprocess.run(
                    [sys.executable, "-c", FIRST_STEP, optimizer],
                    env={**os.environ, "NUMBA_CACHE_DIR": folder},
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                times.append(float(done.stdout))
    return spread(cold), spread(warm)
