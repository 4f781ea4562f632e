"""What a step with the penalty inside costs, against its goals: writes `benchmarks/RESULTS.md`.

    python benchmarks/step.py [--rounds 25] [--threads 1 2] [--quick] [--only TEXT]

Every ratio is to torch's fused step without a penalty, on the same tensors: the median of
interleaved rounds (torch, ours, torch, ours, ...) with its quartiles, all of one number of threads
in one process. Absolute times are not comparable from run to run. `--quick` takes 3 rounds and
`--only` the settings and rows that contain a text; both print, and leave the file alone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupLasso,
    LogSum,
    NonNegative,
    Penalty,
)
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
SHORTFALLS = "## Shortfalls"  # what a person writes: kept from here on
HOWS = "proximal", "coupled", "decoupled"
ENTRYWISE: dict[str, Penalty] = {
    "L1": L1(LAM),
    "L2": L2(LAM),
    "elastic net": ElasticNet(LAM),
    "MCP": MCP(LAM),
    "SCAD": SCAD(LAM),
    "capped L1": CappedL1(LAM, theta=0.1),
    "log-sum": LogSum(LAM),
    "L0": L0(LAM),
    "box": Box(-1.0, 1.0),
    "non-negative": NonNegative(),
}
ATTACHED = {"SGD momentum": 1.45, "AdamW": 1.6}
TINY = "5 tensors of 100 entries"

Make = Callable[[nn.Module, str], Step]


@dataclass(frozen=True)
class Case:
    """A step to be held against torch's, with the ratio that it should not exceed."""

    label: str
    make: Make
    goal: float | None
    baseline: Make = plain


@dataclass(frozen=True)
class Row:
    """What came of a case."""

    label: str
    measured: Spread
    goal: float | None

    @property
    def outcome(self) -> str:
        if self.goal is None:
            return ""
        return "met" if self.measured.middle <= self.goal else "**missed**"

    def __str__(self) -> str:
        low, middle, high = self.measured
        goal = "" if self.goal is None else f"≤ {self.goal:.2f}"
        return (
            f"| {self.label} | {middle:.2f} | {low:.2f} to {high:.2f} | {goal} | {self.outcome} |"
        )


def with_penalty(model: nn.Module, name: str, *, penalty: Penalty | None, how: str) -> Step:
    return inside(model, name, penalty, how)


def with_statistics(model: nn.Module, name: str) -> Step:
    """The step, and its sums read after it."""
    kind, options = OURS[name]
    model, optimizer = prepared(model, kind, {**options, "penalty": L1(LAM)})

    def step() -> None:
        optimizer.step()
        optimizer.statistics()  # type: ignore[attr-defined]

    return Step(renewing(model), step)


def halved(make: Make) -> Make:
    """The same on bfloat16 weights."""
    return lambda model, name: make(model.to(torch.bfloat16), name)


def torch_sgd(model: nn.Module, name: str) -> Step:
    """torch's fused SGD, whatever the optimizer beside it."""
    return plain(model, "SGD momentum")


def cases(name: str) -> Iterator[Case]:
    """All that is measured on large models."""
    yield Case("torch's own step, again (noise)", plain, None)
    yield Case("no penalty", partial(with_penalty, penalty=None, how="proximal"), 1.0)
    for how in HOWS:
        for label, penalty in ENTRYWISE.items():
            reason = penalty.why_no_prox() if how == "proximal" else penalty.why_no_gradient()
            if reason is None:
                make = partial(with_penalty, penalty=penalty, how=how)
                yield Case(f"{label}, {how}", make, 1.0)
    yield Case("L1, proximal, statistics() read after each step", with_statistics, 1.0)
    for how in HOWS:
        make = partial(with_penalty, penalty=GroupLasso(LAM, groups="out"), how=how)
        yield Case(f"group lasso on rows, {how}", make, 1.05)
    columns = partial(with_penalty, penalty=GroupLasso(LAM, groups="in"), how="proximal")
    yield Case("group lasso on columns, proximal", columns, 1.4)
    half = halved(partial(with_penalty, penalty=L1(LAM), how="proximal"))
    yield Case("L1, proximal, bfloat16 weights", half, 1.1, halved(plain))
    yield Case(
        "L1 attached to torch's optimizer, proximal",
        partial(attached, penalty=L1(LAM), how="proximal"),
        ATTACHED[name],
    )
    for label, make in BY_HAND.items():
        yield Case(label, make, None)


