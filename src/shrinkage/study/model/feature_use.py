"""Which inputs a study's models use, by name, and how much each matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from shrinkage.study.data.encoding import Encoding, NumberColumn
from shrinkage.study.data.examples import Examples
from shrinkage.study.data.splits import fit_preprocessing, split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.model.network import (
    State,
    apply_layers,
    build_predictor,
    dense_layers,
    find_used_inputs,
    is_dense,
)
from shrinkage.study.records import FeatureUse, Record, Trial
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.summary import estimate_mean

MOST_ROWS = 2000  # validation rows on which an importance is measured
REPEATS = 3  # permutations of each input


@dataclass(frozen=True)
class _Use:
    """What one model makes of one column."""

    is_used: bool
    importance: float
    coefficient: float  # nan unless the model is linear, with one output, in a number column
    original: float


def measure_features(
    pairs: Sequence[tuple[str, float]], records: Sequence[Record], table: Table, study: Study
) -> list[FeatureUse]:
    """For each (method, strength) pair, what its models of all seeds make of each input.

    An input is used by a model unless its weights are exactly 0 (more exactly: unless no path of
    nonzero weights leads from it to an output). Its importance is the score lost on validation
    rows when its values are permuted among them (Breiman 2001, *Random forests*), mean over
    seeds. A linear model with one output has coefficients, on the standardized and on the
    original scale. The columns of one text column are one input.
    """
    record_of = {record.trial: record for record in records}
    uses: dict[tuple[str, float], list[dict[str, _Use]]] = {pair: [] for pair in pairs}
    for seed in range(study.splits):
        rows = split_rows(table, study, seed)
        preprocessing = fit_preprocessing(table, rows)
        encoding = preprocessing.encoding
        validation = preprocessing.examples(table, _draw_rows(rows.validation))
        for pair in uses:
            record = record_of.get(Trial(*pair, seed))
            if record is not None and record.status == "ok":
                uses[pair].append(_measure_model(study, record.state, encoding, validation, table))
    names = list(map(str, table.frame.columns))
    return [
        _summarize(*pair, name, [use[name] for use in of_seeds])
        for pair, of_seeds in uses.items()
        if of_seeds
        for name in names
    ]


def _draw_rows(rows: np.ndarray) -> np.ndarray:
    """At most MOST_ROWS rows, drawn at random: with subjects they are in the order of the data."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False)


def _summarize(method: str, strength: float, name: str, uses: Sequence[_Use]) -> FeatureUse:
    importance, error = estimate_mean([use.importance for use in uses])
    coefficients = [use.coefficient for use in uses]
    is_known = not any(map(math.isnan, coefficients))
    return FeatureUse(
        method=method,
        strength=strength,
        feature=name,
        kept=sum(use.is_used for use in uses),
        seeds=len(uses),
        importance=importance,
        importance_error=error,
        coefficient=fmean(coefficients) if is_known else None,
        original=fmean(use.original for use in uses) if is_known else None,
    )


def _measure_model(
    study: Study, state: State, encoding: Encoding, examples: Examples, table: Table
) -> dict[str, _Use]:
    used = find_used_inputs(study.model, state, encoding.width)
    importances = _permute_inputs(study, state, encoding, examples, table, used)
    is_linear = study.model == "linear" and table.outputs == 1
    uses = {}
    for column, inside in zip(encoding.columns, encoding.slices().values(), strict=True):
        coefficient = original = math.nan
        if is_linear and isinstance(column, NumberColumn):
            coefficient = float(state["weight"][0, inside.start])
            original = coefficient * encoding.scale / column.scale
        uses[column.name] = _Use(
            bool(used[inside].any()), importances[column.name], coefficient, original
        )
    return uses


def _permute_inputs(
    study: Study,
    state: State,
    encoding: Encoding,
    examples: Examples,
    table: Table,
    used: np.ndarray,
) -> dict[str, float]:
    """The score lost when the values of each column are permuted; 0 for a column without use."""
    X = examples.X
    predict = build_predictor(study.model, state, encoding.width, table.outputs)
    layers = dense_layers(state) if is_dense(study.model) else []
    metric = find_metric(study.metric, table.task)
    hidden = X @ layers[0][0].T + layers[0][1] if layers else X

    def gain(outputs: np.ndarray) -> float:
        """The mean score of outputs, which come one permutation after the other."""
        predictions = predict_from_outputs(outputs, table.task)
        return fmean(
            metric.gain(metric.score(examples.y, prediction, examples.scale))
            for prediction in predictions.reshape(-1, len(X), *predictions.shape[1:])
        )

    order = np.random.default_rng(0)
    permutations = np.concatenate([order.permutation(len(X)) for _ in range(REPEATS)])
    every = np.tile(np.arange(len(X)), REPEATS)  # the rows, as often as they are permuted
    whole = gain(predict(X))
    lost: dict[str, float] = {}
    for name, inside in encoding.slices().items():
        if not used[inside].any():
            lost[name] = 0.0
            continue
        change = X[permutations, inside] - X[every, inside]
        if layers:  # only this column's part of the first layer changes
            moved = hidden[every] + change @ layers[0][0][:, inside].T
            lost[name] = whole - gain(apply_layers(moved, layers[1:]))
        else:
            moved = X[every]
            moved[:, inside] += change
            lost[name] = whole - gain(predict(moved))
    return lost
