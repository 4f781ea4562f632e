"""What the chosen models predict over the plane, where the data have two features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shrinkage.report.chosen import Panel, shown_under
from shrinkage.report.looks import CLASSES, Figure, Layout, Trace
from shrinkage.report.text import in_figure, is_number, shown_score
from shrinkage.study.records import Results, Surface

MOST_POINTS = 500  # in each of the plots: enough to see the data behind the regions
MOST_CELLS = 120  # along each side of a surface


def region_panels(results: Results) -> list[Panel]:
    """The predictions of each chosen model, with the data's points in front."""
    points = point_traces(results)
    return [
        Panel(
            choice,
            shown_under(choice, results.choices),
            region_figure(
                f"{choice.method}|{choice.rule}",
                choice.surface,
                feature_names(results),
                span=None if is_classes(results) else _span(results, choice.surface),
                background="points" if points else "",
            ),
            _test_note(choice.test_scores),
        )
        for choice in results.choices
        if choice.surface is not None and np.size(choice.surface.prediction) > 0
    ]


def region_figure(
    name: str,
    surface: Surface,
    features: Sequence[str],
    *,
    span: tuple[float, float] | None = None,
    background: str = "points",
) -> Figure:
    """A surface of classes, or of numbers whose colours reach over `span`."""
    traces = [_surface(surface, span)]
    return Figure(f"regions|{name}", traces, _region_layout(surface, features), background)


def is_classes(results: Results) -> bool:
    """Whether the target is a class, not a number."""
    return results.data.get("task") != "numbers"


def class_names(results: Results) -> list[str]:
    """The names of the classes, in the order of their index; empty for numbers."""
    classes = results.data.get("classes")
    return [str(name) for name in classes] if isinstance(classes, (list, tuple)) else []


def feature_names(results: Results) -> list[str]:
    """The names of the two features, where the data are drawn."""
    names = results.data.get("columns")
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []


def point_traces(results: Results) -> list[Trace]:
    """The data's points: one trace a class, or one coloured by the number."""
    points = results.data.get("points")
    if not isinstance(points, Mapping):
        return []
    x, y = (np.asarray(points[key], dtype=float) for key in ("x", "y"))
    labels = np.asarray(points["label"])
    if is_classes(results):
        return class_points(x, y, labels, class_names(results))
    kept = _kept(len(x))
    return [_number_points(x[kept], y[kept], labels[kept].astype(float))]


def class_points(
    x: np.ndarray, y: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> list[Trace]:
    """Points in the colours of their classes, a trace each; where they are many, some of them."""
    kept = _kept(len(x))
    x, y, labels = x[kept], y[kept], labels[kept]
    return [
        _class_points(x[labels == index], y[labels == index], int(index), names)
        for index in np.unique(labels)
    ]


def _kept(points: int) -> np.ndarray:
    """Which of the points are drawn: the same ones every time."""
    if points <= MOST_POINTS:
        return np.arange(points)
    return np.sort(np.random.default_rng(0).choice(points, MOST_POINTS, replace=False))


def _class_points(x: np.ndarray, y: np.ndarray, index: int, names: Sequence[str]) -> Trace:
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
        "hovertemplate": f"{in_figure(name)}<br>(%{{x:.3g}}, %{{y:.3g}})<extra></extra>",
    }


def _number_points(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> Trace:
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


def _span(results: Results, surface: Surface) -> tuple[float, float]:
    """The range of colours: the data's, so that every panel speaks of the same numbers."""
    points = results.data.get("points")
    if isinstance(points, Mapping) and not is_classes(results) and np.size(points["label"]):
        values = np.asarray(points["label"], dtype=float)
    else:
        values = np.asarray(surface.prediction, dtype=float)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _surface(surface: Surface, span: tuple[float, float] | None) -> Trace:
    prediction = np.asarray(surface.prediction, dtype=float)  # (rows, columns)
    rows, columns = (1 + (size - 1) // MOST_CELLS for size in prediction.shape)
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


def _region_layout(surface: Surface, names: Sequence[str]) -> Layout:
    titles = names if len(names) == 2 else ["", ""]
    spans = [[np.min(side), np.max(side)] for side in (surface.x, surface.y)]
    axes = [
        {
            "range": span,
            "title": {"text": in_figure(title)},
            "nticks": 4,
            "showgrid": False,
            "ticks": "",
        }
        for span, title in zip(spans, titles, strict=True)
    ]
    return {"xaxis": axes[0], "yaxis": axes[1]}


def _test_note(scores: Sequence[float]) -> str:
    finite = [score for score in scores if is_number(score)]
    return f"test {shown_score(sum(finite) / len(finite))}" if finite else ""
