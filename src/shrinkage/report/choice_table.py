"""The table of the chosen strengths, and the words that explain it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from shrinkage.figures.labels import format_strength, is_number
from shrinkage.figures.style import Style
from shrinkage.report.html_table import (
    render_number_cell,
    render_row_head,
    render_sortable_table,
    render_text_cell,
)
from shrinkage.report.page_text import escape, format_number
from shrinkage.study.formatting import (
    MISSING,
    format_page_score,
    format_page_with_error,
    format_share,
    pluralize,
    round_units,
)
from shrinkage.study.records import Baseline, Choice
from shrinkage.study.results import Results
from shrinkage.study.summary import estimate_mean, merge_rules

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
REMARK = "Means over seeds{folds}. Only these models were scored on the test part."
SO_FAR = "Means over seeds{folds}. The choices are so far, and the test part is scored at the end."


def render_choices(results: Results, styles: Mapping[str, Style]) -> str:
    """A row for each chosen strength and one for the trivial model, the best validation first.

    A strength that both rules chose has one row.
    """
    if not results.choices:
        return ""
    scale = _find_scale(results.choices)
    rows = [
        (
            choices[0].validation_mean,
            _render_row(choices, results, styles[choices[0].method], scale),
        )
        for choices in merge_rules(results.choices)
    ]
    baseline = results.baseline
    if baseline is not None:
        rows.append((fmean(baseline.validation_scores), _render_baseline_row(baseline)))
    gain = results.metric.gain
    rows.sort(key=lambda row: -gain(row[0]) if is_number(row[0]) else math.inf)
    table = render_sortable_table(
        "Chosen strengths" if results.verdict else "Chosen strengths so far",
        COLUMNS,
        [row for _, row in rows],
        (REMARK if results.verdict else SO_FAR).format(folds=" and folds" if results.folds else ""),
        sorted_by="Validation",
        ascending=not results.metric.best,
    )
    terms = "\n".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(meaning)}</dd></div>"
        for term, meaning in results.explain_terms()
    )
    return (
        f'{table}\n<h3 class="reading">How to read this</h3>\n<dl class="glossary">\n{terms}\n</dl>'
    )


def _render_row(
    choices: Sequence[Choice], results: Results, style: Style, scale: tuple[float, float]
) -> str:
    """One strength of a method, under all the rules that chose it."""
    choice = choices[0]
    rules = ", ".join(each.rule for each in choices)
    test, _ = estimate_mean(choice.test_scores)
    each_test = ", ".join(map(format_page_score, choice.test_scores))
    dead = MISSING
    if choice.neurons and is_number(choice.dead_neurons):
        units = round_units(choice.dead_neurons, choice.neurons)
        dead = f'{units}<span class="of"> / {choice.neurons}</span>'
    strength = format_strength(choice.strength) if choice.strength else MISSING
    cells = [
        render_row_head(choice.method, style),
        render_text_cell(MISSING if choice.method == "none" else rules),
        render_number_cell(choice.strength, strength),
        render_number_cell(choice.validation_mean, _render_validation(choice, style, scale)),
        render_number_cell(
            test,
            format_page_with_error(test, choice.test_error),
            f"each {results.repeat}: {each_test}" if each_test else "",
        ),
        render_number_cell(choice.zeros, format_share(choice.zeros)),
        render_number_cell(choice.dead_neurons if choice.neurons else None, dead),
        render_number_cell(choice.seconds, format_number(choice.seconds, 2)),
        render_text_cell(_describe_choice(choice, results)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _render_baseline_row(baseline: Baseline) -> str:
    validation, error = estimate_mean(baseline.validation_scores)
    test, _ = estimate_mean(baseline.test_scores)
    missing = render_number_cell(None, MISSING)
    cells = [
        f'<th scope="row" data-value="{escape(baseline.name)}" style="--look: var(--soft)">'
        f'<span class="swatch"></span>{escape(baseline.name)}</th>',
        render_text_cell(MISSING),
        missing,
        render_number_cell(validation, format_page_with_error(validation, error)),
        render_number_cell(test, format_page_with_error(test, baseline.test_error)),
        missing,
        missing,
        missing,
        render_text_cell(f"always {baseline.answer}" if baseline.answer else ""),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _find_interval(choice: Choice) -> tuple[float, float, float]:
    """One standard error below the mean, the mean, and one standard error above it."""
    mean = choice.validation_mean
    error = choice.validation_se if is_number(choice.validation_se) else 0.0
    return mean - error, mean, mean + error


def _find_scale(choices: Sequence[Choice]) -> tuple[float, float]:
    """From the lowest to the highest end of all intervals, so that they share one scale."""
    ends = [end for choice in choices for end in _find_interval(choice) if is_number(end)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _render_validation(choice: Choice, style: Style, scale: tuple[float, float]) -> str:
    """The mean and its error as numbers, and as a dot with whiskers."""
    numbers = format_page_with_error(choice.validation_mean, choice.validation_se)
    least, greatest = scale
    if not is_number(choice.validation_mean) or least == greatest:
        return numbers
    # The drawing is 72 wide with a margin of 4 on each side.
    low, middle, high = (
        4 + 64 * (end - least) / (greatest - least) for end in _find_interval(choice)
    )
    return (
        f'<svg class="interval" viewBox="0 0 72 12" aria-hidden="true" style="{style.css}">'
        f'<path d="M{low:.1f} 6H{high:.1f}"/><circle cx="{middle:.1f}" cy="6" r="3"/></svg>'
        f"{numbers}"
    )


def _describe_choice(choice: Choice, results: Results) -> str:
    """Warnings that a reader needs before trusting a row."""
    statuses = [r.status for r in results.records if r.trial.method == choice.method]
    diverged = len(statuses) - statuses.count("ok")
    notes = []
    if choice.edge:
        notes.append(f"{choice.edge} of the grid")
    if results.is_constant(choice):
        notes.append("the same prediction for every row")
    if diverged:
        notes.append(f"{diverged} of {pluralize(len(statuses), 'trial')} diverged")
    return "; ".join(notes)
