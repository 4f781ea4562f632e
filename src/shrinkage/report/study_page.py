"""The page of a study, in the order of what a reader wants to know."""

from __future__ import annotations

from pathlib import Path

from shrinkage.figures.style import Figure, assign_styles
from shrinkage.report.choice_table import render_choices
from shrinkage.report.chosen_models import draw_training, draw_weight_panels
from shrinkage.report.decision_regions import draw_points, draw_region_panels
from shrinkage.report.figure_html import (
    render_class_key,
    render_figure,
    render_legend,
    render_panels,
    render_rule_switch,
)
from shrinkage.report.input_section import render_inputs
from shrinkage.report.model_section import render_model
from shrinkage.report.page_frame import render_page
from shrinkage.report.page_text import escape
from shrinkage.report.provenance import describe_data, render_provenance
from shrinkage.study.formatting import pluralize
from shrinkage.study.plots.score_axis import find_worst_in_view
from shrinkage.study.plots.strength_curves import draw_front, draw_scores, draw_zeros
from shrinkage.study.results import Results
from shrinkage.study.storage.atomic_write import write_atomically
from shrinkage.study.summary import Cell, summarize

TRAINING_TEXT = {
    "data_loss": (
        "Data loss over training",
        "The loss on the training part without its penalty, mean over seeds.",
        "data loss",
    ),
    "penalty": (
        "Penalty over training",
        "What each method adds to the loss, at its own strength.",
        "penalty",
    ),
}


def write_report(results: Results, path: Path) -> None:
    """Write the report of a study, finished or not, as one HTML file.

    The page opens offline and asks nothing of the network. It appears whole or not at all: what
    was at `path` stays until the new page is complete. Nothing is trained; the same results give
    the same page.

    With the results of `shrinkage.study.compare` or `load`::

        write_report(results, Path("report.html"))
    """
    write_atomically(Path(path), render_report(results))


def render_report(results: Results) -> str:
    """The report as HTML."""
    styles = assign_styles(results.methods)
    summary = summarize(results.comparable)
    curves, curves_html = _draw_all_strengths(results, summary)
    chosen, chosen_html = _draw_chosen_models(results)
    inputs, inputs_html = render_inputs(results, styles)
    body = "\n".join(
        part
        for part in (
            _render_header(results),
            render_choices(results, styles),
            inputs_html,
            _render_figures(render_legend(styles), curves_html, chosen_html),
            render_provenance(results),
            render_model(results),
        )
        if part
    )
    name = str(results.data.get("name", "study"))
    points = {"points": draw_points(results)}
    return render_page(f"{name} – shrinkage", body, [*inputs, *curves, *chosen], points)


def _render_header(results: Results) -> str:
    name = results.data.get("name", "A study")
    verdict = escape(results.verdict or results.describe_progress())
    return (
        '<header>\n<p class="kicker">Weight regularization, compared</p>\n'
        f'<h1>{escape(name)}</h1>\n<p class="facts">{escape(describe_data(results))}</p>\n'
        f'</header>\n<p class="verdict">{verdict}</p>'
    )


def _render_figures(legend_html: str, curves: str, chosen: str) -> str:
    """All figures under one legend, which stays in view while they scroll by."""
    if not curves:
        return ""
    heading = "<h2>Every strength</h2>"
    return f'<section class="figures">\n{heading}\n{legend_html}{curves}\n{chosen}</section>'


def _draw_all_strengths(results: Results, summary: list[Cell]) -> tuple[list[Figure], str]:
    if not any(cell.seeds for cell in summary):
        return [], ""
    styles = assign_styles(results.methods)
    metric, baseline = results.metric, results.baseline
    figures = [draw_scores(summary, results.choices, styles, baseline, metric)]
    html = [
        render_figure(
            "score",
            "Score against strength",
            _caption_scores(results, summary),
            f"validation {metric.title}",
        ),
    ]
    if any(cell.strength > 0 for cell in summary):
        figures.append(draw_zeros(summary, results.choices, styles))
        caption = "The share of weights that are exactly zero, mean over seeds."
        html.append(render_figure("zeros", "Zeros against strength", caption, "exact zeros"))
    figures.append(draw_front(summary, results.choices, styles, baseline, metric))
    caption = (
        f"{'Up' if metric.best else 'Down'} and to the right is better. The pale line is the "
        "Pareto front: no model has both a better score and more zeros than one on it."
    )
    html.append(
        render_figure("front", "Score against zeros", caption, f"validation {metric.title}")
    )
    return figures, "\n".join(html)


def _caption_scores(results: Results, summary: list[Cell]) -> str:
    seeds = max(cell.seeds + cell.diverged for cell in summary)
    sentences = [
        f"Mean over {pluralize(seeds, results.repeat)}, with a band of one standard error to "
        "either side."
        if seeds > 1
        else "One seed, so there is no standard error.",
        "A star marks the best mean, a diamond the strongest within one standard error of it.",
    ]
    if any(cell.method == "none" for cell in summary):
        sentences.append("The dashed level is the model without a penalty.")
    if results.baseline is not None:
        sentences.append(
            f"The dotted level is {results.baseline.name}: a model is of use only "
            f"{'above' if results.metric.best else 'below'} it."
        )
    if any(cell.diverged for cell in summary):
        sentences.append("A strength with a diverged trial is a cross.")
    if find_worst_in_view(summary, results.choices, results.baseline, results.metric) is not None:
        sentences.append(
            "Scores that are far worse are out of view; a double-click brings them in."
        )
    return " ".join(sentences)


def _draw_chosen_models(results: Results) -> tuple[list[Figure], str]:
    styles = assign_styles(results.methods)
    weights = draw_weight_panels(results, styles)
    regions = draw_region_panels(results)
    training = draw_training(results, styles)
    if not (weights or regions or training):
        return [], ""
    html = ["<h2>The chosen models</h2>", render_rule_switch(results.choices)]
    if regions:
        title = "Decision regions" if results.task == "classes" else "Predictions over the plane"
        caption = "What the first seed's model predicts, with points of the data."
        key = render_class_key(results.data.get("classes", [])) if results.task == "classes" else ""
        html.append(render_panels(title, caption, regions, styles, key))
    if weights:
        caption = (
            "All seeds together, biases apart, over one range; the few beyond it are counted in "
            "the outermost bars. The stem stands for the exact zeros, which the bars leave out."
        )
        html.append(render_panels("Weights", caption, weights, styles))
    html += [render_figure(figure.name, *TRAINING_TEXT[figure.name]) for figure in training]
    figures = [*(panel.figure for panel in [*regions, *weights]), *training]
    return figures, "\n".join(part for part in html if part)
