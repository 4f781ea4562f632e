"""Accuracy at a wanted share of zeros: this library against pruning, on small tasks.

In a table every method trains the same network for the same number of steps with Adam and a cosine.
The learning rate of each, and between which parts of the training its zeros are made, are those
with the best accuracy on validation data over seeds of their own, at one share; the seeds of the
table then run with these. No choice sees the test part. `--only "MLP entries"` makes one table.

    python benchmarks/sparsity.py --write    # benchmarks/RESULTS-sparsity.md
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune

from shrinkage import L0, L1, GroupL0, GroupLasso, Penalty
from shrinkage.torch import Regularizer
from sparsity_tasks import TASKS, Pair, Task, layers_of

RESULTS = Path(__file__).with_name("RESULTS-sparsity.md")
SHARES = {"entries": (0.8, 0.9, 0.95, 0.98, 0.99), "channels": (0.5, 0.75)}
CHOSEN_AT = {"entries": 0.95, "channels": 0.75}
CHOOSING_SEEDS = (100, 101)
LEARNING_RATES = (0.01, 0.003, 0.02)
RAMPS = ((1 / 6, 1 / 2), (0.0, 1 / 2), (1 / 6, 2 / 3))
AT_ONCE = ((1 / 2, 1 / 2), (1 / 3, 1 / 3), (2 / 3, 2 / 3))
RECOMMENDED = {"entries": "L0 with a target", "channels": "GroupL0 over all"}
TABLES = [f"{name} {units}" for name in TASKS for units in SHARES]
INTRODUCTION = """# Zeros that are asked for

Test accuracy in percent, mean and standard error over seeds (networks and splits; the test part is
the same). In a table all methods train for the same number of steps, and hold their zeros to the
end. The learning rate of each, and between which parts of the training its zeros are made, stand in
the last column: they were chosen on validation data, with seeds of their own.
"""
After = Callable[[int], None]  # what comes after a step


@dataclass(frozen=True)
class Setting:
    """What is chosen: the learning rate, and the parts of the training where zeros are made."""

    lr: float
    first: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Run:
    """One training, as a method sees it."""

    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    share: float
    setting: Setting


Begin = Callable[[Run], After]
SetSmallest = Callable[[Task, nn.Module, float], None]  # sets this share of all units to zero


@dataclass(frozen=True)
class Method:
    begin: Begin
    ramps: Sequence[tuple[float, float]]


def set_smallest_entries(task: Task, model: nn.Module, share: float) -> None:
    layers = layers_of(model).values()
    sizes = torch.cat([layer.weight.detach().abs().flatten() for layer in layers])
    count = round(share * len(sizes))
    if count:
        threshold = sizes.kthvalue(count).values
        for layer in layers:
            layer.weight.data[layer.weight.abs() <= threshold] = 0.0


def set_smallest_channels(task: Task, model: nn.Module, share: float) -> None:
    """Those of the least root mean square over all hidden layers; a tenth of each stays."""
    layers = task.hidden(model).values()
    norms = [layer.weight.detach().flatten(1).square().mean(1).sqrt() for layer in layers]
    for norm in norms:
        norm[norm.topk(math.ceil(len(norm) / 10)).indices] = math.inf
    count = round(share * sum(map(len, norms)))
    if count:
        threshold = torch.cat(norms).kthvalue(count).values
        for layer, norm in zip(layers, norms, strict=True):
            set_dead(layer, norm <= threshold)


def set_smallest_of_each_layer(task: Task, model: nn.Module, share: float) -> None:
    """By torch's own: the same share of channels in each layer, by their norm."""
    for layer in task.hidden(model).values():
        prune.ln_structured(layer, "weight", amount=share, n=2, dim=0)
        dead = (layer.weight_mask.flatten(1) == 0).all(1)
        prune.remove(layer, "weight")
        set_dead(layer, dead)


def set_dead(layer: nn.Module, dead: torch.Tensor) -> None:
    layer.weight.data[dead] = 0.0
    layer.bias.data[dead] = 0.0


