"""The document's run over ten seeds: median and range of every figure, beside the document's own.

    python benchmarks/spiral_seeds.py [--seeds 10]

3 × 1000 points of a spiral, 2-64-3, L2 5e-4 on the hidden layer, Adam with lr 0.05 and decay 5e-7,
10 000 epochs, validation on 3 × 100 other points. The document drew its own random numbers, so its
figures are to be matched in kind; only the learning rates are exact. The table is Markdown.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from shrinkage.scratch.demonstration import Outcome, Question, train

PENALTY = "l2:5e-4"
COLUMNS = {
    "accuracy": ".3f",
    "loss": ".3f",
    "data_loss": ".3f",
    "regularization_loss": ".3g",
    "lr": ".10f",
}
# What the document prints of these, by epoch; its output breaks off at epoch 800.
PRINTED = {
    0: ("0.333", "1.099", "1.099", "6.88e-06", "0.05"),
    100: ("0.681", "0.823", "0.780", "0.0430", "0.0499975251"),
    200: ("0.739", "0.698", "0.629", "0.0691", "0.0499950255"),
    300: ("0.772", "0.644", "0.565", "0.0794", "0.0499925261"),
    400: ("0.776", "0.649", "0.567", "0.0824", "0.0499900270"),
    500: ("0.800", "0.584", "0.501", "0.0825", "0.0499875281"),
    600: ("0.818", "0.552", "0.470", "0.0821", "0.0499850295"),
    700: ("0.832", "0.535", "0.454", "0.0812", "0.0499825311"),
    800: ("0.844", "–", "–", "–", "–"),
}
VALIDATED = {"accuracy": "0.877", "data_loss": "0.316"}


def run(seed: int) -> Outcome:
    return train(Question(seed=seed), PENALTY)


def cell(printed: str, values: Sequence[float], form: str) -> str:
    """The document's figure, then our median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if low == high:
        return f"{printed}; {middle:{form}}"
    return f"{printed}; {middle:{form}} ({low:{form}} to {high:{form}})"


def row(epoch: int, outcomes: Sequence[Outcome]) -> str:
    cells = [
        cell(printed, [outcome.history[column][epoch] for outcome in outcomes], form)
        for (column, form), printed in zip(COLUMNS.items(), PRINTED[epoch], strict=True)
    ]
    return f"| {epoch} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(run, range(seeds)))
    print(f"Each cell: the document's figure; the median of {seeds} seeds (their range)\n")
    print(f"| epoch | {' | '.join(column.replace('_', ' ') for column in COLUMNS)} |")
    print(f"|---|{'---|' * len(COLUMNS)}")
    for epoch in PRINTED:
        print(row(epoch, outcomes))
    validated = [
        cell(printed, [outcome.validation[column] for outcome in outcomes], ".3f")
        for column, printed in VALIDATED.items()
    ]
    print(f"| validation | {validated[0]} | – | {validated[1]} | – | – |")


if __name__ == "__main__":
    main()
