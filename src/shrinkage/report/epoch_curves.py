"""The figures of networks from scratch over their epochs: the parts of the loss, and accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shrinkage.figures.labels import escape_label, format_strength
from shrinkage.figures.style import Figure, Layout, Style, Trace
from shrinkage.report.page_text import format_number
from shrinkage.study.formatting import pluralize

if TYPE_CHECKING:
    from shrinkage.scratch.demonstration import Outcome

MOST_ON_A_LINE = 400  # points: more than a screen shows
STRETCHES = MOST_ON_A_LINE - 2  # between the first epoch and the last
BAND = 0.22  # opacity of the range around a line
USUAL = 0.97  # the share of epochs whose loss the axis must show
END, WIDE_END = 1.06, 1.02  # ends of axes relative to the last epoch, with room for its label
SPIKE = 1.5  # times that loss; higher losses are out of view
PARTS = {  # of the history: words, dash in a figure, border in the key
    "data_loss": ("data loss", "solid", "2px solid var(--soft)"),
    "regularization_loss": ("regularization loss", "dash", "2px dashed var(--soft)"),
    "loss": ("their sum", "solid", "1px solid var(--ink)"),
}

EPOCHS: Layout = {"title": {"text": "epoch"}, "tickformat": ",d"}


class Curve(NamedTuple):
    """A line with the range around it."""

    epochs: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


class AxisEnds(NamedTuple):
    """Where the axes of losses end."""

    last: int  # epoch, the first being 0
    top: float  # loss


def find_axis_ends(outcomes: Sequence[Outcome]) -> AxisEnds:
    """Above all losses, unless a few are spikes far above the others."""
    losses = [np.asarray(outcome.history["loss"]) for outcome in outcomes]
    usual = max(max(loss[0], float(np.quantile(loss, USUAL))) for loss in losses)
    highest = max(float(loss.max()) for loss in losses)
    top = 1.06 * (highest if highest <= SPIKE * usual else usual)
    return AxisEnds(max(1, max(map(len, losses)) - 1), top)


def draw_losses(name: str, outcome: Outcome, style: Style, reach: AxisEnds) -> Figure:
    """The loss and its parts. `losses_note` mentions epochs that rise above the axis."""
    traces: list[Trace] = []
    for part, (words, dash, _) in reversed(PARTS.items()):  # the data's loss lies on top
        color = "@ink" if part == "loss" else style.color
        curve = thin(outcome.history[part])
        line = {"color": color, "width": 1.2 if part == "loss" else 1.8, "dash": dash}
        traces += [*_draw_range(curve, color), _draw_line(curve, f"<b>{words}</b>", line)]
    layout: Layout = {
        "xaxis": {**EPOCHS, "range": [0, END * reach.last], "nticks": 6},
        "yaxis": {"title": {"text": "loss"}, "range": [0, reach.top], "nticks": 6},
    }
    return Figure(f"losses|{name}", traces, layout)


def describe_losses(outcome: Outcome, reach: AxisEnds) -> str:
    """The final values of the parts of the loss, and what the figure does not show of them."""
    data, penalty = (outcome.history[part][-1] for part in ("data_loss", "regularization_loss"))
    loss = np.asarray(outcome.history["loss"])
    part = format_number(penalty) if penalty >= 0.001 else format_strength(penalty)
    text = f"in the last epoch {format_number(data)}" + (f" + {part}" if penalty > 0 else "")
    beyond = int(np.count_nonzero(loss > reach.top))
    return (
        f"{text}; {pluralize(beyond, 'epoch')} out of view, up to {format_strength(loss.max())}"
        if beyond
        else text
    )


def draw_accuracy(named: Mapping[str, Outcome], styles: Mapping[str, Style]) -> Figure:
    """The training accuracy of all networks, each line in its network's style."""
    bands: list[Trace] = []
    lines: list[Trace] = []
    for name, outcome in named.items():
        style, curve = styles[name], thin(outcome.history["accuracy"])
        meta = {"method": name}
        line = {"color": style.color, "width": 1.8, "dash": style.dash}
        bands += [{**band, "meta": meta} for band in _draw_range(curve, style.color)]
        lines.append({**_draw_line(curve, f"<b>{escape_label(name)}</b>", line), "meta": meta})
    last = find_axis_ends(list(named.values())).last
    return Figure(
        "accuracy", [*bands, *lines], {"xaxis": {**EPOCHS, "range": [0, WIDE_END * last]}}
    )


def thin(values: Sequence[float]) -> Curve:
    """The values of each epoch, or, where they are many, of stretches of as many epochs each.

    The first and the last epoch stand for themselves. A stretch has its median, and a range that
    no value of it is beyond.
    """
    array = np.asarray(values, dtype=float)
    epochs = np.arange(len(array))
    if len(array) <= MOST_ON_A_LINE:
        return Curve(epochs, array, array, array)
    return Curve(
        np.array([part.mean() for part in _split_stretches(epochs)]),
        *(
            np.array([of(part) for part in _split_stretches(array)])
            for of in (np.median, np.min, np.max)
        ),
    )


def _split_stretches(values: np.ndarray) -> list[np.ndarray]:
    return [values[:1], *np.array_split(values[1:-1], STRETCHES), values[-1:]]


def _draw_line(curve: Curve, label: str, line: Mapping[str, object]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines" if len(curve.epochs) > 1 else "markers",
        "x": curve.epochs,
        "y": curve.middle,
        "line": line,
        "marker": {"color": line["color"]},
        "hovertemplate": f"{label} %{{y:.3g}}<br>epoch %{{x:,.0f}}<extra></extra>",
    }


def _draw_range(curve: Curve, color: str) -> list[Trace]:
    """Along the highest values, and back along the lowest; nothing where they are one."""
    if np.array_equal(curve.low, curve.high):
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": np.concatenate([curve.epochs, curve.epochs[::-1]]),
            "y": np.concatenate([curve.high, curve.low[::-1]]),
            "fill": "toself",
            "fillcolor": f"{color}/{BAND}",
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
    ]


def caption_losses(outcomes: Sequence[Outcome], reach: AxisEnds) -> str:
    """A caption: what the lines are, and which values are not shown."""
    sentences = ["What is minimized, and its two parts in the colour of the penalty."]
    if len(outcomes) > 1:
        sentences.append("The axes are the same in all.")
    if reach.last >= MOST_ON_A_LINE:
        most = math.ceil((reach.last - 1) / STRETCHES)
        sentences.append(
            f"A line is the median of up to {most} epochs at a time; "
            "the band around it reaches from the lowest of them to the highest."
        )
    if any(max(outcome.history["loss"]) > reach.top for outcome in outcomes):
        sentences.append("The highest spikes are out of view; a double-click brings them in.")
    return " ".join(sentences)


def caption_accuracy(outcomes: Sequence[Outcome]) -> str:
    """A caption: what the accuracy is of, when it is measured, and how it is drawn."""
    longest = max(len(outcome.history["accuracy"]) for outcome in outcomes)
    manner = ", drawn as the losses are" if longest > MOST_ON_A_LINE else ""
    return f"On the training points, before each step{manner}."


def render_parts_key() -> str:
    """A key of the lines and the parts of the loss."""
    items = "".join(
        f'<li><span class="stroke" style="border-top: {border}"></span>{words}</li>'
        for words, _, border in PARTS.values()
    )
    return f'<ul class="key">{items}</ul>\n'
