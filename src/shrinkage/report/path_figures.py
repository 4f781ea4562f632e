"""The figures of a path: the score against the number of inputs, and the weights of each input."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shrinkage.report.page_text import escape_label, format_strength, format_with_error, is_number
from shrinkage.report.style import Figure, Layout, Trace, decade_ticks, style_of
from shrinkage.study.formatting import pluralize
from shrinkage.study.path.records import Point
from shrinkage.study.path.results import PathResults

BAND = 0.13  # opacity of the error band
MOST_NAMES = 12  # inputs in a hover text
MOST_LABELS = 12  # inputs that are named at the end of their line
LINE = style_of(0)


def draw_path_scores(results: PathResults) -> Figure:
    """The score against the number of inputs: the best of each number joined, with its band."""
    front = find_front(results)
    others = [p for p in results.points if p not in front and is_number(p.score)]
    most = max(len(point.kept) for point in results.points)
    traces = [
        _draw_trivial(results, most),
        *_draw_band(front),
        _draw_points(others, size=5, opacity=0.35),
        _draw_points(front, line=True),
        _mark(results.points[results.best], "star", "the best score"),
        _mark(results.choice, "diamond", "chosen"),
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


def _draw_trivial(results: PathResults, most: int) -> Trace:
    level = results.trivial["validation_score"]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [0, most],
        "y": [level, level],
        "line": {"color": "@soft", "width": 1.5, "dash": "dot"},
        "hoverinfo": "text",
        "hovertext": f"<b>{escape_label(results.trivial['name'])}</b>",
    }


def _draw_band(front: Sequence[Point]) -> list[Trace]:
    """One standard error to either side, once along the top and back along the bottom."""
    if len(front) < 2 or not all(is_number(point.error) for point in front):
        return []
    back = front[::-1]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [len(point.kept) for point in [*front, *back]],
            "y": [point.score + point.error for point in front]
            + [point.score - point.error for point in back],
            "fill": "toself",
            "fillcolor": LINE.tint(BAND),
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
    ]


def find_front(results: PathResults) -> list[Point]:
    """The point with the best score for each number of inputs, the numbers ascending."""
    higher = results.is_higher_better
    best: dict[int, Point] = {}
    for point in results.points:
        count = len(point.kept)
        if not is_number(point.score):
            continue
        if count not in best or (point.score > best[count].score) == higher:
            best[count] = point
    return [best[count] for count in sorted(best)]


def draw_norms(results: PathResults) -> Figure:
    """The norm of each input's weights against the strength; the kept inputs have colours."""
    strengths = [point.strength for point in results.points]
    kept = [name for name in results.path_inputs if name in results.selected]
    order = [name for name in results.path_inputs if name not in kept] + kept
    traces = [_draw_norm(results, name, kept) for name in order]
    low, high = math.log10(min(strengths)), math.log10(max(strengths))
    margin = 0.03 * (high - low) or 0.5
    room = margin if len(kept) > MOST_LABELS else 4 * margin  # for the names on the left
    chosen = results.choice.strength
    layout: Layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "strength"},
            "range": [low - room, high + margin],
            **decade_ticks(low, high),
        },
        "yaxis": {"rangemode": "tozero"},
        "shapes": [
            {
                "type": "line",
                "x0": chosen,
                "x1": chosen,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "@soft", "width": 1.5, "dash": "dot"},
            }
        ],
    }
    return Figure("path-norms", traces, layout)


def _draw_norm(results: PathResults, name: str, kept: Sequence[str]) -> Trace:
    place = results.path_inputs.index(name)
    norms = [point.norms[place] for point in results.points]
    line: dict[str, object] = {"color": "@series-none/0.45", "width": 1}
    if name in kept:
        look = style_of(kept.index(name))
        line = {"color": look.color, "width": 2.2, "dash": look.dash}
    trace: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [point.strength for point in results.points],
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


def _mark(point: Point, symbol: str, said: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [len(point.kept)],
        "y": [point.score],
        "marker": {
            "color": LINE.color,
            "size": 16 if symbol == "star" else 12,
            "symbol": symbol,
            "line": {"color": "@paper", "width": 1.5},
        },
        "hoverinfo": "text",
        "hovertext": f"{_describe(point)}<br>{said}",
    }


def _describe(point: Point) -> str:
    names = [escape_label(name) for name in point.kept[:MOST_NAMES]]
    more = len(point.kept) - MOST_NAMES
    lines = [", ".join(names[start : start + 4]) for start in range(0, len(names), 4)]
    return "<br>".join(
        [
            f"<b>{pluralize(len(point.kept), 'input')}</b>, strength "
            f"{format_strength(point.strength)}",
            f"{format_with_error(point.score, point.error)}, "
            f"{'relaxed' if point.relaxed_steps else 'as shrunk'}",
            *lines,
            *([f"and {more} more"] if more > 0 else []),
        ]
    )
