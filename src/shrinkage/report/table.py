"""The table of chosen strengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from shrinkage.report.looks import Look
from shrinkage.report.summary import diverged, mean_and_error
from shrinkage.report.text import escaped, is_number, number, plus_minus, shown_score, strength
from shrinkage.study.emptied import is_emptied
from shrinkage.study.glossary import glossary
from shrinkage.study.records import Choice, Results, Trivial
from shrinkage.study.wording import MISSING, count, share, whole

COLUMNS = (
    ("Method", "text"),
    ("Rule", "text"),
    ("Strength", "number"),
    ("Validation", "number"),
    ("Test", "number"),
    ("Zeros", "number"),
    ("Dead neurons", "number"),
    ("Seconds", "number"),
    ("Notes", "text"),
)
REMARK = "Means over seeds. Only these models were scored on the test part."
SORTED_BY = "Validation"


def choice_table(results: Results, looks: Mapping[str, Look]) -> str:
    """One row a choice and one for the trivial model, the best validation score first.

    The columns can be sorted.
    """
    if not results.choices:
        return ""
    heads = "".join(column_head(name, kind, is_sorted=name == SORTED_BY) for name, kind in COLUMNS)
    scale = _scale(results.choices)
    rows = [
        (choice.validation_mean, _row(choice, results, looks[choice.method], scale))
        for choice in results.choices
    ]
    if results.trivial is not None:
        rows.append((fmean(results.trivial.validation_scores), _trivial_row(results.trivial)))
    ordered = sorted(rows, key=lambda row: -row[0] if is_number(row[0]) else math.inf)
    html = "\n".join(row for _, row in ordered)
    return sortable("Chosen strengths", heads, html, REMARK) + _glossary(results)


def _glossary(results: Results) -> str:
    """What the words of the table and of the figures mean."""
    terms = "\n".join(
        f"<div><dt>{escaped(term)}</dt><dd>{escaped(meaning)}</dd></div>"
        for term, meaning in glossary(results)
    )
    return f'\n<h3 class="reading">How to read this</h3>\n<dl class="glossary">\n{terms}\n</dl>'


def _trivial_row(trivial: Trivial) -> str:
    validation, error = mean_and_error(trivial.validation_scores)
    test, _ = mean_and_error(trivial.test_scores)
    missing = number_cell(None, MISSING)
    cells = [
        f'<th scope="row" data-value="{escaped(trivial.name)}" style="--look: var(--soft)">'
        f'<span class="swatch"></span>{escaped(trivial.name)}</th>',
        text_cell(MISSING),
        missing,
        number_cell(validation, plus_minus(validation, error)),
        number_cell(test, plus_minus(test, trivial.test_error)),
        missing,
        missing,
        missing,
        text_cell(f"always {trivial.answer}" if trivial.answer else ""),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def sortable(label: str, heads: str, rows: str, remark: str, *, kind: str = "") -> str:
    """A table that can be sorted, from its heads and rows as HTML; `kind` is a class of its own."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(label)}">\n'
        f'<table class="{f"sortable {kind}".strip()}">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        f'<p class="remark">{escaped(remark)}</p>'
    )


def column_head(name: str, kind: str, *, is_sorted: bool = False) -> str:
    """The head of a column of kind "text" or "number", by which the table can be sorted."""
    sort = ' aria-sort="descending"' if is_sorted else ""
    return (
        f'<th scope="col" class="{kind}" data-kind="{kind}"{sort}>'
        f'<button type="button">{name}</button></th>'
    )


def _row(choice: Choice, results: Results, look: Look, scale: tuple[float, float]) -> str:
    test, _ = mean_and_error(choice.test_scores)
    each_test = ", ".join(shown_score(score) for score in choice.test_scores)
    dead = MISSING
    if choice.neurons and is_number(choice.dead_neurons):
        of = f'<span class="of"> / {choice.neurons}</span>'
        dead = f"{whole(choice.dead_neurons, choice.neurons)}{of}"
    cells = [
        method_head(choice.method, look),
        text_cell(MISSING if choice.method == "none" else choice.rule),
        number_cell(
            choice.strength, MISSING if choice.strength == 0 else strength(choice.strength)
        ),
        number_cell(choice.validation_mean, _validation(choice, look, scale)),
        number_cell(
            test,
            plus_minus(test, choice.test_error),
            f"each seed: {each_test}" if each_test else "",
        ),
        number_cell(choice.zeros, share(choice.zeros)),
        number_cell(choice.dead_neurons if choice.neurons else None, dead),
        number_cell(choice.seconds, number(choice.seconds, 2)),
        text_cell(_notes(choice, results)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def method_head(method: str, look: Look) -> str:
    """The head of a method's row."""
    return (
        f'<th scope="row" data-value="{escaped(method)}" style="{look.css}">'
        f'<span class="swatch"></span><code>{escaped(method)}</code></th>'
    )


def text_cell(text: str) -> str:
    """A cell that shows text and sorts by it."""
    return f'<td class="text" data-value="{escaped(text)}">{escaped(text)}</td>'


def number_cell(value: float | None, shown: str, title: str = "") -> str:
    """A cell that sorts by `value` and shows `shown`, which is HTML."""
    key = repr(float(value)) if value is not None and is_number(value) else ""
    hint = f' title="{escaped(title)}"' if title else ""
    return f'<td class="number" data-value="{key}"{hint}>{shown}</td>'


def _scale(choices: Sequence[Choice]) -> tuple[float, float]:
    """From the lowest to the highest end of the intervals, so that all have the same ruler."""
    ends = [
        choice.validation_mean
        + side * (choice.validation_se if is_number(choice.validation_se) else 0)
        for choice in choices
        for side in (-1, 1)
    ]
    finite = np.array([end for end in ends if is_number(end)])
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _validation(choice: Choice, look: Look, scale: tuple[float, float]) -> str:
    """The mean and its error in figures, and as a dot with whiskers."""
    mean, error = choice.validation_mean, choice.validation_se
    shown = plus_minus(mean, error)
    if not is_number(mean) or scale[0] == scale[1]:
        return shown
    low, middle, high = (
        4
        + 64 * (mean + side * (error if is_number(error) else 0) - scale[0]) / (scale[1] - scale[0])
        for side in (-1, 0, 1)
    )
    return (
        f'<svg class="interval" viewBox="0 0 72 12" aria-hidden="true" style="{look.css}">'
        f'<path d="M{low:.1f} 6H{high:.1f}"/><circle cx="{middle:.1f}" cy="6" r="3"/></svg>{shown}'
    )


def _notes(choice: Choice, results: Results) -> str:
    """What to know before trusting the row."""
    own = [record for record in results.records if record.trial.method == choice.method]
    lost = len(diverged(own))
    notes = []
    if choice.edge:
        notes.append(f"{choice.edge} of the grid")
    if is_emptied(results, choice):
        notes.append("the same answer for every row")
    if lost:
        notes.append(f"{lost} of {count(len(own), 'trial')} diverged")
    return "; ".join(notes)
