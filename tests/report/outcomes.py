"""Made outcomes of networks from scratch, and the page that shows them, for tests to look into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from report.document import Document
from shrinkage.report import write_trainings
from shrinkage.scratch.demonstration import Outcome

PENALTIES = ("none", "l2:0.0005@coupled", "l1:0.0001@proximal")
POINTS = (np.random.default_rng(0).uniform(-1, 1, (60, 2)), np.arange(60) % 3)


def outcome(name: str, *, epochs: int = 50, accuracy: float = 0.9, **changes: object) -> Outcome:
    """An outcome whose losses fall as training losses do; those without a penalty have none."""
    steps = np.arange(epochs)
    fitted = 0.2 + 0.8 * np.exp(-6 * steps / epochs)
    penalty = 0.0 * steps if name.startswith("none") else 0.05 * (1 - np.exp(-9 * steps / epochs))
    side = np.linspace(-1, 1, 7)
    made = Outcome(
        name=name,
        history={
            "accuracy": list(1 - fitted / 2),
            "loss": list(fitted + penalty),
            "data_loss": list(fitted),
            "regularization_loss": list(penalty),
            "lr": [0.05] * epochs,
        },
        train={"accuracy": 0.95, "data_loss": 0.21},
        validation={"accuracy": accuracy, "data_loss": 0.34567},
        held_out=12,
        zeros=111,
        weights=192,
        silent=37,
        units=64,
        plane=(side, side, np.add.outer(range(7), range(7)) % 3),
    )
    return replace(made, **changes)


def with_spikes(made: Outcome, *, at: tuple[int, ...], height: float) -> Outcome:
    history = {key: list(values) for key, values in made.history.items()}
    for index in at:
        history["data_loss"][index] += height
        history["loss"][index] += height
    return replace(made, history=history)


def three(**changes: object) -> list[Outcome]:
    return [outcome(name, **changes) for name in PENALTIES]


def written(outcomes: list[Outcome], folder: Path, **options: object) -> Document:
    path = folder / "trainings.html"
    write_trainings(outcomes, path, **{"points": POINTS, **options})
    return Document(path.read_text(encoding="utf-8"))


def notes(document: Document) -> list[str]:
    return [text for _, text in document.find("p", **{"class": "note"})]


def lines(document: Document, figure: str) -> dict[str, dict]:
    """The lines of a figure of losses, by what a reader who hovers over them is told."""
    traces = document.figures[figure]["traces"]
    return {t["hovertemplate"].split("</b>")[0][3:]: t for t in traces if "hovertemplate" in t}