def tiny_cases() -> Iterator[Case]:
    """What is measured on a tiny model, against torch's SGD."""
    yield Case("torch's own step of this optimizer", plain, None, torch_sgd)
    for how in HOWS:
        make = partial(with_penalty, penalty=L1(LAM), how=how)
        yield Case(f"L1, {how}", make, 0.5, torch_sgd)
    rows = partial(with_penalty, penalty=GroupLasso(LAM), how="proximal")
    yield Case("group lasso on rows, proximal", rows, 0.5, torch_sgd)
    yield Case("L1, proximal, statistics() read after each step", with_statistics, None, torch_sgd)
    make = partial(attached, penalty=L1(LAM), how="proximal")
    yield Case("L1 attached to torch's optimizer, proximal", make, None, torch_sgd)
    for label, by_hand in BY_HAND.items():
        yield Case(label, by_hand, None, torch_sgd)


def measured(title: str, name: str, wanted: str, rounds: int) -> list[Row]:
    """Every case of one model and optimizer whose names contain `wanted`."""
    torch.manual_seed(0)
    make_model, repeats = MODELS[title]
    rows = []
    for case in tiny_cases() if title == TINY else cases(name):
        if wanted in f"{title}, {name}: {case.label}":
            baseline = case.baseline(make_model(), name)
            found = ratio(baseline, case.make(make_model(), name), rounds, repeats)
            rows.append(Row(case.label, found, case.goal))
    return rows


def table(title: str, rows: list[Row]) -> str:
    head = "| | ratio | quartiles | goal | |\n|---|---|---|---|---|\n"
    return f"### {title}\n\n{head}" + "\n".join(map(str, rows)) + "\n"


def starts(rounds: int) -> str:
    """Seconds before anything is stepped."""
    over, shown = imports(rounds)
    rows = [
        Row("`import shrinkage`, over bare NumPy", over, 0.1),
        Row("`shrinkage --help`", shown, 0.4),
    ]
    for optimizer in ("SGD", "Adam"):
        cold, warm = first_steps(optimizer, max(2, rounds // 5))
        rows.append(Row(f"first step of `{optimizer}` with L1, nothing compiled yet", cold, None))
        rows.append(Row(f"first step of `{optimizer}` with L1, compiled before", warm, None))
    return table("Seconds before the second step", rows).replace("ratio", "seconds")


def sections(plan: argparse.Namespace) -> Iterator[str]:
    """The tables, one after the other as they are measured."""
    for threads in plan.threads:
        with ProcessPoolExecutor(
            1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,)
        ) as process:
            for title in MODELS:
                for name in OPTIMIZERS:
                    task = process.submit(measured, title, name, plan.only, plan.rounds)
                    if rows := task.result():
                        of = f"{threads} thread{'s' if threads > 1 else ''}"
                        yield table(f"{title}, {name}, {of}", rows)
    if plan.only in "starts":
        yield starts(plan.rounds)


def write(body: str, plan: argparse.Namespace) -> None:
    """All of it into RESULTS.md, but for the shortfalls, which stay."""
    goals = re.findall(r"\| (met|\*\*missed\*\*) \|$", body, re.MULTILINE)
    kept = RESULTS.read_text().partition(SHORTFALLS)[2] if RESULTS.exists() else "\n"
    RESULTS.write_text(
        "# What a step costs\n\n"
        f"`make bench` wrote this: {plan.rounds} interleaved rounds. {machine()}.\n\n"
        "A ratio is to torch's fused step **without** a penalty, on the same tensors (on tiny "
        "models: to that of its SGD). Ours takes the update, the penalty and the sums of "
        "`statistics()` in one pass over memory. Ratios a little under 1 on many tensors are "
        f"torch's Python, not a slower loop. lr {LR:g}, lam {LAM:g}; with the penalty on every "
        "parameter, by hand on matrices alone.\n\n"
        f"Goals met: {goals.count('met')} of {len(goals)}.\n\n"
        "![Nanoseconds an entry, from 10³ to 10⁸ entries](growth.svg)\n\n"
        f"{body}\n{SHORTFALLS}{kept}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true", help="3 rounds; writes nothing")
    parser.add_argument("--only", default="", help="what contains this; writes nothing")
    plan = parser.parse_args()
    if plan.quick:
        plan.rounds = 3
    print(machine())
    body = ""
    for section in sections(plan):
        print(f"\n{section}", end="", flush=True)
        body += f"{section}\n"
    if not (plan.quick or plan.only):
        write(body.rstrip("\n") + "\n", plan)


if __name__ == "__main__":
    main()
