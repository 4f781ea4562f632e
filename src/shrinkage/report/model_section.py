"""The last section: how to use the model that was fitted."""

from __future__ import annotations

from pathlib import Path

from shrinkage.figures.labels import format_strength
from shrinkage.report.page_text import escape
from shrinkage.study.data.column_reading import join_words
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.model.code_examples import (
    explain_reading,
    explain_sklearn,
    write_command,
    write_python,
    write_sklearn,
    write_torch,
)
from shrinkage.study.model.fitted import MODEL, FittedModel, load_model
from shrinkage.study.model.predictions import describe_fit
from shrinkage.study.results import Results

MOST_NAMES = 12  # of columns that the model needs


def render_model(results: Results) -> str:
    """The command that predicts, and the same in Python, torch and scikit-learn.

    It is empty where the study's folder holds no model of this study.
    """
    folder = results.folder
    if folder is None or not (folder / MODEL).is_dir():
        return ""
    try:
        model = load_model(folder)
    except UsageError:  # the model is damaged
        return ""
    if model.facts.get("study") != results.question.get("digest"):
        return ""
    # The folder as one would type it here, however it was named before.
    working_folder = Path.cwd()
    full = folder.resolve()
    folder = full.relative_to(working_folder) if full.is_relative_to(working_folder) else full
    parts = [
        "<h2>Use this model</h2>",
        f"<p>{escape(f'{_describe(model)} {_describe_inputs(model)}')}</p>",
        _render_program("On the command line", write_command(folder)),
        _render_program("In Python", write_python(model, folder)),
        _render_program("With torch alone", write_torch(model, folder), explain_reading(model)),
        _render_sklearn(model, str(results.question.get("data", ""))),
    ]
    lines = "\n".join(part for part in parts if part)
    return f'<section class="use">\n{lines}\n</section>'


def _describe(model: FittedModel) -> str:
    at = f" at {format_strength(model.strength)}" if model.strength else ""
    return f"{model.method}{at}: {describe_fit(model)}."


def _describe_inputs(model: FittedModel) -> str:
    count = len(model.encoding.columns)
    if not model.kept:
        return f"It uses none of {pluralize(count, 'input')}."
    if len(model.kept) == count:
        return f"It uses all {pluralize(count, 'input')}."
    if len(model.kept) > MOST_NAMES:
        return f"It uses {len(model.kept)} of {pluralize(count, 'input')}."
    return (
        f"It uses {join_words(model.kept)} of {pluralize(count, 'input')}; new rows need no other "
        "column."
    )


def _render_sklearn(model: FittedModel, data: str) -> str:
    if model.model != "linear":
        return ""
    reason = explain_sklearn(model)
    if reason:
        return f'<h3>With scikit-learn</h3>\n<p class="remark">{escape(reason)}</p>'
    is_csv = data.lower().endswith(".csv")
    path = data if is_csv else "ROWS.csv"
    remark = "" if is_csv else "ROWS.csv stands for the study's rows, saved as such. "
    remark += (
        "The strength is converted, and means the same for any number of rows. Fitted on the same "
        "rows, the coefficients agree as far as the training of this model had converged."
    )
    remark = " ".join(filter(None, (remark, explain_reading(model))))
    return _render_program("With scikit-learn", write_sklearn(model, path), remark)


def _render_program(title: str, text: str, remark: str = "") -> str:
    if not text:
        return ""
    remark_html = f'\n<p class="remark">{escape(remark)}</p>' if remark else ""
    return f'<h3>{escape(title)}</h3>\n<pre class="command">{escape(text)}</pre>{remark_html}'