def pruned(set_smallest: SetSmallest, run: Run) -> After:
    """Pruning on a cubic ramp, which is held from its end on; at once where it has no length."""
    zeros: dict[nn.Parameter, torch.Tensor] = {}
    first, last = run.setting.first * run.steps, run.setting.last * run.steps

    def after(step: int) -> None:
        if step < first:
            return
        part = min((step - first) / (last - first), 1.0) if step < last else 1.0
        if part < 1.0 or not zeros:
            set_smallest(run.task, run.model, run.share * (1 - (1 - part) ** 3))
        if part == 1.0 and not zeros:
            zeros.update({w: w.detach() == 0 for w in run.model.parameters()})
        for w, where in zeros.items():
            w.data[where] = 0.0

    return after


def led(penalty: Penalty, by_layer: bool, run: Run) -> After:
    """This library: `attach` with a target."""
    is_of_channels = isinstance(penalty, GroupL0 | GroupLasso)
    layers = run.task.hidden(run.model) if is_of_channels else layers_of(run.model)
    weights = [f"{name}.weight" for name in layers]
    Regularizer(run.model, dict.fromkeys(weights, penalty)).attach(
        run.optimizer,
        how="proximal",
        target=dict.fromkeys(weights, run.share) if by_layer else run.share,
        target_start=round(run.setting.first * run.steps),
        target_steps=round((run.setting.last - run.setting.first) * run.steps),
    )
    return lambda step: None


def dense(run: Run) -> After:
    return lambda step: None


METHODS = {
    "entries": {
        "dense": Method(dense, [(0.0, 0.0)]),
        "magnitude, at once": Method(partial(pruned, set_smallest_entries), AT_ONCE),
        "magnitude, gradual": Method(partial(pruned, set_smallest_entries), RAMPS),
        "L0 with a target": Method(partial(led, L0(1.0), False), RAMPS),
        "L1 with a target": Method(partial(led, L1(1e-3), False), RAMPS),
    },
    "channels": {
        "dense": Method(dense, [(0.0, 0.0)]),
        "ln_structured, at once": Method(partial(pruned, set_smallest_of_each_layer), AT_ONCE),
        "ln_structured, gradual": Method(partial(pruned, set_smallest_of_each_layer), RAMPS),
        "magnitude over all, gradual": Method(partial(pruned, set_smallest_channels), RAMPS),
        "GroupL0 over all": Method(partial(led, GroupL0(1.0), False), RAMPS),
        "GroupL0 by layer": Method(partial(led, GroupL0(1.0), True), RAMPS),
        "GroupLasso by layer": Method(partial(led, GroupLasso(1e-3), True), RAMPS),
    },
}


