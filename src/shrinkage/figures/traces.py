"""Traces that several figures share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shrinkage.figures.style import Layout, Trace

Numbers = Sequence[float] | np.ndarray


def draw_band(x: Numbers, low: Numbers, high: Numbers, color: str) -> Trace:
    """The area between two lines, once along the top and back along the bottom."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": color,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def draw_level(x: Sequence[float], level: float, text: str, line: Trace) -> Trace:
    """A line across a figure, `text` where the pointer is."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [level] * len(x),
        "line": line,
        "hoverinfo": "text",
        "hovertext": text,
    }


def draw_mark(x: float, y: float, text: str, *, color: str, is_best: bool) -> Trace:
    """A chosen point once more, larger: a star for the best, else a diamond."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [y],
        "marker": {
            "color": color,
            "size": 15 if is_best else 12,
            "symbol": "star" if is_best else "diamond",
            "line": {"color": "@paper", "width": 1.5},
        },
        "hoverinfo": "text",
        "hovertext": text,
    }


def mark_strength(strength: float) -> Layout:
    """A dotted vertical line at the chosen strength."""
    return {
        "type": "line",
        "x0": strength,
        "x1": strength,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "@soft", "width": 1.5, "dash": "dot"},
    }
