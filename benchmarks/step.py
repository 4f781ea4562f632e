"""What a regularized step costs: writes one table into `benchmarks/RESULTS.md`.

    python benchmarks/step.py [--rounds 11] [--threads 1] [--quick] [--only TEXT]

Every ratio is to torch's fused step without a penalty, on the same tensors: the median of
interleaved rounds (torch, ours, torch, ours, ...) with its quartiles, in one process. Absolute
times are not comparable from run to run. `--quick` takes 3 rounds and `--only` the rows that
contain a text; both print, and leave the file alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from shrinkage import L0, L1, L2, MCP, SCAD, Box, ElasticNet, GroupLasso, LogSum, Penalty
from start import first_steps, imports
from timing import (
    BY_HAND,
    LAM,
    LR,
    MODELS,
    OPTIMIZERS,
    OURS,
    Spread,
    Step,
    attached,
    inside,
    machine,
    plain,
    prepared,
    ratio,
    renewing,
)

RESULTS = Path(__file__).with_name("RESULTS.md")
START, END = "<!-- measured -->", "<!-- /measured -->"  # a person writes what stands around these
MIXED, HUGE, TINY = MODELS

Make = Callable[[nn.Module, str], Step]


def with_penalty(
    model: nn.Module, name: str, *, penalty: Penalty | None, how: str = "proximal"
) -> Step:
    return inside(model, name, penalty, how)


def with_statistics(model: nn.Module, name: str) -> Step:
    """The step, and its sums read after it."""
    kind, options = OURS[name]
    model, optimizer = prepared(model, kind, {**options, "penalty": L1(LAM)})

    def step() -> None:
        optimizer.step()
        optimizer.statistics()  # type: ignore[attr-defined]

    return Step(renewing(model), step)


def in_bfloat16(make: Make) -> Make:
    """The same on bfloat16 weights."""
    return lambda model, name: make(model.to(torch.bfloat16), name)


def rows_of(title: str) -> Iterator[tuple[str, Make, Make]]:
    """What is measured on a model: a label, the step, and the step of torch's beside it."""

    def fused(penalty: Penalty | None, how: str = "proximal") -> Make:
        return partial(with_penalty, penalty=penalty, how=how)

    yield "torch's own step, again (noise)", plain, plain
    yield "L1", fused(L1(LAM)), plain
    if title == MIXED:
        yield "no penalty", fused(None), plain
        yield "L1, coupled", fused(L1(LAM), "coupled"), plain
        yield "L1, decoupled", fused(L1(LAM), "decoupled"), plain
        yield "L1, statistics() read after each step", with_statistics, plain
        yield "L2", fused(L2(LAM)), plain
        yield "elastic net", fused(ElasticNet(LAM)), plain
        yield "MCP", fused(MCP(LAM)), plain
        yield "SCAD", fused(SCAD(LAM)), plain
        yield "log-sum", fused(LogSum(LAM)), plain
        yield "L0", fused(L0(LAM)), plain
        yield "box", fused(Box(-1.0, 1.0)), plain
        yield "L1, bfloat16 weights", in_bfloat16(fused(L1(LAM))), in_bfloat16(plain)
    yield "group lasso on rows", fused(GroupLasso(LAM, groups="out")), plain
    if title == MIXED:
        yield "group lasso on columns", fused(GroupLasso(LAM, groups="in")), plain
    yield "L1 attached", partial(attached, penalty=L1(LAM), how="proximal"), plain
    if title != HUGE:
        for label, make in BY_HAND.items():
            yield label, make, plain


def measure(title: str, wanted: str, rounds: int) -> Iterator[tuple[str, list[Spread]]]:
    """Every row of one model whose name contains `wanted`, under each optimizer."""
    make_model, repeats = MODELS[title]
    for label, make, baseline in rows_of(title):
        if wanted in f"{title}: {label}":
            torch.manual_seed(0)
            yield (
                label,
                [
                    ratio(baseline(make_model(), name), make(make_model(), name), rounds, repeats)
                    for name in OPTIMIZERS
                ],
            )


def line(label: str, spreads: list[Spread], digits: int = 2) -> str:
    cells = [f"{s.middle:.{digits}f} ({s.low:.{digits}f} to {s.high:.{digits}f})" for s in spreads]
    return "| " + " | ".join([label, *cells]) + " |"


def table(plan: argparse.Namespace) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    yield f"| | {' | '.join(OPTIMIZERS)} |"
    yield "|---" * (1 + len(OPTIMIZERS)) + "|"
    for title in MODELS:
        rows = measure(title, plan.only, plan.rounds)
        for number, (label, spreads) in enumerate(rows):
            if number == 0:
                yield f"| **{title}** " + "| " * len(OPTIMIZERS) + "|"
            yield line(label, spreads)


def starts(rounds: int) -> Iterator[str]:
    """Seconds before anything is stepped."""
    yield "| | seconds |"
    yield "|---|---|"
    over, shown = imports(rounds)
    yield line("`import shrinkage`, over bare NumPy", [over])
    yield line("`shrinkage --help`", [shown])
    for optimizer in ("SGD", "Adam"):
        cold, warm = first_steps(optimizer, max(2, rounds // 3))
        yield line(f"first step of `{optimizer}` with L1, nothing compiled before", [cold])
        yield line(f"first step of `{optimizer}` with L1, compiled before", [warm])


def write(lines: list[str], plan: argparse.Namespace) -> None:
    """Put the tables between the marks of RESULTS.md; the text around them stays."""
    before, _, rest = RESULTS.read_text().partition(START)
    _, _, after = rest.partition(END)
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    head = (
        f"{machine()}. {threads}, {plan.rounds} interleaved rounds: median (quartiles), "
        f"lr {LR:g}, lam {LAM:g}."
    )
    body = "\n".join(lines)
    RESULTS.write_text(f"{before}{START}\n\n{head}\n\n{body}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="3 rounds; writes nothing")
    parser.add_argument("--only", default="", help="what contains this; writes nothing")
    plan = parser.parse_args()
    if plan.quick:
        plan.rounds = 3
    torch.set_num_threads(plan.threads)
    print(machine())
    lines = []
    for text in table(plan):
        print(text, flush=True)
        lines.append(text)
    if not plan.only:
        lines.append("")
        for text in starts(plan.rounds):
            print(text, flush=True)
            lines.append(text)
        if not plan.quick:
            write(lines, plan)


if __name__ == "__main__":
    main()
