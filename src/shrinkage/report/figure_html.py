"""The pieces of a page that hold figures: headings, captions, the legend, the switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shrinkage.figures.labels import format_strength
from shrinkage.figures.style import CLASSES, Figure, Style
from shrinkage.report.chosen_models import Panel
from shrinkage.report.page_text import escape
from shrinkage.study.plots.strength_curves import RULE_NAMES
from shrinkage.study.records import Choice

MOST_CLASSES = 12  # in the key of colours


def render_legend(styles: Mapping[str, Style]) -> str:
    """One legend for all figures: a button for each name, which hides and shows it."""
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-method="{escape(name)}" '
        f'style="{style.css}"><span class="swatch"></span>{escape(name)}</button>'
        for name, style in styles.items()
    )
    hint = "Hide and show; double-click for one alone"
    return f'<div class="legend" role="group" aria-label="{hint}" title="{hint}">{buttons}</div>\n'


def render_rule_switch(choices: Sequence[Choice]) -> str:
    """The switch between the rules by which models are chosen, where there is more than one."""
    rules = list(dict.fromkeys(choice.rule for choice in choices if choice.method != "none"))
    if len(rules) < 2:
        return ""
    names = {rule: escape(RULE_NAMES.get(rule, rule)) for rule in rules}
    inputs = "".join(
        f'<label><input type="radio" name="rule" value="{escape(rule)}"'
        f"{' checked' if index == 0 else ''}><span>{names[rule]}</span></label>"
        for index, rule in enumerate(rules)
    )
    return f'<fieldset class="switch"><legend>Chosen by</legend>{inputs}</fieldset>\n'


def render_figure(name: str, title: str, caption: str, axis: str) -> str:
    """A figure as wide as the page. `axis` names its vertical axis."""
    return (
        f"<figure>\n<h3>{escape(title)}</h3>\n<figcaption>{escape(caption)}</figcaption>\n"
        f'<p class="axis">{escape(axis)}</p>\n{_render_canvas(name, title)}\n</figure>'
    )


def render_plot(name: str, *, heading: str, note: str, attributes: str = "") -> str:
    """One of several small plots. `heading` and `attributes` are HTML."""
    return (
        f'<div class="panel"{attributes}>\n{heading}\n<p class="note">{escape(note)}</p>\n'
        f"{_render_canvas(name, name)}\n</div>"
    )


def render_panels(
    title: str, caption: str, panels: Sequence[Panel], styles: Mapping[str, Style], key: str = ""
) -> str:
    """The small plots of the chosen models, side by side. `key` is HTML."""
    return render_grid(
        title,
        caption,
        [_render_panel(panel, styles[panel.choice.method]) for panel in panels],
        key=key,
    )


def render_grid(
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
        f"<figure>\n<h3>{escape(title)}</h3>\n<figcaption>{escape(caption)}</figcaption>\n"
        f"{key}<div {grid}>\n{inner}\n</div>\n</figure>"
    )


def render_method_plot(
    figure: Figure, method: str, style: Style, *, note: str, at: str = "", rule: str = ""
) -> str:
    """A small plot of a method, which is hidden with it; `at` is its strength."""
    strength = f' <span class="at">{escape(at)}</span>' if at else ""
    heading = (
        f'<h4 style="{style.css}"><span class="swatch"></span>'
        f"<code>{escape(method)}</code>{strength}</h4>"
    )
    attributes = f' data-method="{escape(method)}" data-rule="{escape(rule)}"'
    return render_plot(figure.name, heading=heading, note=note, attributes=attributes)


def render_class_key(names: Sequence[str]) -> str:
    """The key of colours and classes."""
    items = "".join(
        f'<li style="--look: var(--class-{index % CLASSES})"><span class="swatch"></span>'
        f"{escape(name)}</li>"
        for index, name in enumerate(names[:MOST_CLASSES])
    )
    more = len(names) - MOST_CLASSES
    others = f"<li>and {more:,} more; colours repeat</li>" if more > 0 else ""
    return f'<ul class="key">{items}{others}</ul>\n' if names else ""


def _render_panel(panel: Panel, style: Style) -> str:
    choice = panel.choice
    at = format_strength(choice.strength) if choice.strength > 0 else ""
    return render_method_plot(
        panel.figure, choice.method, style, note=panel.note, at=at, rule=panel.rule
    )


def _render_canvas(name: str, label: str) -> str:
    return (
        f'<div class="plot" data-figure="{escape(name)}" role="img" '
        f'aria-label="{escape(label)}"></div>'
    )