def train(task: Task, method: Method, share: float, setting: Setting, seed: int) -> nn.Module:
    (x, y), _, _ = task.split(seed)
    torch.manual_seed(seed)
    model = task.make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=setting.lr, fused=True)
    steps = task.epochs * (len(x) // task.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    after = method.begin(Run(task, model, optimizer, steps, share, setting))
    for step in range(steps):
        place = step % (len(x) // task.batch)
        if place == 0:
            batches = torch.randperm(len(x)).split(task.batch)
        rows = batches[place]
        optimizer.zero_grad()
        scores, labels = model(x[rows]).flatten(0, -2), y[rows].flatten()
        nn.functional.cross_entropy(scores, labels, ignore_index=-1).backward()
        optimizer.step()
        after(step + 1)
        schedule.step()
    return model


def measure_accuracy(model: nn.Module, part: Pair) -> float:
    x, y = part
    with torch.no_grad():
        is_right = model(x).argmax(-1) == y
    return float(is_right[y >= 0].float().mean())


def choose(task: Task, method: Method, share: float) -> Setting:
    """The ramp that is best on validation data at the first learning rate; then the rate."""

    def score(setting: Setting) -> float:
        return statistics.mean(
            measure_accuracy(train(task, method, share, setting, seed), task.split(seed)[1])
            for seed in CHOOSING_SEEDS
        )

    first = [Setting(LEARNING_RATES[0], *ramp) for ramp in method.ramps]
    scores = {setting: score(setting) for setting in first}
    best = max(scores, key=scores.__getitem__)
    for lr in LEARNING_RATES[1:]:
        setting = Setting(lr, best.first, best.last)
        scores[setting] = score(setting)
    return max(scores, key=scores.__getitem__)


def describe(setting: Setting) -> str:
    if setting.last == 0.0:
        return f"lr {setting.lr:g}"
    parts = [f"{part:.2f}" for part in dict.fromkeys((setting.first, setting.last))]
    return f"lr {setting.lr:g}, {' to '.join(parts)}"


def make_table(title: str, seeds: int, *, brief: bool) -> str:
    """Choose and measure: a row for each method, a column for each share."""
    name, units = title.split()
    task, shares, ours = TASKS[name], SHARES[units], RECOMMENDED[units]
    rows = [
        f"| share of {units} | " + " | ".join(f"{share:.0%}" for share in shares) + " | chosen |",
        "|---" * (len(shares) + 2) + "|",
    ]
    for label, method in METHODS[units].items():
        if brief and not (label in ("dense", ours) or label.endswith("gradual")):
            continue
        setting = choose(task, method, CHOSEN_AT[units])
        cells = []
        for share in shares[:1] if label == "dense" else shares:
            models = [train(task, method, share, setting, seed) for seed in range(seeds)]
            scores = [100 * measure_accuracy(model, task.load()[1]) for model in models]
            error = statistics.stdev(scores) / seeds**0.5 if seeds > 1 else 0.0
            cells.append(f"{statistics.mean(scores):.1f} ± {error:.1f}")
        cells += cells * (len(shares) - 1) if label == "dense" else []
        rows.append(f"| {label} | {' | '.join(cells)} | {describe(setting)} |")
        print(f"{title}: {rows[-1]}", flush=True)
    return "\n".join([*rows, compare(rows[2:], ours)])


def compare(rows: Sequence[str], recommended: str) -> str:
    """A last row: the recommended method against the best pruning, from the numbers as written."""
    numbers = {}
    for row in rows:
        label, *cells, _ = row.strip("| ").split(" | ")
        numbers[label] = [tuple(map(float, cell.split(" ± "))) for cell in cells]
    pruning = [numbers[label] for label in numbers if label.endswith(("at once", "gradual"))]
    texts = []
    for (mean, error), *others in zip(numbers[recommended], *pruning, strict=True):
        best, its_error = max(others)
        difference, both = mean - best, math.hypot(error, its_error)
        place = "level" if abs(difference) <= both else "ahead" if difference > 0 else "behind"
        texts.append(f"{place}, {difference:+.1f} ± {both:.1f}")
    return f"| {recommended}, against the best pruning | {' | '.join(texts)} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=TABLES, choices=TABLES, metavar="TABLE")
    parser.add_argument("--brief", action="store_true", help="gradual pruning and what is advised")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "target:")  # that a layer keeps its floor, a gap is filled
    for title in options.only:
        start = time.perf_counter()
        text = make_table(title, options.seeds, brief=options.brief)
        if options.write:
            minutes = (time.perf_counter() - start) / 60
            flags = f"--write{' --brief' * options.brief} --seeds {options.seeds}"
            command = f'`python benchmarks/sparsity.py {flags} --only "{title}"`'
            write_section(title, f"{command}, {minutes:.0f} minutes.\n\n{text}")


def write_section(title: str, text: str) -> None:
    """Put a table into the results, in place of the one of that title."""
    written = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else INTRODUCTION
    sections = dict(section.split("\n", 1) for section in written.split("\n## ")[1:])
    sections[title] = f"\n{text}\n"
    parts = [f"{title}\n{sections[title].rstrip()}\n" for title in TABLES if title in sections]
    RESULTS.write_text("\n## ".join([INTRODUCTION, *parts]), encoding="utf-8")


if __name__ == "__main__":
    main()
