"""Score the chosen models, and only these, on the test part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pandas as pd

from shrinkage.study.data.splits import Preprocessing, fit_preprocessing, split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.model.network import Predictor, build_predictor
from shrinkage.study.records import Choice, Record, Surface, Trial
from shrinkage.study.scores import answer_outputs, find_metric, predict_from_outputs
from shrinkage.study.spec import Study

RESOLUTION = 81  # points of a surface along each axis
MARGIN = 0.08  # of the range, on each side


def score_test_part(
    choices: Sequence[Choice],
    records: Sequence[Record],
    table: Table,
    study: Study,
) -> list[Choice]:
    """The choices with a test score for each seed, and the surface that the first seed predicts.

    `test_error` is the mean over seeds of the error that comes from the number of test rows: they
    are the same rows for every seed, so more seeds do not make it smaller.
    """
    metric = find_metric(study.metric, table.task)
    record_of = {record.trial: record for record in records}
    scores: list[list[float]] = [[] for _ in choices]
    errors: list[list[float]] = [[] for _ in choices]
    surfaces: list[Surface | None] = [None for _ in choices]
    for seed in range(study.splits):
        rows = split_rows(table, study, seed)
        preprocessing = fit_preprocessing(table, rows)
        test = preprocessing.examples(table, rows.test)
        for index, choice in enumerate(choices):
            record = record_of[Trial(choice.method, choice.strength, seed)]
            predict = build_predictor(study.model, record.state, test.X.shape[1], table.outputs)
            predicted = predict_from_outputs(predict(test.X), table.task)
            scores[index].append(metric.score(test.y, predicted, test.scale))
            errors[index].append(metric.error(test.y, predicted, test.scale))
            if seed == 0 and table.is_plane:
                surfaces[index] = _predict_surface(predict, table, preprocessing)
    return [
        dataclasses.replace(
            choice, test_scores=test_scores, test_error=fmean(error), surface=surface
        )
        for choice, test_scores, error, surface in zip(
            choices, scores, errors, surfaces, strict=True
        )
    ]


def _predict_surface(predict: Predictor, table: Table, preprocessing: Preprocessing) -> Surface:
    x, y = (_make_axis(table.frame[column]) for column in table.frame.columns)
    across, up = np.meshgrid(x, y)  # (rows, columns)
    plane = pd.DataFrame(np.column_stack([across.ravel(), up.ravel()]), columns=table.frame.columns)
    outputs = predict(preprocessing.features(plane))
    encoding = preprocessing.encoding
    # A number target is standardized; for classes the scale is 1 and the center 0.
    prediction = answer_outputs(outputs, table.task) * encoding.scale + encoding.center
    return Surface(x, y, prediction.reshape(across.shape))


def _make_axis(values: pd.Series) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * ((high - low) or 1.0)
    return np.linspace(low - margin, high + margin, RESOLUTION)
