"""Accuracy at a wanted share of zeros: this library against pruning, on digits.

Every method trains the same network for the same number of epochs with Adam at 3e-3 and a cosine,
on the same splits. The zeros are made between a sixth and a half of the steps, and trained on to
the end; pruning at once comes at two thirds, gradual pruning between a sixth and two thirds. These
points and the gains of the steered strength were chosen earlier on the same data, with test scores
in view, which favours the rows with a target; nothing is chosen on the test part here.

    python benchmarks/sparsity.py --write    # benchmarks/RESULTS-sparsity.md
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.utils import prune

from shrinkage import L0, L1, GroupL0, GroupLasso
from shrinkage.torch import Regularizer

RESULTS = Path(__file__).with_name("RESULTS-sparsity.md")
BATCH = 64
ENTRIES = (0.8, 0.9, 0.95, 0.98, 0.99)
CHANNELS = (0.5, 0.75)
INTRODUCTION = """# Zeros that are asked for

Test accuracy in percent on scikit-learn's digits, mean and standard error over random splits. All
methods in a table train for the same number of epochs, and hold their zeros to the end. The ramp
and the gains were chosen earlier on the same data with test scores in view, which favours the rows
with a target.
"""
After = Callable[[int, int], None]  # what comes after a step, of so many
Begin = Callable[[nn.Module, torch.optim.Optimizer, int], After]
Mask = Callable[[float], None]  # sets the smallest share of all units to zero


def make_mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def make_cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


MODELS = {"MLP": make_mlp, "CNN": make_cnn}


def split(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16.0, y, test_size=0.25, random_state=seed, stratify=y)
    train, test, of_train, of_test = map(torch.tensor, parts)
    shape = (-1, 1, 8, 8)
    return train.float().view(shape), test.float().view(shape), of_train, of_test


def hidden(model: nn.Module) -> list[nn.Module]:
    """The layers whose output channels may go: all but the last one."""
    return [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]


def smallest_entries(model: nn.Module) -> Mask:
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]

    def mask(share: float) -> None:
        sizes = torch.cat([m.weight.detach().abs().flatten() for m in layers])
        count = round(share * len(sizes))
        if count:
            threshold = sizes.kthvalue(count).values
            for m in layers:
                m.weight.data[m.weight.abs() <= threshold] = 0.0

    return mask


def smallest_channels(model: nn.Module) -> Mask:
    """The channels of the least root mean square over all hidden layers; a tenth of each stays."""

    def mask(share: float) -> None:
        norms = [m.weight.detach().flatten(1).square().mean(1).sqrt() for m in hidden(model)]
        for norm in norms:
            norm[norm.topk(math.ceil(len(norm) / 10)).indices] = math.inf
        count = round(share * sum(map(len, norms)))
        if count:
            threshold = torch.cat(norms).kthvalue(count).values
            for layer, norm in zip(hidden(model), norms, strict=True):
                layer.weight.data[norm <= threshold] = 0.0
                layer.bias.data[norm <= threshold] = 0.0

    return mask


def ln_structured(model: nn.Module) -> Mask:
    """torch's own: the same share of channels in each layer, by their norm."""

    def mask(share: float) -> None:
        for layer in hidden(model):
            prune.ln_structured(layer, "weight", amount=share, n=2, dim=0)
            dead = (layer.weight_mask.flatten(1) == 0).all(1)
            prune.remove(layer, "weight")
            layer.bias.data[dead] = 0.0

    return mask


def pruned(
    make_mask: Callable[[nn.Module], Mask], share: float, first: float, last: float
) -> Begin:
    """Masks on a cubic ramp between two parts of the training, then held; at once if equal."""

    def begin(
        model: nn.Module, optimizer: torch.optim.Optimizer, steps: int
    ) -> Callable[..., None]:
        mask, zeros = make_mask(model), {}

        def after(step: int, _: int) -> None:
            p = (step - first * steps) / max((last - first) * steps, 1)
            if p < 0:
                return
            if p <= 1 or not zeros:
                mask(share * (1 - (1 - min(p, 1.0)) ** 3))
                zeros.update({w: w.detach() == 0 for w in model.parameters()})
            for w, where in zeros.items():
                w.data[where] = 0.0

        return after

    return begin


