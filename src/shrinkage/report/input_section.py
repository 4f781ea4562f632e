"""The section on inputs: how much each matters to the chosen models, and which they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shrinkage.figures.labels import escape_label, format_strength, is_number
from shrinkage.figures.style import Figure, Style, Trace
from shrinkage.report.html_table import render_number_cell, render_sortable_table
from shrinkage.report.page_text import escape
from shrinkage.study.data.column_reading import join_words
from shrinkage.study.formatting import MISSING, format_page_with_error, pluralize
from shrinkage.study.records import Choice, FeatureUse
from shrinkage.study.results import Results
from shrinkage.study.results_text import describe_leading
from shrinkage.study.scores import Metric
from shrinkage.study.summary import rank_features

MOST_BARS = 20
MOST_ROWS = 200  # inputs in the table; features.csv has all
MOST_NAMES = 8  # of inputs in the caption
MOST_LETTERS = 24  # of an input's name beside its bar
BAR, MARGIN = 22, 64  # pixels: the height of a bar with its gap, and of the axis below


@dataclass(frozen=True)
class _ChosenModel:
    """A chosen model and how it uses each input, the most important input first."""

    choice: Choice
    uses: list[FeatureUse]

    @property
    def key(self) -> str:
        """The name by which the page's script finds its bars."""
        return f"{self.choice.method}|{self.choice.rule}"

    @property
    def title(self) -> str:
        at = f" at {format_strength(self.choice.strength)}" if self.choice.strength else ""
        return self.choice.method + at


def render_inputs(results: Results, styles: Mapping[str, Style]) -> tuple[list[Figure], str]:
    """A figure of importances, and a table of each input and each method.

    Both are empty for a study that is not finished, and for one of an earlier version, which did
    not measure its inputs.
    """
    models = _collect_models(results, list(styles))
    if not models:
        return [], ""
    figure, table = _render_figure(models, results), _render_table(models, styles, results)
    html = f'<section class="inputs">\n<h2>Inputs</h2>\n{figure}\n{table}\n</section>'
    return [_draw_importances(models, styles, results.metric)], html


def _collect_models(results: Results, methods: Sequence[str]) -> list[_ChosenModel]:
    """One model of each method, by the rule that chose the recommended one, which comes first."""
    if not results.choices:
        return []
    metric = results.metric
    best = max(results.choices, key=lambda choice: metric.gain(choice.validation_mean))
    first = results.recommended or best
    chosen = {choice.method: choice for choice in reversed(results.choices)}
    chosen |= {choice.method: choice for choice in results.choices if choice.rule == first.rule}
    order = sorted(methods, key=lambda method: method != first.method)
    models = [
        _ChosenModel(choice, rank_features(results.features_of(method, choice.strength)))
        for method, choice in ((method, chosen[method]) for method in order if method in chosen)
    ]
    return [model for model in models if model.uses]


def describe_uses(title: str, uses: Sequence[FeatureUse], split: str) -> str:
    """Which inputs a method uses in every split of the rows, by name, and how many in none.

    >>> kept = {"a": 3, "b": 3, "c": 0}
    >>> uses = [FeatureUse("l1", 0.1, name, seeds, 3, 0.0, 0.0) for name, seeds in kept.items()]
    >>> describe_uses("l1", uses, "seed")
    'l1 uses a and b of 3 inputs in every seed, and 1 in none.'
    """
    always = [use.feature for use in uses if use.kept == use.seeds]
    never = sum(use.kept == 0 for use in uses)
    some = len(uses) - len(always) - never
    inputs = pluralize(len(uses), "input")
    if len(always) == len(uses):
        return f"{title} uses all {inputs} in every {split}."
    named = f"{len(always)} of {inputs}"
    if 0 < len(always) <= MOST_NAMES:
        named = f"{join_words(always)} of {inputs}"
    clauses = [f"{title} uses {named} in every {split}"]
    clauses += [f"{some} in some"] if some else []
    clauses += [f"{never} in none"] if never else []
    return (
        f"{', '.join(clauses[:-1])}, and {clauses[-1]}." if len(clauses) > 1 else f"{clauses[0]}."
    )


def _render_figure(models: Sequence[_ChosenModel], results: Results) -> str:
    first = models[0]
    in_order = results.features_of(
        first.choice.method, first.choice.strength
    )  # of the columns in the data
    metric, split = results.metric, results.repeat
    used = sum(use.kept > 0 for use in first.uses)
    sentences = [
        describe_uses(first.title, in_order, split),
        describe_leading(first.uses),
        f"A bar is the {metric.title} that is {_name_change(metric)} on validation rows when the "
        f"values of an input are shuffled among them, mean over {split}s with its standard error.",
    ]
    if used > MOST_BARS:
        sentences.append(f"The {MOST_BARS} most important inputs are shown.")
    options = "".join(
        f'<option value="{escape(model.key)}">{escape(model.title)}: '
        f"uses {sum(use.kept > 0 for use in model.uses)} of {pluralize(len(model.uses), 'input')}"
        "</option>"
        for model in models
    )
    switch = (
        f'<p class="switch"><label>Model <select id="model">{options}</select></label></p>\n'
        if len(models) > 1
        else ""
    )
    height = BAR * _count_bars(models) + MARGIN
    return (
        f"<figure>\n<h3>Importance of the inputs</h3>\n"
        f"<figcaption>{escape(' '.join(filter(None, sentences)))}</figcaption>\n{switch}"
        f'<div class="plot" data-figure="inputs" role="img" style="height: {height}px" '
        'aria-label="Importance of the inputs"></div>\n</figure>'
    )


