"""What a weight decay does to weights of different sizes, in one step and in many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shrinkage.figures.labels import escape_label
from shrinkage.figures.style import Figure, Layout, Trace, style_of

STARTS = (1.5, 1.0, 0.5, -0.75)
POINTS, STEPS = 201, 120
MOST_INNER = 100  # steps calculated for one that is drawn; a tiny decay takes longer ones
FARTHEST = 3.0  # weights in view: a decay that makes weights grow leaves it


def draw_decay(change: Callable[[np.ndarray], np.ndarray], title: str) -> Figure:
    """Two plots, side by side, at a data gradient of 0.

    `change` says what a step adds to each weight. The left plot shows it; the right one shows
    where weights go over as many steps as it takes to see it.
    """
    weights = np.linspace(-2.0, 2.0, POINTS)
    line: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": weights,
        "y": change(weights),
        "line": {"color": style_of(3).color, "width": 2.5},
        "hovertemplate": "w = %{x:.3g}<br>changes by %{y:.3g}<extra></extra>",
    }
    largest = float(np.abs(change(np.array(STARTS))).max())
    every = max(1, round(3 / (STEPS * largest))) if largest else 1
    traces = [line, *_draw_paths(change, every)]
    layout: Layout = {
        "title": {"text": escape_label(title), "x": 0.5, "font": {"size": 15}},
        "xaxis": {"domain": [0, 0.42], "title": {"text": "w"}, "zeroline": True},
        "yaxis": {"title": {"text": "change in a step"}, "zeroline": True},
        "xaxis2": {"domain": [0.56, 1], "title": {"text": "step"}, "anchor": "y2"},
        "yaxis2": {"title": {"text": "w"}, "zeroline": True, "anchor": "x2"},
    }
    return Figure("decay", traces, layout)


def _draw_paths(change: Callable[[np.ndarray], np.ndarray], every: int) -> list[Trace]:
    """A line for each start; of many steps each `every`-th is drawn."""
    w = np.array(STARTS)
    rows = [w]
    inner = min(every, MOST_INNER)
    for _ in range(STEPS):
        for _ in range(inner):
            w = w + every / inner * change(w)
        rows.append(w)
    paths = np.array(rows)
    steps = np.arange(len(paths)) * every
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": steps,
            "y": np.where(np.abs(path) <= FARTHEST, path, np.nan),
            "xaxis": "x2",
            "yaxis": "y2",
            "line": {"color": style_of(place).color, "width": 2},
            "hovertemplate": "step %{x}: w = %{y:.4g}<extra></extra>",
        }
        for place, path in enumerate(paths.T)
    ]
