"""The page of networks from scratch: the same training under each penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.figures.style import Figure, Style, assign_styles
from shrinkage.report.decision_regions import MOST_POINTS, draw_class_points, draw_regions
from shrinkage.report.epoch_curves import (
    caption_accuracy,
    caption_losses,
    describe_losses,
    draw_accuracy,
    draw_losses,
    find_axis_ends,
    render_parts_key,
)
from shrinkage.report.figure_html import (
    render_class_key,
    render_figure,
    render_grid,
    render_legend,
    render_method_plot,
)
from shrinkage.report.html_table import (
    render_number_cell,
    render_row_head,
    render_sortable_table,
)
from shrinkage.report.page_frame import render_page
from shrinkage.report.page_text import escape
from shrinkage.study.formatting import format_page_score, pluralize
from shrinkage.study.records import Surface
from shrinkage.study.storage.atomic_write import write_atomically

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
    "among the weights and biases that a penalty is on, or would be. A silent unit gives the "
    "same output for every input. One run each: small differences may be chance."
)


def write_trainings(
    outcomes: Sequence[Outcome],
    path: Path,
    *,
    points: tuple[ArrayLike, ArrayLike],
    title: str = "Networks from scratch",
    failures: Sequence[str] = (),
) -> None:
    """Write a page that shows the results of all penalties side by side.

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

    Examples
    --------
    With what `shrinkage.scratch.demonstration.train` gives for data (X, y)::

        write_trainings(outcomes, Path("scratch.html"), points=(X, y))
    """
    X, y = _check_points(*points)
    if not outcomes:
        raise ValueError("outcomes must hold at least one training")
    named = _name_outcomes(outcomes)
    styles = assign_styles(list(named))
    regions, regions_html = _draw_regions(named, styles, X, y)
    curves, curves_html = _draw_curves(named, styles)
    facts = _describe_data(outcomes, y)
    key = render_legend(styles) if len(named) > 1 else ""
    body = (
        f'<header><h1>{_render_heading(title)}</h1>\n<p class="facts">{escape(facts)}</p>'
        f'</header>\n<p class="verdict">{escape(_summarize(named))}</p>\n'
        f"{_render_table(named, styles)}\n{_render_failures(failures)}"
        f'<section class="figures">\n{key}{regions_html}\n{curves_html}\n</section>'
    )
    shared = {"points": draw_class_points(X[:, 0], X[:, 1], y, _name_classes(named, y))}
    write_atomically(Path(path), render_page(title, body, [*regions, *curves], shared))


def _check_points(X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    features, classes = np.asarray(X, dtype=float), np.asarray(y)
    if features.ndim != 2 or features.shape[1] != 2 or classes.shape != features.shape[:1]:
        raise ValueError(
            "points must be (X, y) of shapes (samples, 2) and (samples,), "
            f"got {features.shape} and {classes.shape}"
        )
    return features, classes


def _name_outcomes(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """The outcomes by name; repeated names get a number."""
    named: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = sum(other.name == outcome.name for other in named.values())
        named[f"{outcome.name} ({before + 1})" if before else outcome.name] = outcome
    return named


def _name_classes(named: Mapping[str, Outcome], y: np.ndarray) -> list[str]:
    highest = max(int(np.max(classes)) for classes in [y, *(o.plane[2] for o in named.values())])
    return [f"class {index}" for index in range(highest + 1)]


def _render_heading(title: str) -> str:
    """The title, with its parts (those between semicolons) on one line where they fit."""
    parts = [f'<span class="item">{escape(part)}' for part in title.split("; ")]
    return ";</span> ".join(parts) + "</span>"


def _describe_data(outcomes: Sequence[Outcome], y: np.ndarray) -> str:
    epochs = sorted({len(outcome.history["loss"]) for outcome in outcomes})
    units = sorted({outcome.units for outcome in outcomes})
    held_out = outcomes[0].held_out
    facts = [pluralize(len(y), "training point"), f"{held_out:,} for validation"]
    facts += [f"{len(np.unique(y))} classes"]
    facts += [f"{epochs[0]:,} to {epochs[-1]:,} epochs"] if epochs[1:] else []
    facts += [pluralize(epochs[0], "epoch")] if len(epochs) == 1 else []
    facts += [pluralize(units[0], "hidden unit")] if len(units) == 1 else []
    return " · ".join(facts)


def _summarize(named: Mapping[str, Outcome]) -> str:
    """A sentence on the validation accuracy."""
    scores = {name: outcome.validation["accuracy"] for name, outcome in named.items()}
    best = format_page_score(max(scores.values()))  # scores that look equal count as equal
    leaders = [name for name, score in scores.items() if format_page_score(score) == best]
    if len(scores) == 1:
        train = format_page_score(next(iter(named.values())).train["accuracy"])
        return f"Accuracy {train} on the points it was trained on, {best} on others."
    if len(leaders) == len(scores):
        return f"The validation accuracy is the same for all: {best}."
    which = " and ".join("without a penalty" if n == "none" else f"with {n}" for n in leaders)
    comparison = ""
    if "none" in scores and "none" not in leaders:
        comparison = f", against {format_page_score(scores['none'])} without a penalty"
    return f"The validation accuracy is highest {which}: {best}{comparison}."


def _render_table(named: Mapping[str, Outcome], styles: Mapping[str, Style]) -> str:
    rows = [_render_row(name, outcome, styles[name]) for name, outcome in named.items()]
    return render_sortable_table("Outcomes", COLUMNS, rows, REMARK)


def _render_failures(failures: Sequence[str]) -> str:
    return "".join(f'<p class="remark">{escape(failure)}</p>\n' for failure in failures)


def _render_row(name: str, outcome: Outcome, style: Style) -> str:
    scores = (
        outcome.train["accuracy"],
        outcome.validation["accuracy"],
        outcome.validation["data_loss"],
    )
    parts = ((outcome.zeros, outcome.weights), (outcome.silent, outcome.units))
    cells = [
        render_row_head(name, style),
        *(render_number_cell(score, format_page_score(score)) for score in scores),
    ]
    cells += [
        render_number_cell(part, f'{part}<span class="of"> of {whole}</span>')
        for part, whole in parts
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _draw_regions(
    named: Mapping[str, Outcome], styles: Mapping[str, Style], X: np.ndarray, y: np.ndarray
) -> tuple[list[Figure], str]:
    """What each network predicts over the plane: the figures, and the HTML that holds them."""
    figures = [
        draw_regions(name, Surface(*outcome.plane), ["x", "y"]) for name, outcome in named.items()
    ]
    plots = [
        render_method_plot(panel, name, styles[name], note=_describe_validation(named[name]))
        for name, panel in zip(named, figures, strict=True)
    ]
    return figures, render_grid(
        "Decision regions",
        _caption_regions(len(X), len(named)),
        plots,
        key=render_class_key(_name_classes(named, y)),
        shape="square",
        columns=max(2, IN_A_ROW.get(len(named), 3)),
    )


def _draw_curves(
    named: Mapping[str, Outcome], styles: Mapping[str, Style]
) -> tuple[list[Figure], str]:
    """The training curves of each network: the figures, and the HTML that holds them."""
    reach = find_axis_ends(list(named.values()))
    figures = [draw_losses(name, named[name], styles[name], reach) for name in named]
    plots = [
        render_method_plot(panel, name, styles[name], note=describe_losses(named[name], reach))
        for name, panel in zip(named, figures, strict=True)
    ]
    losses = render_grid(
        "Losses over training",
        caption_losses(list(named.values()), reach),
        plots,
        key=render_parts_key(),
        shape="wide",
        columns=IN_A_ROW.get(len(named), 3),
    )
    accuracy = render_figure(
        "accuracy",
        "Accuracy over training",
        caption_accuracy(list(named.values())),
        "training accuracy",
    )
    return [*figures, draw_accuracy(named, styles)], f"{losses}\n{accuracy}"


def _caption_regions(samples: int, outcomes: int) -> str:
    network = "each network" if outcomes > 1 else "the network"
    which = f"{MOST_POINTS} of the {samples:,}" if samples > MOST_POINTS else "the"
    return f"What {network} predicts over the plane, with {which} training points in front."


def _describe_validation(outcome: Outcome) -> str:
    return f"validation accuracy {format_page_score(outcome.validation['accuracy'])}"