def _count_bars(models: Sequence[_ChosenModel]) -> int:
    most = max(sum(use.kept > 0 for use in model.uses) for model in models)
    return max(1, min(most, MOST_BARS))


def _draw_importances(
    models: Sequence[_ChosenModel], styles: Mapping[str, Style], metric: Metric
) -> Figure:
    """Horizontal bars of each model, of which the page shows one model at a time."""
    traces = [_draw_bars(model, styles[model.choice.method], metric) for model in models]
    layout = {
        "xaxis": {
            "title": {"text": f"{metric.title} {_name_change(metric)}"},
            "zeroline": True,
            "rangemode": "tozero",
        },
        "yaxis": {
            "type": "category",
            # As many places as the model with the most inputs needs: bars are equally thick.
            "range": [_count_bars(models) - 0.5, -0.5],
            "showgrid": False,
            "tickfont": {"color": "@ink"},
            "dtick": 1,
        },
        "bargap": 0.4,
    }
    return Figure("inputs", traces, layout)


def _draw_bars(model: _ChosenModel, style: Style, metric: Metric) -> Trace:
    uses = [use for use in model.uses if use.kept][:MOST_BARS]
    return {
        "type": "bar",
        "orientation": "h",
        "x": [use.importance for use in uses],
        "y": _label_bars([use.feature for use in uses]),
        "error_x": {
            "array": [
                use.importance_error if is_number(use.importance_error) else 0 for use in uses
            ],
            "color": "@ink",
            "thickness": 1,
            "width": 2,
        },
        "marker": {"color": style.color, "line": {"width": 0}},
        "hoverinfo": "text",
        "hovertext": [
            f"<b>{escape_label(use.feature)}</b><br>{metric.title} {_name_change(metric)} "
            f"{format_page_with_error(use.importance, use.importance_error)}<br>"
            f"used in {use.kept} of {use.seeds}<br>{_describe_slope(use)}"
            for use in uses
        ],
        "meta": {"model": model.key},
    }


def _label_bars(names: Sequence[str]) -> list[str]:
    """Names short enough to stand beside bars, and still all different, as categories must be."""
    labels: list[str] = []
    for name in names:
        short = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
        label = escape_label(short)
        while label in labels:
            label += "\u200b"  # a space without width
        labels.append(label)
    return labels


def _describe_slope(use: FeatureUse) -> str:
    return "" if use.original is None else f"coefficient {use.original:.3g}".replace("-", "−")


def _name_change(metric: Metric) -> str:
    return "lost" if metric.best else "added"


def _render_table(
    models: Sequence[_ChosenModel], styles: Mapping[str, Style], results: Results
) -> str:
    """A row for each input, with a cell for each model: importance, seeds, coefficient."""
    metric, split = results.metric, results.repeat
    names = [use.feature for use in models[0].uses[:MOST_ROWS]]
    use_of = [{use.feature: use for use in model.uses} for model in models]
    rows = [
        f'<tr><th scope="row" data-value="{escape(name)}"><code>{escape(name)}</code></th>'
        f"{''.join(_render_use(uses.get(name)) for uses in use_of)}</tr>"
        for name in names
    ]
    columns = [("Input", "text")]
    for model in models:
        method, strength = model.choice.method, model.choice.strength
        at = f' <span class="of">at {format_strength(strength)}</span>' if strength else ""
        swatch = f'<span class="swatch" style="{styles[method].css}"></span>'
        breakable = escape(method).replace(":", ":<wbr>").replace("@", "@<wbr>")
        columns.append((f"{swatch}<code>{breakable}</code>{at}", "number"))
    sentences = [
        f"The {metric.title} that is {_name_change(metric)} when an input is shuffled, and in how "
        f"many {split}s it is used, where not in all; {MISSING} means in none.",
    ]
    if any(use.original is not None for model in models for use in model.uses):
        sentences.append(
            f"The coefficient is per unit of the input, mean over {split}s; text has one for each "
            "level, which are not shown."
        )
    more = len(models[0].uses) - len(names)
    if more > 0:
        sentences.append(f"features.csv has {pluralize(more, 'more input')}.")
    return render_sortable_table(
        "Inputs", columns, rows, " ".join(sentences), kind="inputs", sorted_by=columns[1][0]
    )


def _render_use(use: FeatureUse | None) -> str:
    if use is None or not use.kept:
        return render_number_cell(None, MISSING)
    facts = [f"in {use.kept} of {use.seeds}"] if use.kept < use.seeds else []
    facts += [slope] if (slope := _describe_slope(use)) else []
    content = format_page_with_error(use.importance, use.importance_error)
    if facts:
        content += f'<br><span class="of">{"; ".join(facts)}</span>'
    return render_number_cell(use.importance, content)
