"""The figures of all strengths: score, zeros, and one against the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from shrinkage.report.looks import Figure, Layout, Look, Trace, decade_ticks
from shrinkage.report.score_axis import lowest_in_view, score_axis, trivial_label, trivial_level
from shrinkage.report.summary import Cell, pareto_front
from shrinkage.report.text import in_figure, is_number, plus_minus, strength
from shrinkage.study.records import Choice, Trivial
from shrinkage.study.wording import count, share

BAND = 0.08  # opacity of an error band: several lie over each other
RULES = {"best": "best mean", "one-se": "one standard error"}


def score_figure(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    looks: Mapping[str, Look],
    trivial: Trivial | None,
) -> Figure:
    """The validation score against the strength, with a band of one standard error.

    The trivial model's score is a level that is labelled.
    """
    curves = _by_method(cells)
    span = _strength_span(cells)
    traces: list[Trace] = []
    for method, own in curves.items():
        if method == "none":
            traces += _reference(own, looks[method], span, "score")
        else:
            traces += _band(own, looks[method]) + _line(own, looks[method], "score")
    traces += _chosen(cells, choices, looks, x="strength", y="score")
    layout = _strength_layout(cells, score_axis(cells, choices, trivial))
    if trivial is not None:
        lowest = lowest_in_view(cells, choices, trivial)
        traces.insert(0, trivial_level(trivial, span))
        layout["annotations"] = [trivial_label(trivial, lowest)]
    return Figure("score", traces, layout)


def zeros_figure(
    cells: Sequence[Cell], choices: Sequence[Choice], looks: Mapping[str, Look]
) -> Figure:
    """The share of exact zeros against the strength."""
    span = _strength_span(cells)
    traces: list[Trace] = []
    for method, own in _by_method(cells).items():
        if method == "none":
            traces += _reference(own, looks[method], span, "zeros")
        else:
            traces += _line(own, looks[method], "zeros")
    traces += _chosen(cells, choices, looks, x="strength", y="zeros")
    return Figure("zeros", traces, _strength_layout(cells, _share_axis()))


def front_figure(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    looks: Mapping[str, Look],
    trivial: Trivial | None,
) -> Figure:
    """The score against the zeros, with the models that no other beats in both."""
    front = pareto_front(cells)
    stairs: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [cell.zeros for cell in front],
        "y": [cell.score for cell in front],
        "line": {"color": "@front", "width": 7, "shape": "vh"},
        "hoverinfo": "skip",
    }
    points = [
        _points(own, looks[method], x="zeros", y="score")
        for method, own in _by_method(cells).items()
    ]
    traces = [stairs, *points, *_chosen(cells, choices, looks, x="zeros", y="score")]
    layout: Layout = {
        "xaxis": {"title": {"text": "exact zeros among the weights"}, **_share_axis()},
        "yaxis": score_axis(cells, choices, trivial),
    }
    if trivial is not None:
        traces.insert(1, trivial_level(trivial, (0.0, 1.0)))
        layout["annotations"] = [trivial_label(trivial, lowest_in_view(cells, choices, trivial))]
    return Figure("front", traces, layout)


def _by_method(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.seeds > 0:
            groups.setdefault(cell.method, []).append(cell)
    return groups


def _strength_span(cells: Sequence[Cell]) -> tuple[float, float]:
    strengths = [cell.strength for cell in cells if cell.strength > 0]
    return (min(strengths), max(strengths)) if strengths else (1e-5, 1e-1)


def _hover(cell: Cell) -> str:
    lines = [
        f"<b>{in_figure(cell.method)}</b>",
        f"strength {strength(cell.strength)}" if cell.strength > 0 else "no penalty",
        f"validation {plus_minus(cell.score, cell.error)}",
        f"{share(cell.zeros)} zeros",
        count(cell.seeds, "seed"),
    ]
    if cell.diverged:
        lines.append(f"{cell.diverged} diverged: not for choosing")
    return "<br>".join(lines)


def _line(cells: Sequence[Cell], look: Look, value: str) -> list[Trace]:
    """The sound cells joined by a line; a cell with a diverged seed is a cross beside it."""
    shown = [cell for cell in cells if cell.strength > 0]
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [cell.strength for cell in shown],
        "y": [getattr(cell, value) if cell.sound else None for cell in shown],
        "line": {"color": look.color, "width": 2, "dash": look.dash},
        "marker": {"color": look.color, "size": 6, "symbol": look.symbol},
        "hoverinfo": "text",
        "hovertext": [_hover(cell) for cell in shown],
        "meta": {"method": shown[0].method} if shown else {},
    }
    troubled = [cell for cell in shown if not cell.sound]
    if not troubled:
        return [trace]
    return [trace, {**_points(troubled, look, x="strength", y=value)}]


def _points(cells: Sequence[Cell], look: Look, *, x: str, y: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [getattr(cell, x) for cell in cells],
        "y": [getattr(cell, y) for cell in cells],
        "marker": {
            "color": look.color,
            "size": 7,
            "symbol": [look.symbol if cell.sound else "x-thin-open" for cell in cells],
        },
        "hoverinfo": "text",
        "hovertext": [_hover(cell) for cell in cells],
        "meta": {"method": cells[0].method},
    }


def _band(cells: Sequence[Cell], look: Look) -> list[Trace]:
    """One standard error to either side, once along the top and back along the bottom."""
    sound = [cell for cell in cells if cell.sound and cell.strength > 0 and is_number(cell.error)]
    if len(sound) < 2:
        return []
    back = sound[::-1]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [cell.strength for cell in [*sound, *back]],
            "y": [cell.score + cell.error for cell in sound]
            + [cell.score - cell.error for cell in back],
            "fill": "toself",
            "fillcolor": look.tint(BAND),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "meta": {"method": sound[0].method},
        }
    ]


def _reference(
    cells: Sequence[Cell], look: Look, span: tuple[float, float], value: str
) -> list[Trace]:
    """The model without a penalty has no strength: a level across the figure, with its band."""
    cell = cells[0]
    level = getattr(cell, value)
    meta = {"method": cell.method}
    line: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": list(span),
        "y": [level, level],
        "line": {"color": look.color, "width": 1.5, "dash": "dash"},
        "hoverinfo": "text",
        "hovertext": _hover(cell),
        "meta": meta,
    }
    if value != "score" or not is_number(cell.error):
        return [line]
    low, high = level - cell.error, level + cell.error
    band: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [span[0], span[1], span[1], span[0]],
        "y": [low, low, high, high],
        "fill": "toself",
        "fillcolor": look.tint(BAND),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "meta": meta,
    }
    return [band, line]


def _chosen(
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    looks: Mapping[str, Look],
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
        _mark(found[key], own, looks[key[0]], x=x, y=y)
        for key, own in rules.items()
        if key in found and (x != "strength" or found[key].strength > 0)
    ]


def _mark(cell: Cell, rules: Sequence[str], look: Look, *, x: str, y: str) -> Trace:
    best = "best" in rules
    said = " and by ".join(in_figure(RULES.get(rule, rule)) for rule in rules)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [getattr(cell, x)],
        "y": [getattr(cell, y)],
        "marker": {
            "color": look.color,
            "size": 15 if best else 12,
            "symbol": "star" if best else "diamond",
            "line": {"color": "@paper", "width": 1.5},
        },
        "hoverinfo": "text",
        "hovertext": f"{_hover(cell)}<br>chosen by {said}",
        "meta": {"method": cell.method},
    }


def _strength_layout(cells: Sequence[Cell], value_axis: Layout) -> Layout:
    low, high = (math.log10(end) for end in _strength_span(cells))
    margin = 0.04 * (high - low) or 0.5
    axis: Layout = {
        "type": "log",
        "title": {"text": "strength"},
        "range": [low - margin, high + margin],
        **decade_ticks(low, high),
    }
    return {"xaxis": axis, "yaxis": value_axis}


def _share_axis() -> Layout:
    return {"tickformat": ".0%", "range": [-0.03, 1.04]}