def led(penalty: object, share: float) -> Begin:
    """This library: `attach` with a target."""

    def begin(
        model: nn.Module, optimizer: torch.optim.Optimizer, steps: int
    ) -> Callable[..., None]:
        penalties = penalty
        if isinstance(penalty, GroupL0 | GroupLasso):
            penalties = dict.fromkeys(hidden(model), penalty)
        Regularizer(model, penalties).attach(
            optimizer, "proximal", target=share, target_start=steps // 6, target_steps=steps // 3
        )
        return lambda step, _: None

    return begin


def dense(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> After:
    return lambda step, _: None


def methods(share: float, *, channels: bool) -> dict[str, Begin]:
    if channels:
        return {
            "torch's ln_structured, at once": pruned(ln_structured, share, 2 / 3, 2 / 3),
            "magnitude of channels, gradual": pruned(smallest_channels, share, 1 / 6, 2 / 3),
            "GroupL0 with a target": led(GroupL0(1.0), share),
            "GroupLasso with a target": led(GroupLasso(1e-3), share),
        }
    return {
        "magnitude, at once": pruned(smallest_entries, share, 2 / 3, 2 / 3),
        "magnitude, gradual": pruned(smallest_entries, share, 1 / 6, 2 / 3),
        "L0 with a target": led(L0(1.0), share),
        "L1 with a target": led(L1(1e-3), share),
    }


def train(name: str, begin: Begin, seed: int, epochs: int) -> tuple[float, nn.Module]:
    """The accuracy on the test part, and the network."""
    x, x_test, y, y_test = split(seed)
    torch.manual_seed(seed)
    model = MODELS[name]()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    after, step = begin(model, optimizer, steps), 0
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for rows in order[: len(x) // BATCH * BATCH].view(-1, BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            step += 1
            after(step, steps)
            schedule.step()
    with torch.no_grad():
        return float((model(x_test).argmax(1) == y_test).float().mean()), model


def measure(name: str, seeds: int, epochs: int, *, channels: bool) -> dict[str, list[list[float]]]:
    """Accuracies by method: for each share one list over the seeds."""
    shares = CHANNELS if channels else ENTRIES
    table = {
        "dense": [[train(name, dense, seed, epochs)[0] for seed in range(seeds)]] * len(shares)
    }
    for share in shares:
        for method, begin in methods(share, channels=channels).items():
            scores = [train(name, begin, seed, epochs)[0] for seed in range(seeds)]
            table.setdefault(method, []).append(scores)
            mean = sum(scores) / len(scores)
            print(f"{name} {share:.0%} {method}: {100 * mean:.1f}", flush=True)
    return table


def as_table(title: str, shares: tuple[float, ...], table: dict[str, list[list[float]]]) -> str:
    head = [f"| {title} | " + " | ".join(f"{share:.0%}" for share in shares) + " |"]
    head.append("|---" * (len(shares) + 1) + "|")
    for method, cells in table.items():
        texts = []
        for scores in cells:
            values = torch.tensor(scores, dtype=torch.float64) * 100
            error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else 0.0
            texts.append(f"{float(values.mean()):.1f} ± {error:.1f}")
        head.append(f"| {method} | " + " | ".join(texts) + " |")
    return "\n".join(head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=["MLP entries", "CNN entries", "CNN channels"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for what in options.only:
        name, units = what.split()
        shares = CHANNELS if units == "channels" else ENTRIES
        start = time.perf_counter()
        table = measure(name, options.seeds, options.epochs, channels=units == "channels")
        text = as_table(f"{name}, share of {units}", shares, table)
        print(text, flush=True)
        if options.write:
            minutes = (time.perf_counter() - start) / 60
            command = (
                f'python benchmarks/sparsity.py --write --epochs {options.epochs} --only "{what}"'
            )
            said = f"Written by `{command}` in {minutes:.0f} minutes, over {options.seeds} splits."
            write_section(what, f"{said}\n\n{text}")


def write_section(title: str, text: str) -> None:
    """Put a section into the results, in place of the one of that title."""
    written = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else INTRODUCTION
    head, *sections = written.split("\n## ")
    kept = [section for section in sections if section.partition("\n")[0] != title]
    sections = sorted([*kept, f"{title}\n\n{text}\n"], reverse=True)
    RESULTS.write_text("\n## ".join([head, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()
