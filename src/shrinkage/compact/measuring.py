"""What a model costs: multiplications and seconds of one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shrinkage.compact.graph import without_fast_path
from shrinkage.compact.verification import Sample, run


def count_multiplications(model: nn.Module, sample: Sample) -> int:
    """Multiplications of one call: half of the floating point operations that torch counts."""
    with without_fast_path(), FlopCounterMode(display=False) as counter:
        run(model, sample)
    return int(counter.get_total_flops()) // 2


def time_calls(
    models: tuple[nn.Module, nn.Module], sample: Sample, rounds: int = 100, at_most: float = 1.0
) -> tuple[float, float]:
    """Median seconds of one call of two models, in turn, after a call of each to warm up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + at_most
    for number in range(rounds + 1):
        for model, taken in zip(models, seconds, strict=True):
            elapsed = time_once(lambda model=model: run(model, sample))  # type: ignore[misc]
            if number:
                taken.append(elapsed)
        if number > 4 and time.perf_counter() > end:
            break
    return median(seconds[0]), median(seconds[1])


def time_once(call: Callable[[], list[Tensor] | Tensor]) -> float:
    """Seconds of one call; on a GPU until it is done."""
    _wait()
    start = time.perf_counter()
    call()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
