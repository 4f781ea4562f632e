"""The page of a path: what to use, the score by the number of inputs, each input by name."""

from __future__ import annotations

from pathlib import Path

from shrinkage.figures.labels import format_strength
from shrinkage.report.figure_html import render_figure
from shrinkage.report.html_table import (
    render_number_cell,
    render_sortable_table,
    render_text_cell,
)
from shrinkage.report.page_frame import render_page
from shrinkage.report.page_text import escape, format_number
from shrinkage.report.provenance import render_facts
from shrinkage.study.formatting import MISSING, format_share, pluralize
from shrinkage.study.path.files import rank_inputs
from shrinkage.study.path.records import InputFacts
from shrinkage.study.path.results import PathResults
from shrinkage.study.storage.atomic_write import write_atomically

COLUMNS = (
    ("Input", "text"),
    ("Kept", "text"),
    ("Enters at", "number"),
    ("Stability", "number"),
    ("Norm", "number"),
    ("Columns", "number"),
)


def write_path(results: PathResults, path: Path) -> None:
    """Write the page of a path; it opens offline, and appears whole or not at all.

    Examples
    --------
    With what `shrinkage.study.fit_path` gives::

        write_path(path, Path("path.html"))
    """
    write_atomically(Path(path), render_path(results))


def render_path(results: PathResults) -> str:
    """The page as HTML."""
    figures = [results.draw_scores(), results.draw_norms()]
    body = "\n".join(
        (
            _render_header(results),
            '<section class="figures">',
            render_figure(
                "path-score",
                "Score against the number of inputs",
                _caption_scores(results),
                f"validation {results.metric}",
            ),
            render_figure(
                "path-norms",
                "The weights of each input against the strength",
                "The norm of an input's weights in the first layer, of the model of all rows but "
                "the test part, as the penalty shrank it. An input leaves where its line reaches "
                "0. Chosen inputs have colours; the dotted line is the chosen strength; point at "
                "a line for its name.",
                "norm of the weights",
            ),
            "</section>",
            _render_inputs(results),
            _render_provenance(results),
        )
    )
    return render_page(f"{results.data} – path – shrinkage", body, figures)


def _render_header(results: PathResults) -> str:
    facts = " · ".join(
        (
            f"predicts {results.target}",
            pluralize(results.rows["rest"] + results.rows["test"], "row"),
            pluralize(len(results.inputs), "input"),
            f"{results.settings['penalty']}, {results.settings['model']}",
        )
    )
    return (
        '<header>\n<p class="kicker">Which inputs matter, and how many</p>\n'
        f'<h1>{escape(results.data)}</h1>\n<p class="facts">{escape(facts)}</p>\n</header>\n'
        f'<p class="verdict">{escape(results.describe())}</p>'
    )


def _caption_scores(results: PathResults) -> str:
    seeds = results.settings["seeds"]
    mean = (
        f"Mean over {seeds} splits, with a band of one standard error to either side."
        if seeds > 1
        else "One split, so there is no standard error."
    )
    return (
        f"{mean} Each score is the better one, on validation rows, of the models as the penalty "
        "shrank them and of those trained on without a penalty on the same inputs (relaxed). "
        "The line joins the best strength for each number of inputs; pale points are the "
        "other strengths. A star marks the best score, a diamond the fewest inputs within one "
        f"standard error of it. The dotted level is {results.trivial['name']}."
    )


def _render_inputs(results: PathResults) -> str:
    rows = [_render_input(each, results) for each in rank_inputs(results)]
    resamples = results.settings["resamples"]
    stability = (
        f"Stability is the share of {resamples} models, each of another half of the rows, that "
        "keep the input at the chosen strength."
        if resamples
        else "Without resamples there is no stability."
    )
    remark = (
        "An input enters at the largest strength at which it is kept. "
        f"{stability} Norm is that of its weights at the chosen strength. A text column is one "
        "input with a column for each of its levels."
    )
    table = render_sortable_table("Inputs", COLUMNS, rows, remark)
    return f"<section>\n<h2>Every input</h2>\n{table}\n</section>"


def _render_input(each: InputFacts, results: PathResults) -> str:
    name = escape(each.name)
    cells = [
        f'<th scope="row" data-value="{name}"><code>{name}</code></th>',
        render_text_cell("kept" if each.is_kept else ""),
        render_number_cell(
            each.entering, MISSING if each.entering is None else format_strength(each.entering)
        ),
        render_number_cell(each.stability, format_share(each.stability)),
        render_number_cell(each.norm, format_number(each.norm) if each.norm else "0"),
        render_number_cell(float(each.columns), str(each.columns)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _render_provenance(results: PathResults) -> str:
    command = results.provenance.get("command", "")
    made = {key: value for key, value in results.provenance.items() if key != "command"}
    facts = {**results.rows, "notes": list(results.notes)} if results.notes else results.rows
    parts = [
        "<h2>What was run</h2>",
        f'<pre class="command">{escape(command)}</pre>' if command else "",
        '<div class="columns">',
        render_facts("The path", results.settings),
        render_facts("The rows", facts),
        render_facts("Made with", made),
        "</div>",
    ]
    lines = "\n".join(part for part in parts if part)
    return f'<section class="run">\n{lines}\n</section>'
