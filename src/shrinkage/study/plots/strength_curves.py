"""The figures of all strengths: score, zeros, and one against the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from shrinkage.figures.labels import escape_label, format_strength, is_number
from shrinkage.figures.style import Figure, Layout, Style, Trace, decade_ticks
from shrinkage.figures.traces import draw_band, draw_level, draw_mark
from shrinkage.study.formatting import format_page_with_error, format_share, pluralize
from shrinkage.study.plots.score_axis import (
    draw_baseline,
    find_worst_in_view,
    label_baseline,
    make_score_axis,
)
from shrinkage.study.records import Baseline, Choice
from shrinkage.study.scores import Metric
from shrinkage.study.summary import Cell

BAND = 0.08  # opacity of an error band: several lie over each other
RULE_NAMES = {"best": "best mean", "one-se": "one standard error"}


def draw_scores(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    styles: Mapping[str, Style],
    baseline: Baseline | None,
    metric: Metric,
) -> Figure:
    """The validation score against the strength, with a band of one standard error.

    The trivial model's score is a level that is labelled.
    """
    curves = _group_by_method(cells)
    span = _find_strength_span(cells)
    traces: list[Trace] = []
    for method, own in curves.items():
        if method == "none":
            traces += _draw_unpenalized(own, styles[method], span, "score")
        else:
            traces += _draw_band(own, styles[method]) + _draw_line(own, styles[method], "score")
    traces += _mark_chosen(cells, choices, styles, x="strength", y="score")
    layout = _make_strength_layout(cells, make_score_axis(cells, choices, baseline, metric))
    if baseline is not None:
        worst = find_worst_in_view(cells, choices, baseline, metric)
        traces.insert(0, draw_baseline(baseline, span))
        layout["annotations"] = [label_baseline(baseline, worst, metric)]
    return Figure("score", traces, layout)


def draw_zeros(
    cells: Sequence[Cell], choices: Sequence[Choice], styles: Mapping[str, Style]
) -> Figure:
    """The share of exact zeros against the strength."""
    span = _find_strength_span(cells)
    traces: list[Trace] = []
    for method, own in _group_by_method(cells).items():
        if method == "none":
            traces += _draw_unpenalized(own, styles[method], span, "zeros")
        else:
            traces += _draw_line(own, styles[method], "zeros")
    traces += _mark_chosen(cells, choices, styles, x="strength", y="zeros")
    return Figure("zeros", traces, _make_strength_layout(cells, _make_share_axis()))


def draw_front(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    styles: Mapping[str, Style],
    baseline: Baseline | None,
    metric: Metric,
) -> Figure:
    """The score against the zeros, with the models that no other beats in both."""
    front = find_pareto_front(cells, metric)
    stairs: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [cell.zeros for cell in front],
        "y": [cell.score for cell in front],
        "line": {"color": "@front", "width": 7, "shape": "vh"},
        "hoverinfo": "skip",
    }
    points = [
        _draw_points(own, styles[method], x="zeros", y="score")
        for method, own in _group_by_method(cells).items()
    ]
    traces = [stairs, *points, *_mark_chosen(cells, choices, styles, x="zeros", y="score")]
    layout: Layout = {
        "xaxis": {"title": {"text": "exact zeros among the weights"}, **_make_share_axis()},
        "yaxis": make_score_axis(cells, choices, baseline, metric),
    }
    if baseline is not None:
        traces.insert(1, draw_baseline(baseline, (0.0, 1.0)))
        worst = find_worst_in_view(cells, choices, baseline, metric)
        layout["annotations"] = [label_baseline(baseline, worst, metric)]
    return Figure("front", traces, layout)


def _group_by_method(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.seeds > 0:
            groups.setdefault(cell.method, []).append(cell)
    return groups


def _find_strength_span(cells: Sequence[Cell]) -> tuple[float, float]:
    strengths = [cell.strength for cell in cells if cell.strength > 0]
    return (min(strengths), max(strengths)) if strengths else (1e-5, 1e-1)


def _hover_text(cell: Cell) -> str:
    lines = [
        f"<b>{escape_label(cell.method)}</b>",
        f"strength {format_strength(cell.strength)}" if cell.strength > 0 else "no penalty",
        f"validation {format_page_with_error(cell.score, cell.error)}",
        f"{format_share(cell.zeros)} zeros",
        pluralize(cell.seeds, "trial"),
    ]
    if cell.diverged:
        lines.append(f"{cell.diverged} diverged: not for choosing")
    return "<br>".join(lines)


def _draw_line(cells: Sequence[Cell], style: Style, value: str) -> list[Trace]:
    """The sound cells joined by a line; a cell with a diverged seed is a cross beside it."""
    shown = [cell for cell in cells if cell.strength > 0]
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [cell.strength for cell in shown],
        "y": [getattr(cell, value) if cell.is_sound else None for cell in shown],
        "line": {"color": style.color, "width": 2, "dash": style.dash},
        "marker": {"color": style.color, "size": 6, "symbol": style.symbol},
        "hoverinfo": "text",
        "hovertext": [_hover_text(cell) for cell in shown],
        "meta": {"method": shown[0].method} if shown else {},
    }
    troubled = [cell for cell in shown if not cell.is_sound]
    if not troubled:
        return [trace]
    return [trace, {**_draw_points(troubled, style, x="strength", y=value)}]


def _draw_points(cells: Sequence[Cell], style: Style, *, x: str, y: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [getattr(cell, x) for cell in cells],
        "y": [getattr(cell, y) for cell in cells],
        "marker": {
            "color": style.color,
            "size": 7,
            "symbol": [style.symbol if cell.is_sound else "x-thin-open" for cell in cells],
        },
        "hoverinfo": "text",
        "hovertext": [_hover_text(cell) for cell in cells],
        "meta": {"method": cells[0].method},
    }


def _draw_band(cells: Sequence[Cell], style: Style) -> list[Trace]:
    """One standard error to either side."""
    sound = [
        cell for cell in cells if cell.is_sound and cell.strength > 0 and is_number(cell.error)
    ]
    if len(sound) < 2:
        return []
    band = draw_band(
        [cell.strength for cell in sound],
        [cell.score - cell.error for cell in sound],
        [cell.score + cell.error for cell in sound],
        style.tint(BAND),
    )
    return [{**band, "meta": {"method": sound[0].method}}]


def _draw_unpenalized(
    cells: Sequence[Cell], style: Style, span: tuple[float, float], value: str
) -> list[Trace]:
    """The model without a penalty has no strength: a level across the figure, with its band."""
    cell = cells[0]
    level = getattr(cell, value)
    meta = {"method": cell.method}
    dashed: Trace = {"color": style.color, "width": 1.5, "dash": "dash"}
    line = {**draw_level(span, level, _hover_text(cell), dashed), "meta": meta}
    if value != "score" or not is_number(cell.error):
        return [line]
    low, high = level - cell.error, level + cell.error
    band = draw_band(span, [low, low], [high, high], style.tint(BAND))
    return [{**band, "meta": meta}, line]


def _mark_chosen(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    styles: Mapping[str, Style],
    *,
    x: str,
    y: str,
) -> list[Trace]:
    """The chosen cells once more, larger: a star for the best mean, else a diamond."""
    found = {(cell.method, cell.strength): cell for cell in cells if cell.seeds > 0}
    rules: dict[tuple[str, float], list[str]] = {}
    for choice in choices:
        rules.setdefault((choice.method, choice.strength), []).append(choice.rule)
    return [
        _draw_mark(found[key], own, styles[key[0]], x=x, y=y)
        for key, own in rules.items()
        if key in found and (x != "strength" or found[key].strength > 0)
    ]


def _draw_mark(cell: Cell, rules: Sequence[str], style: Style, *, x: str, y: str) -> Trace:
    said = " and by ".join(escape_label(RULE_NAMES.get(rule, rule)) for rule in rules)
    text = f"{_hover_text(cell)}<br>chosen by {said}"
    place = getattr(cell, x), getattr(cell, y)
    mark = draw_mark(*place, text, color=style.color, is_best="best" in rules)
    return {**mark, "meta": {"method": cell.method}}


def _make_strength_layout(cells: Sequence[Cell], value_axis: Layout) -> Layout:
    low, high = (math.log10(end) for end in _find_strength_span(cells))
    margin = 0.04 * (high - low) or 0.5
    axis: Layout = {
        "type": "log",
        "title": {"text": "strength"},
        "range": [low - margin, high + margin],
        **decade_ticks(low, high),
    }
    return {"xaxis": axis, "yaxis": value_axis}


def _make_share_axis() -> Layout:
    return {"tickformat": ".0%", "range": [-0.03, 1.04]}


def find_pareto_front(cells: Sequence[Cell], metric: Metric) -> list[Cell]:
    """The sound cells that no other beats in both score and zeros, zeros ascending."""
    front: list[Cell] = []
    sound = [cell for cell in cells if cell.is_sound]
    for cell in sorted(sound, key=lambda cell: (-cell.zeros, -metric.gain(cell.score))):
        if not front or metric.gain(cell.score) > metric.gain(front[-1].score):
            front.append(cell)
    return front[::-1]
