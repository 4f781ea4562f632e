"""The page of a study, in the order of what a reader wants to know."""

from __future__ import annotations

from pathlib import Path

from shrinkage.report.chosen import training_figures, weight_panels
from shrinkage.report.curves import front_figure, score_figure, zeros_figure
from shrinkage.report.looks import Figure, looks
from shrinkage.report.page import render
from shrinkage.report.provenance import data_facts, what_was_run
from shrinkage.report.regions import class_names, is_classes, point_traces, region_panels
from shrinkage.report.score_axis import lowest_in_view
from shrinkage.report.sections import class_key, figure, legend, panels, rule_switch
from shrinkage.report.summary import Cell, cells, method_order
from shrinkage.report.table import choice_table
from shrinkage.report.text import escaped
from shrinkage.study.files import write_whole
from shrinkage.study.records import Results
from shrinkage.study.wording import count

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
    """
    write_whole(Path(path), report_page(results))


def report_page(results: Results) -> str:
    """The report as HTML."""
    method_looks = looks(method_order(results))
    summary = cells(results.records)
    curves, curves_html = _all_strengths(results, summary)
    chosen, chosen_html = _chosen_models(results)
    body = "\n".join(
        part
        for part in (
            _header(results),
            choice_table(results, method_looks),
            _figures_section(legend(method_looks), curves_html, chosen_html),
            what_was_run(results),
        )
        if part
    )
    name = str(results.data.get("name", "study"))
    points = {"points": point_traces(results)}
    return render(f"{name} – shrinkage", body, [*curves, *chosen], points)


def _header(results: Results) -> str:
    name = results.data.get("name", "A study")
    return (
        '<header>\n<p class="kicker">Weight regularization, compared</p>\n'
        f'<h1>{escaped(name)}</h1>\n<p class="facts">{escaped(data_facts(results))}</p>\n'
        f'</header>\n<p class="verdict">{escaped(results.verdict or _standing(results))}</p>'
    )


def _standing(results: Results) -> str:
    """What to say while there is no verdict."""
    if not results.records:
        return "This study has no trials yet."
    if all(record.status != "ok" for record in results.records):
        return "Every trial so far has diverged; the reasons are listed below."
    trials = count(len(results.records), "trial")
    return f"This study is not finished: {trials} so far."


def _figures_section(legend_html: str, curves: str, chosen: str) -> str:
    """All figures under one legend, which stays in view while they scroll by."""
    if not curves:
        return ""
    heading = "<h2>Every strength</h2>"
    return f'<section class="figures">\n{heading}\n{legend_html}{curves}\n{chosen}</section>'


def _all_strengths(results: Results, summary: list[Cell]) -> tuple[list[Figure], str]:
    if not any(cell.seeds for cell in summary):
        return [], ""
    method_looks = looks(method_order(results))
    score = "accuracy" if is_classes(results) else "R²"
    drawn = [score_figure(summary, results.choices, method_looks, results.trivial)]
    html = [
        figure(
            "score",
            "Score against strength",
            _score_caption(results, summary),
            f"validation {score}",
        ),
    ]
    if any(cell.strength > 0 for cell in summary):
        drawn.append(zeros_figure(summary, results.choices, method_looks))
        caption = "The share of weights that are exactly zero, mean over seeds."
        html.append(figure("zeros", "Zeros against strength", caption, "exact zeros"))
    drawn.append(front_figure(summary, results.choices, method_looks, results.trivial))
    caption = (
        "Up and to the right is better. The pale line is the Pareto front: "
        "no model has both a better score and more zeros than one on it."
    )
    html.append(figure("front", "Score against zeros", caption, f"validation {score}"))
    return drawn, "\n".join(html)


def _score_caption(results: Results, summary: list[Cell]) -> str:
    seeds = max(cell.seeds + cell.diverged for cell in summary)
    said = [
        f"Mean over {seeds} seeds, with a band of one standard error to either side."
        if seeds > 1
        else "One seed, so there is no standard error.",
        "A star marks the best mean, a diamond the strongest within one standard error of it.",
    ]
    if any(cell.method == "none" for cell in summary):
        said.append("The dashed level is the model without a penalty.")
    if results.trivial is not None:
        said.append(f"The dotted level is {results.trivial.name}: a model is of use only above it.")
    if any(cell.diverged for cell in summary):
        said.append("A strength with a diverged seed is a cross.")
    if lowest_in_view(summary, results.choices, results.trivial) is not None:
        said.append("Scores far below are out of view; a double-click brings them in.")
    return " ".join(said)


def _chosen_models(results: Results) -> tuple[list[Figure], str]:
    method_looks = looks(method_order(results))
    weights = weight_panels(results, method_looks)
    regions = region_panels(results)
    training = training_figures(results, method_looks)
    if not (weights or regions or training):
        return [], ""
    html = ["<h2>The chosen models</h2>", rule_switch(results.choices)]
    if regions:
        title = "Decision regions" if is_classes(results) else "Predictions over the plane"
        caption = "What the first seed's model predicts, with points of the data."
        key = class_key(class_names(results)) if is_classes(results) else ""
        html.append(panels(title, caption, regions, method_looks, key))
    if weights:
        caption = (
            "All seeds together, biases apart, over one range; the few beyond it are counted in "
            "the outermost bars. The stem stands for the exact zeros, which the bars leave out."
        )
        html.append(panels("Weights", caption, weights, method_looks))
    html += [figure(drawn.name, *TRAINING_TEXT[drawn.name]) for drawn in training]
    drawn = [panel.figure for panel in [*regions, *weights]] + training
    return drawn, "\n".join(part for part in html if part)
