"""The pieces of a page that hold figures: headings, captions, the legend, the switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shrinkage.report.chosen import Panel
from shrinkage.report.curves import RULES
from shrinkage.report.looks import CLASSES, Figure, Look
from shrinkage.report.text import escaped, strength
from shrinkage.study.records import Choice

MOST_CLASSES = 12  # in the key of colours


def legend(looks: Mapping[str, Look]) -> str:
    """One legend for all figures: a button for each name, which hides and shows it."""
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-method="{escaped(name)}" '
        f'style="{look.css}"><span class="swatch"></span>{escaped(name)}</button>'
        for name, look in looks.items()
    )
    hint = "Hide and show; double-click for one alone"
    return f'<div class="legend" role="group" aria-label="{hint}" title="{hint}">{buttons}</div>\n'


def rule_switch(choices: Sequence[Choice]) -> str:
    """Which of the rules the figures of chosen models follow, where there is more than one."""
    rules = list(dict.fromkeys(choice.rule for choice in choices if choice.method != "none"))
    if len(rules) < 2:
        return ""
    inputs = "".join(
        f'<label><input type="radio" name="rule" value="{escaped(rule)}"'
        f"{' checked' if index == 0 else ''}><span>{escaped(RULES.get(rule, rule))}</span></label>"
        for index, rule in enumerate(rules)
    )
    return f'<fieldset class="switch"><legend>Chosen by</legend>{inputs}</fieldset>\n'


def figure(name: str, title: str, caption: str, axis: str) -> str:
    """A figure as wide as the page. `axis` names its vertical axis."""
    return (
        f"<figure>\n<h3>{escaped(title)}</h3>\n<figcaption>{escaped(caption)}</figcaption>\n"
        f'<p class="axis">{escaped(axis)}</p>\n{_canvas(name, title)}\n</figure>'
    )


def plot(name: str, *, heading: str, note: str, attributes: str = "") -> str:
    """One of several small plots. `heading` and `attributes` are HTML."""
    return (
        f'<div class="panel"{attributes}>\n{heading}\n<p class="note">{escaped(note)}</p>\n'
        f"{_canvas(name, name)}\n</div>"
    )


def panels(
    title: str, caption: str, shown: Sequence[Panel], looks: Mapping[str, Look], key: str = ""
) -> str:
    """The small plots of the chosen models, side by side. `key` is HTML."""
    return side_by_side(
        title, caption, [_panel(panel, looks[panel.choice.method]) for panel in shown], key=key
    )


def side_by_side(
    title: str,
    caption: str,
    plots: Sequence[str],
    *,
    key: str = "",
    shape: str = "",
    columns: int = 0,
) -> str:
    """Small plots under one caption. `plots` and `key` are HTML.

    With `columns`, `shape` is "square" or "wide"; else as many are in a row as have room.
    """
    grid = 'class="panels"'
    if columns:
        grid = f'class="panels columned {shape}" style="--columns: {columns}"'
    inner = "\n".join(plots)
    return (
        f"<figure>\n<h3>{escaped(title)}</h3>\n<figcaption>{escaped(caption)}</figcaption>\n"
        f"{key}<div {grid}>\n{inner}\n</div>\n</figure>"
    )


def method_plot(
    figure: Figure, method: str, look: Look, *, note: str, at: str = "", rule: str = ""
) -> str:
    """A small plot that belongs to a method, and is hidden with it. `at` is what it ran at."""
    said = f' <span class="at">{escaped(at)}</span>' if at else ""
    heading = (
        f'<h4 style="{look.css}"><span class="swatch"></span>'
        f"<code>{escaped(method)}</code>{said}</h4>"
    )
    attributes = f' data-method="{escaped(method)}" data-rule="{escaped(rule)}"'
    return plot(figure.name, heading=heading, note=note, attributes=attributes)


def class_key(names: Sequence[str]) -> str:
    """Which colour is which class."""
    shown = "".join(
        f'<li style="--look: var(--class-{index % CLASSES})"><span class="swatch"></span>'
        f"{escaped(name)}</li>"
        for index, name in enumerate(names[:MOST_CLASSES])
    )
    more = len(names) - MOST_CLASSES
    rest = f"<li>and {more:,} more; colours repeat</li>" if more > 0 else ""
    return f'<ul class="key">{shown}{rest}</ul>\n' if names else ""


def _panel(panel: Panel, look: Look) -> str:
    choice = panel.choice
    at = strength(choice.strength) if choice.strength > 0 else ""
    return method_plot(panel.figure, choice.method, look, note=panel.note, at=at, rule=panel.rule)


def _canvas(name: str, label: str) -> str:
    return (
        f'<div class="plot" data-figure="{escaped(name)}" role="img" '
        f'aria-label="{escaped(label)}"></div>'
    )
