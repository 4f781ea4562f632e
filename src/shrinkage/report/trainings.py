"""The page of networks from scratch: what each penalty made of the same training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.report.epochs import (
    accuracy_caption,
    accuracy_figure,
    losses_caption,
    losses_figure,
    losses_note,
    parts_key,
    reach_of,
)
from shrinkage.report.looks import Figure, Look, looks
from shrinkage.report.page import render
from shrinkage.report.regions import MOST_POINTS, class_points, region_figure
from shrinkage.report.sections import class_key, figure, legend, method_plot, side_by_side
from shrinkage.report.table import column_head, method_head, number_cell, sortable
from shrinkage.report.text import escaped, shown_score
from shrinkage.study.files import write_whole
from shrinkage.study.records import Surface
from shrinkage.study.wording import count

if TYPE_CHECKING:
    from shrinkage.scratch.demonstration import Outcome

IN_A_ROW = {1: 1, 2: 2, 4: 2}  # plots, by how many there are; else 3
COLUMNS = (
    ("Penalty", "text"),
    ("Train accuracy", "number"),
    ("Validation accuracy", "number"),
    ("Validation loss", "number"),
    ("Exact zeros", "number"),
    ("Silent units", "number"),
)
REMARK = (
    "After the last step; the validation points took no part in training. Exact zeros are counted "
    "among the weights and biases that a penalty is on, or would be. A silent unit puts out the "
    "same for every input. One run each: small differences may be chance."
)


def write_trainings(
    outcomes: Sequence[Outcome],
    path: Path,
    *,
    points: tuple[ArrayLike, ArrayLike],
    title: str = "Networks from scratch",
    failures: Sequence[str] = (),
) -> None:
    """Write a page that shows what became of each penalty, side by side.

    Parameters
    ----------
    outcomes : sequence of Outcome
        What `shrinkage.scratch.demonstration.train` gave for each penalty; up to about six.
    path : Path
        The page opens offline. It appears whole or not at all.
    points : (X, y)
        The training data: two features, shape (samples, 2), and class indices, shape (samples,).
    title : str
    failures : sequence of str
        A sentence for each training that is not among the outcomes, and why.

    Raises
    ------
    ValueError
        For no outcomes, and for points of other shapes.
    """
    X, y = _points(*points)
    if not outcomes:
        raise ValueError("outcomes must hold at least one training")
    named = _named(outcomes)
    own_looks = looks(list(named))
    regions, regions_html = _regions(named, own_looks, X, y)
    curves, curves_html = _curves(named, own_looks)
    body = (
        f'<header><h1>{_heading(title)}</h1>\n<p class="facts">{escaped(_facts(outcomes, y))}</p>'
        f'</header>\n<p class="verdict">{escaped(_verdict(named))}</p>\n'
        f'{_table(named, own_looks)}\n{_failed(failures)}<section class="figures">\n'
        f"{legend(own_looks) if len(named) > 1 else ''}{regions_html}\n{curves_html}\n</section>"
    )
    shared = {"points": class_points(X[:, 0], X[:, 1], y, _class_names(named, y))}
    write_whole(Path(path), render(title, body, [*regions, *curves], shared))


def _points(X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    features, classes = np.asarray(X, dtype=float), np.asarray(y)
    if features.ndim != 2 or features.shape[1] != 2 or classes.shape != features.shape[:1]:
        raise ValueError(
            "points must be (X, y) of shapes (samples, 2) and (samples,), "
            f"got {features.shape} and {classes.shape}"
        )
    return features, classes


def _named(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """The outcomes by name; one that comes again is told apart by a number."""
    named: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = sum(other.name == outcome.name for other in named.values())
        named[f"{outcome.name} ({before + 1})" if before else outcome.name] = outcome
    return named


def _class_names(named: Mapping[str, Outcome], y: np.ndarray) -> list[str]:
    highest = max(int(np.max(classes)) for classes in [y, *(o.plane[2] for o in named.values())])
    return [f"class {index}" for index in range(highest + 1)]


def _heading(title: str) -> str:
    """The title, with its parts (those between semicolons) on one line where they fit."""
    parts = [f'<span class="item">{escaped(part)}' for part in title.split("; ")]
    return ";</span> ".join(parts) + "</span>"


def _facts(outcomes: Sequence[Outcome], y: np.ndarray) -> str:
    epochs = sorted({len(outcome.history["loss"]) for outcome in outcomes})
    units = sorted({outcome.units for outcome in outcomes})
    held_out = outcomes[0].held_out
    facts = [count(len(y), "training point"), f"{held_out:,} for validation"]
    facts += [f"{len(np.unique(y))} classes"]
    facts += [f"{epochs[0]:,} to {epochs[-1]:,} epochs"] if epochs[1:] else []
    facts += [count(epochs[0], "epoch")] if len(epochs) == 1 else []
    facts += [count(units[0], "hidden unit")] if len(units) == 1 else []
    return " · ".join(facts)


def _verdict(named: Mapping[str, Outcome]) -> str:
    """What validation says, in a sentence."""
    scores = {name: outcome.validation["accuracy"] for name, outcome in named.items()}
    best = shown_score(max(scores.values()))  # what reads the same is the same
    leaders = [name for name, score in scores.items() if shown_score(score) == best]
    if len(scores) == 1:
        train = shown_score(next(iter(named.values())).train["accuracy"])
        return f"Accuracy {train} on the points it was trained on, {best} on others."
    if len(leaders) == len(scores):
        return f"The validation accuracy is the same for all: {best}."
    which = " and ".join("without a penalty" if n == "none" else f"with {n}" for n in leaders)
    rest = ""
    if "none" in scores and "none" not in leaders:
        rest = f", against {shown_score(scores['none'])} without a penalty"
    return f"The validation accuracy is highest {which}: {best}{rest}."


def _table(named: Mapping[str, Outcome], own_looks: Mapping[str, Look]) -> str:
    heads = "".join(column_head(name, kind) for name, kind in COLUMNS)
    rows = "\n".join(_row(name, outcome, own_looks[name]) for name, outcome in named.items())
    return sortable("Outcomes", heads, rows, REMARK)


def _failed(failures: Sequence[str]) -> str:
    return "".join(f'<p class="remark">{escaped(failure)}</p>\n' for failure in failures)


def _row(name: str, outcome: Outcome, look: Look) -> str:
    scores = (
        outcome.train["accuracy"],
        outcome.validation["accuracy"],
        outcome.validation["data_loss"],
    )
    parts = ((outcome.zeros, outcome.weights), (outcome.silent, outcome.units))
    cells = [method_head(name, look), *(number_cell(score, shown_score(score)) for score in scores)]
    cells += [
        number_cell(part, f'{part}<span class="of"> of {whole}</span>') for part, whole in parts
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _regions(
    named: Mapping[str, Outcome], own_looks: Mapping[str, Look], X: np.ndarray, y: np.ndarray
) -> tuple[list[Figure], str]:
    """What each network predicts over the plane: the figures, and the HTML that holds them."""
    drawn = [
        region_figure(name, Surface(*outcome.plane), ["x", "y"]) for name, outcome in named.items()
    ]
    plots = [
        method_plot(panel, name, own_looks[name], note=_validation(named[name]))
        for name, panel in zip(named, drawn, strict=True)
    ]
    return drawn, side_by_side(
        "Decision regions",
        _points_caption(len(X), len(named)),
        plots,
        key=class_key(_class_names(named, y)),
        shape="square",
        columns=max(2, IN_A_ROW.get(len(named), 3)),
    )


def _curves(
    named: Mapping[str, Outcome], own_looks: Mapping[str, Look]
) -> tuple[list[Figure], str]:
    """How each network got there: the figures, and the HTML that holds them."""
    reach = reach_of(list(named.values()))
    drawn = [losses_figure(name, named[name], own_looks[name], reach) for name in named]
    plots = [
        method_plot(panel, name, own_looks[name], note=losses_note(named[name], reach))
        for name, panel in zip(named, drawn, strict=True)
    ]
    losses = side_by_side(
        "Losses over training",
        losses_caption(list(named.values()), reach),
        plots,
        key=parts_key(),
        shape="wide",
        columns=IN_A_ROW.get(len(named), 3),
    )
    accuracy = figure(
        "accuracy",
        "Accuracy over training",
        accuracy_caption(list(named.values())),
        "training accuracy",
    )
    return [*drawn, accuracy_figure(named, own_looks)], f"{losses}\n{accuracy}"


def _points_caption(samples: int, outcomes: int) -> str:
    network = "each network" if outcomes > 1 else "the network"
    shown = f"{MOST_POINTS} of the {samples:,}" if samples > MOST_POINTS else "the"
    return f"What {network} predicts over the plane, with {shown} training points in front."


def _validation(outcome: Outcome) -> str:
    return f"validation accuracy {shown_score(outcome.validation['accuracy'])}"
