"""What the chosen models predict over the plane, where the data have two features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shrinkage.figures.labels import escape_label, is_number
from shrinkage.figures.style import CLASSES, Figure, Layout, Trace
from shrinkage.report.chosen_models import Panel, find_shown_rule
from shrinkage.study.formatting import format_page_score
from shrinkage.study.records import Surface
from shrinkage.study.results import Results

MOST_POINTS = 500  # in each of the plots: enough to see the data behind the regions
MOST_PIXELS = 120  # along each side of a surface


def draw_region_panels(results: Results) -> list[Panel]:
    """The predictions of each chosen model, with the data's points in front."""
    points = draw_points(results)
    return [
        Panel(
            choice,
            find_shown_rule(choice, results.choices),
            draw_regions(
                f"{choice.method}|{choice.rule}",
                choice.surface,
                results.data.get("columns", []),
                span=None if results.task == "classes" else _find_span(results, choice.surface),
                background="points" if points else "",
            ),
            _describe_test(choice.test_scores),
        )
        for choice in results.choices
        if choice.surface is not None and np.size(choice.surface.prediction) > 0
    ]


def draw_regions(
    name: str,
    surface: Surface,
    features: Sequence[str],
    *,
    span: tuple[float, float] | None = None,
    background: str = "points",
) -> Figure:
    """A surface of classes, or of numbers whose colours reach over `span`."""
    traces = [_draw_surface(surface, span)]
    return Figure(f"regions|{name}", traces, _make_layout(surface, features), background)


def draw_points(results: Results) -> list[Trace]:
    """The data's points: one trace a class, or one coloured by the number."""
    points = results.data.get("points")
    if points is None:
        return []
    x, y = np.asarray(points["x"], dtype=float), np.asarray(points["y"], dtype=float)
    labels = np.asarray(points["label"])
    if results.task == "classes":
        return draw_class_points(x, y, labels, results.data.get("classes", []))
    sample = _sample_rows(len(x))
    return [_draw_number_points(x[sample], y[sample], labels[sample].astype(float))]


def draw_class_points(
    x: np.ndarray, y: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> list[Trace]:
    """Points in the colours of their classes, a trace each; where they are many, some of them."""
    sample = _sample_rows(len(x))
    x, y, labels = x[sample], y[sample], labels[sample]
    return [
        _draw_class(x[labels == index], y[labels == index], int(index), names)
        for index in np.unique(labels)
    ]


def _sample_rows(points: int) -> np.ndarray:
    """The points that are drawn, the same ones every time."""
    if points <= MOST_POINTS:
        return np.arange(points)
    return np.sort(np.random.default_rng(0).choice(points, MOST_POINTS, replace=False))


def _draw_class(x: np.ndarray, y: np.ndarray, index: int, names: Sequence[str]) -> Trace:
    name = names[index] if index < len(names) else str(index)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {
            "color": f"@class-{index % CLASSES}",
            "size": 4.5,
            "line": {"color": "@paper", "width": 0.6},
        },
        "hovertemplate": f"{escape_label(name)}<br>(%{{x:.3g}}, %{{y:.3g}})<extra></extra>",
    }


def _draw_number_points(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {
            "color": values,
            "colorscale": [[0, "@number-low"], [0.5, "@number-middle"], [1, "@number-high"]],
            "size": 5,
            "line": {"color": "@paper", "width": 0.8},
        },
        "text": values,
        "hovertemplate": "%{text:.3g}<br>(%{x:.3g}, %{y:.3g})<extra></extra>",
    }


def _find_span(results: Results, surface: Surface) -> tuple[float, float]:
    """The range of colours: that of the data, so that a colour means the same in every panel."""
    points = results.data.get("points")
    if points is not None and points["label"]:
        values = np.asarray(points["label"], dtype=float)
    else:
        values = np.asarray(surface.prediction, dtype=float)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _draw_surface(surface: Surface, span: tuple[float, float] | None) -> Trace:
    prediction = np.asarray(surface.prediction, dtype=float)  # (rows, columns)
    rows, columns = (1 + (size - 1) // MOST_PIXELS for size in prediction.shape)
    trace: Trace = {
        "type": "heatmap",
        "x": np.asarray(surface.x)[::columns],
        "y": np.asarray(surface.y)[::rows],
        "showscale": False,
    }
    if span is not None:
        scale = [[0, "@number-low/0.55"], [0.5, "@number-middle/0.55"], [1, "@number-high/0.55"]]
        return {
            **trace,
            "z": prediction[::rows, ::columns],
            "zmin": span[0],
            "zmax": span[1],
            "colorscale": scale,
            "hovertemplate": "predicts %{z:.3g}<extra></extra>",
        }
    steps = [
        [edge / CLASSES, f"@class-{index}/0.3"]
        for index in range(CLASSES)
        for edge in (index, index + 1)
    ]
    return {
        **trace,
        "z": prediction[::rows, ::columns] % CLASSES,
        "zmin": -0.5,
        "zmax": CLASSES - 0.5,
        "colorscale": steps,
        "hoverinfo": "skip",
    }


def _make_layout(surface: Surface, names: Sequence[str]) -> Layout:
    titles = names if len(names) == 2 else ["", ""]
    spans = [[np.min(side), np.max(side)] for side in (surface.x, surface.y)]
    axes = [
        {
            "range": span,
            "title": {"text": escape_label(title)},
            "nticks": 4,
            "showgrid": False,
            "ticks": "",
        }
        for span, title in zip(spans, titles, strict=True)
    ]
    return {"xaxis": axes[0], "yaxis": axes[1]}


def _describe_test(scores: Sequence[float]) -> str:
    finite = [score for score in scores if is_number(score)]
    return f"test {format_page_score(sum(finite) / len(finite))}" if finite else ""
