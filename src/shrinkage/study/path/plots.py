"""The figures of a path: the score against the number of inputs, and the weights of each input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shrinkage.figures.labels import escape_label, format_strength, is_number
from shrinkage.figures.style import Figure, Layout, Trace, decade_ticks, style_of
from shrinkage.figures.traces import draw_band, draw_level, draw_mark, mark_strength
from shrinkage.study.formatting import format_page_with_error, pluralize
from shrinkage.study.path.records import Point

BAND = 0.13  # opacity of the error band
MOST_NAMES = 12  # inputs in a hover text
MOST_LABELS = 12  # inputs that are named at the end of their line
LINE = style_of(0)


def draw_path_scores(
    points: Sequence[Point],
    *,
    best: int,
    chosen: int,
    trivial: Mapping[str, Any],
    is_higher_better: bool,
) -> Figure:
    """The score against the number of inputs: the best of each number joined, with its band.

    `best` and `chosen` are places among the points, `trivial` is the model without inputs.
    """
    front = find_front(points, is_higher_better=is_higher_better)
    others = [p for p in points if p not in front and is_number(p.score)]
    most = max(len(point.kept) for point in points)
    name = f"<b>{escape_label(trivial['name'])}</b>"
    dotted: Trace = {"color": "@soft", "width": 1.5, "dash": "dot"}
    traces = [
        draw_level([0, most], trivial["validation_score"], name, dotted),
        *_draw_error(front),
        _draw_points(others, size=5, opacity=0.35),
        _draw_points(front, line=True),
        _mark(points[best], "the best score", is_best=True),
        _mark(points[chosen], "chosen", is_best=False),
    ]
    margin = 0.02 * most + 0.3
    layout: Layout = {
        "xaxis": {
            "title": {"text": "inputs kept"},
            "range": [-margin, most + margin],
            "dtick": max(1, round(most / 10)),
        },
        "yaxis": {},
    }
    return Figure("path-score", traces, layout)


def _draw_error(front: Sequence[Point]) -> list[Trace]:
    """One standard error to either side."""
    if len(front) < 2 or not all(is_number(point.error) for point in front):
        return []
    counts = [len(point.kept) for point in front]
    low = [point.score - point.error for point in front]
    high = [point.score + point.error for point in front]
    return [draw_band(counts, low, high, LINE.tint(BAND))]


def find_front(points: Sequence[Point], *, is_higher_better: bool) -> list[Point]:
    """The point with the best score for each number of inputs, the numbers ascending."""
    best: dict[int, Point] = {}
    for point in points:
        count = len(point.kept)
        if not is_number(point.score):
            continue
        if count not in best or (point.score > best[count].score) == is_higher_better:
            best[count] = point
    return [best[count] for count in sorted(best)]


def draw_norms(points: Sequence[Point], inputs: Sequence[str], choice: Point) -> Figure:
    """The norm of each input's weights against the strength; the inputs of `choice` have colours.

    `inputs` names the norms of each point, in their order.
    """
    strengths = [point.strength for point in points]
    kept = [name for name in inputs if name in choice.kept]
    order = [name for name in inputs if name not in kept] + kept
    traces = [
        _draw_norm(name, strengths, [point.norms[inputs.index(name)] for point in points], kept)
        for name in order
    ]
    low, high = math.log10(min(strengths)), math.log10(max(strengths))
    margin = 0.03 * (high - low) or 0.5
    room = margin if len(kept) > MOST_LABELS else 4 * margin  # for the names on the left
    layout: Layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "strength"},
            "range": [low - room, high + margin],
            **decade_ticks(low, high),
        },
        "yaxis": {"rangemode": "tozero"},
        "shapes": [mark_strength(choice.strength)],
    }
    return Figure("path-norms", traces, layout)


def _draw_norm(
    name: str, strengths: Sequence[float], norms: Sequence[float], kept: Sequence[str]
) -> Trace:
    line: dict[str, object] = {"color": "@series-none/0.45", "width": 1}
    if name in kept:
        look = style_of(kept.index(name))
        line = {"color": look.color, "width": 2.2, "dash": look.dash}
    trace: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": strengths,
        "y": norms,
        "line": line,
        "hovertemplate": f"<b>{escape_label(name)}</b> %{{y:.3g}}<br>"
        "strength %{x:.3g}<extra></extra>",
    }
    if name in kept and len(kept) <= MOST_LABELS:
        trace |= {
            "mode": "lines+text",
            "text": ["" for _ in norms[:-1]] + [escape_label(name)],
            "textposition": "middle left",
            "textfont": {"color": line["color"], "size": 11.5},
            "cliponaxis": False,
        }
    return trace


def _draw_points(
    points: Sequence[Point], *, line: bool = False, size: int = 7, opacity: float = 1.0
) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers" if line else "markers",
        "x": [len(point.kept) for point in points],
        "y": [point.score for point in points],
        "line": {"color": LINE.color, "width": 2},
        "marker": {"color": LINE.color, "size": size, "opacity": opacity},
        "hoverinfo": "text",
        "hovertext": [_describe(point) for point in points],
    }


def _mark(point: Point, said: str, *, is_best: bool) -> Trace:
    text = f"{_describe(point)}<br>{said}"
    return draw_mark(len(point.kept), point.score, text, color=LINE.color, is_best=is_best)


def _describe(point: Point) -> str:
    names = [escape_label(name) for name in point.kept[:MOST_NAMES]]
    more = len(point.kept) - MOST_NAMES
    lines = [", ".join(names[start : start + 4]) for start in range(0, len(names), 4)]
    return "<br>".join(
        [
            f"<b>{pluralize(len(point.kept), 'input')}</b>, strength "
            f"{format_strength(point.strength)}",
            f"{format_page_with_error(point.score, point.error)}, "
            f"{'relaxed' if point.relaxed_steps else 'as shrunk'}",
            *lines,
            *([f"and {more} more"] if more > 0 else []),
        ]
    )
