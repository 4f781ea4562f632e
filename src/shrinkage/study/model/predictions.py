"""The predictions for new rows as a table, and their score where the answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from shrinkage.study.data.column_values import read_column
from shrinkage.study.data.target import label_text
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import format_with_error, pluralize
from shrinkage.study.model.code_examples import write_command
from shrinkage.study.model.fitted import MODEL, FittedModel
from shrinkage.study.model.new_rows import NewRows
from shrinkage.study.scores import find_metric

TEST_FACTS = ("test score", "test error")


def predict_table(model: FittedModel, rows: NewRows) -> pd.DataFrame:
    """One row for each new row: what names it, the prediction, and a probability for each class.

    What names a row are the columns that training left out, such as names and identifiers, or
    else its number from 1.
    """
    columns: dict[str, object] = {
        str(name): column.to_numpy() for name, column in rows.names.items()
    }
    if not columns:
        columns["row"] = np.arange(1, len(rows.frame) + 1)
    answers = model.answer(rows.frame)
    if model.task == "numbers":
        # As precise as float32 outputs, which are of the order of 1: more digits say nothing.
        answers = answers.round(7 - math.floor(math.log10(model.encoding.scale)))
    columns[model.target] = answers
    if model.task == "classes":
        shares = model.estimate_probabilities(rows.frame).astype(np.float32)
        columns |= {
            f"probability of {label}": shares[:, index] for index, label in enumerate(model.classes)
        }
    return pd.DataFrame(columns)


def describe_score(model: FittedModel, rows: NewRows) -> str:
    """A sentence on the score, where the new rows have the target; "" where they have not.

    Rows whose class the model does not know count for nothing in it, and are told; so is a table
    that the model was fitted on.
    """
    if rows.target is None:
        return ""
    reading = next(reading for reading in model.readings if reading.role == "target")
    try:
        values = read_column(reading, rows.target)
    except UsageError as refusal:
        return f"no score: {refusal}"
    known = ~np.asarray(pd.isna(values))
    more = ""
    metric = find_metric(model.facts.get("metric"), model.task)
    if model.task == "classes":
        index = {label: place for place, label in enumerate(model.classes)}
        labels = [label_text(value) if value == value else "" for value in values]
        others = int(known.sum())
        known = np.array([label in index for label in labels])
        others -= int(known.sum())
        more = f"; {pluralize(others, 'row')} of other classes left out" if others else ""
        truth = np.array([index[label] for label in labels if label in index])
        predicted = model.estimate_probabilities(rows.frame)[known]
    else:
        truth, predicted = values[known], model.answer(rows.frame)[known]
    if not len(truth):
        return ""
    if rows.digest and rows.digest == model.facts.get("data"):
        fitted = pluralize(model.facts["fitted rows"], "row")
        more += f"; these include the {fitted} that the model was fitted on"
    score, error = metric.score(truth, predicted), metric.error(truth, predicted)
    return (
        f"{pluralize(len(truth), 'row')} with a {model.target!r}: "
        f"{metric.title} {format_with_error(score, error)}{more}"
    )


def describe_model(model: FittedModel, folder: Path) -> str:
    """What was fitted for use, its test score where it has one, and the command that uses it."""
    return f"{folder / MODEL}: {model.method}, {describe_fit(model)}\n{write_command(folder)}"


def describe_fit(model: FittedModel) -> str:
    """On what a model was fitted, how it was selected, and its test score where it has one."""
    facts = model.facts
    score = "its test rows are in it: the test score above is of models that have not seen them"
    if "test score" in facts:
        metric = find_metric(facts.get("metric"), model.task)
        numbers = [math.nan if facts[key] is None else facts[key] for key in TEST_FACTS]
        score = f"{metric.title} {format_with_error(*numbers)}"
        score += f" of this one model on the {pluralize(facts['test rows'], 'test row')}"
    starts = pluralize(facts["initializations"], "initialization")
    how = f"the best of {starts} by its training objective"
    if facts.get("engine") == "solved":
        how = "solved to the minimum of its training objective"
    return (
        f"fitted on {pluralize(facts['fitted rows'], 'row')}, {how}; {score}{_describe_size(model)}"
    )


def _describe_size(model: FittedModel) -> str:
    """How much smaller the model is than the one that was trained."""
    if "trained model" not in model.facts:
        return ""
    trained, needed = (
        sum(int(width) for width in text.partition(":")[2].split(","))
        for text in (model.facts["trained model"], model.model)
    )
    before, after = model.facts["multiplications"]
    return (
        f"; {needed} of {pluralize(trained, 'hidden unit')} are needed, and it has only these: "
        f"{before / after:.1f} times fewer multiplications"
    )
