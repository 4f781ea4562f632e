"""The figures of the chosen models: their weights, and how they were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shrinkage.figures.labels import escape_label, format_strength, is_number
from shrinkage.figures.style import Figure, Layout, Style, Trace, decade_ticks
from shrinkage.study.formatting import format_share
from shrinkage.study.records import Choice, Record
from shrinkage.study.results import Results

BINS = 41  # odd, so that the middle bar is centred on zero
IN_VIEW = 0.998  # the share of weights in view; the outermost bars count the others
MOST_STEPS = 240  # of a training curve: more than a screen shows
LOG_DECADES = 1.5  # between largest and smallest, from which an axis is logarithmic


@dataclass(frozen=True)
class Panel:
    """The small plot of one chosen model."""

    choice: Choice
    rule: str  # the rule under which it is shown; "" for both
    figure: Figure
    note: str


def find_shown_rule(choice: Choice, choices: Sequence[Choice]) -> str:
    """The rule under which a choice is shown; "" (always) for a method that has one choice."""
    of_method = [other for other in choices if other.method == choice.method]
    return choice.rule if len(of_method) > 1 else ""


def draw_weight_panels(results: Results, styles: Mapping[str, Style]) -> list[Panel]:
    """A histogram for each chosen model, all over the same range, exact zeros apart."""
    weights = [(choice, _collect_weights(results.records_of(choice))) for choice in results.choices]
    weights = [(choice, values) for choice, values in weights if values.size > 0]
    sizes = [np.abs(values[values != 0]) for _, values in weights]
    reach = max((float(np.quantile(size, IN_VIEW)) for size in sizes if size.size), default=1.0)
    return [
        Panel(
            choice,
            find_shown_rule(choice, results.choices),
            _draw_histogram(choice, values, reach or 1.0, styles[choice.method]),
            _describe_zeros(values),
        )
        for choice, values in weights
    ]


def _collect_weights(records: Sequence[Record]) -> np.ndarray:
    """The weights of all seeds; biases, which have one dimension, are not among them."""
    arrays = [
        np.asarray(array, dtype=float).ravel()
        for record in records
        for array in record.state.values()
        if np.ndim(array) >= 2
    ]
    values = np.concatenate(arrays) if arrays else np.empty(0)
    return values[np.isfinite(values)]


def _describe_zeros(values: np.ndarray) -> str:
    zeros = float(np.mean(values == 0))
    return f"{format_share(zeros)} exact zeros" if zeros > 0 else "no exact zeros"


def _draw_histogram(choice: Choice, values: np.ndarray, reach: float, style: Style) -> Figure:
    edges = np.linspace(-reach, reach, BINS + 1)
    nonzero = np.clip(values[values != 0], -reach, reach)
    shares = np.histogram(nonzero, edges)[0] / values.size
    zeros = 1 - nonzero.size / values.size
    bars: Trace = {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": shares,
        "marker": {"color": style.color, "line": {"width": 0}},
        "hovertemplate": "w near %{x:.2g}<br>%{y:.2%} of the weights<extra></extra>",
    }
    traces = [bars]
    top = float(shares.max()) or 1.0
    if zeros > 0:
        traces.append(_draw_zeros(zeros, top, foot=float(shares[BINS // 2])))
    layout: Layout = {
        "xaxis": {"range": [-reach, reach], "nticks": 5},
        "yaxis": {"range": [0, 1.3 * top], "visible": False},
        "bargap": 0.08,
    }
    return Figure(f"weights|{choice.method}|{choice.rule}", traces, layout)


def _draw_zeros(zeros: float, top: float, foot: float) -> Trace:
    """The exact zeros: a stem on the middle bar, not to scale, since it would dwarf the others."""
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": [0, 0],
        "y": [foot, 1.16 * top],
        "line": {"color": "@ink", "width": 1.5},
        "marker": {"color": "@ink", "size": [0, 8], "opacity": 1},
        "text": ["", f"  {format_share(zeros)}"],
        "textposition": "middle right",
        "hoverinfo": "text",
        "hovertext": f"{format_share(zeros)} of the weights<br>are exactly zero",
    }


def draw_training(results: Results, styles: Mapping[str, Style]) -> list[Figure]:
    """Data loss and penalty over the epochs of the chosen models, means over their seeds.

    A model that was solved has no curve, but one point.
    """
    figures = []
    for series in ("data_loss", "penalty"):
        curves = [
            (
                choice,
                find_shown_rule(choice, results.choices),
                *_average_curves(results.records_of(choice), series),
            )
            for choice in results.choices
        ]
        curves = [
            curve for curve in curves if len(curve[2]) > 1 and np.nanmax(curve[3], initial=0) > 0
        ]
        if curves:
            figures.append(_draw_curves(series, curves, styles))
    return figures


def _average_curves(records: Sequence[Record], series: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and the mean over seeds, as far as every seed was trained."""
    pairs = [
        (_to_numbers(record.history.get("epoch", [])), _to_numbers(record.history.get(series, [])))
        for record in records
    ]
    length = min((min(len(epochs), len(values)) for epochs, values in pairs), default=0)
    if length == 0:
        return np.empty(0), np.empty(0)
    places = np.unique(np.linspace(0, length - 1, min(length, MOST_STEPS)).astype(int))
    mean = np.mean([values[:length] for _, values in pairs], axis=0)
    return pairs[0][0][places], mean[places]


def _to_numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value if is_number(value) else np.nan for value in values], dtype=float)


def _draw_curves(
    series: str,
    curves: Sequence[tuple[Choice, str, np.ndarray, np.ndarray]],
    styles: Mapping[str, Style],
) -> Figure:
    positive = np.concatenate([values[values > 0] for *_, values in curves])
    low, high = (float(np.log10(end)) for end in (positive.min(), positive.max()))
    logarithmic = high - low > LOG_DECADES
    axis: Layout = {"rangemode": "tozero"}
    if logarithmic:
        axis = {"type": "log", **decade_ticks(low, high)}
    traces = [
        {
            **_style_line(choice, styles[choice.method]),
            "x": epochs,
            "y": np.where(values > 0, values, np.nan) if logarithmic else values,
            "meta": {"method": choice.method, "rule": rule},
        }
        for choice, rule, epochs, values in curves
    ]
    return Figure(series, traces, {"xaxis": {"title": {"text": "epoch"}}, "yaxis": axis})


def _style_line(choice: Choice, style: Style) -> Trace:
    name = f"<b>{escape_label(choice.method)}</b>"
    at = f" at {format_strength(choice.strength)}" if choice.strength > 0 else ""
    return {
        "type": "scatter",
        "mode": "lines",
        "line": {"color": style.color, "width": 1.8, "dash": style.dash},
        "hovertemplate": f"{name}{at}<br>epoch %{{x}}: %{{y:.3g}}<extra></extra>",
    }
