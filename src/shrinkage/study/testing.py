"""The one look at the test part, by the chosen models alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pandas as pd
from torch import nn

from shrinkage.study.data import Table
from shrinkage.study.examples import Parts
from shrinkage.study.parts import Preprocessing, divide, fit
from shrinkage.study.records import Choice, Record, Surface, Trial
from shrinkage.study.scores import error_of_score, measured
from shrinkage.study.spec import Study
from shrinkage.study.training import answers, predict, restore

RESOLUTION = 81  # points of a surface along each axis
MARGIN = 0.08  # of the range, on each side


def tested(
    choices: Sequence[Choice],
    records: Sequence[Record],
    table: Table,
    study: Study,
    parts: Sequence[Parts],
) -> list[Choice]:
    """The choices with their test scores, one a seed, and what the first seed's models predict.

    `test_error` is the mean over seeds of the error that comes from the number of test rows: they
    are the same rows for every seed, so more seeds do not make it smaller.
    """
    trained = {record.trial: record for record in records}
    scores: list[list[float]] = [[] for _ in choices]
    errors: list[list[float]] = [[] for _ in choices]
    surfaces: list[Surface | None] = [None for _ in choices]
    for seed in range(study.seeds):
        rows = divide(table, study, seed)
        preprocessing = fit(table, rows)
        test = preprocessing.examples(table, rows.test)
        for index, choice in enumerate(choices):
            record = trained[Trial(choice.method, choice.strength, seed)]
            model = restore(study, record, parts[seed])
            answered = answers(model, test, table.task)
            scores[index].append(measured(test.y, answered, table.task))
            errors[index].append(error_of_score(test.y, answered, table.task))
            if seed == 0 and table.is_plane:
                surfaces[index] = _surface(model, table, preprocessing)
    return [
        dataclasses.replace(choice, test_scores=own, test_error=fmean(error), surface=surface)
        for choice, own, error, surface in zip(choices, scores, errors, surfaces, strict=True)
    ]


def _surface(model: nn.Module, table: Table, preprocessing: Preprocessing) -> Surface:
    x, y = (_axis(table.frame[column]) for column in table.frame.columns)
    across, up = np.meshgrid(x, y)  # (rows, columns)
    plane = pd.DataFrame(np.column_stack([across.ravel(), up.ravel()]), columns=table.frame.columns)
    outputs = predict(model, preprocessing.features(plane))
    if table.task == "classes":
        prediction = outputs.argmax(dim=1).numpy()
    else:
        prediction = outputs[:, 0].numpy() * preprocessing.scale + preprocessing.center
    return Surface(x, y, prediction.reshape(across.shape))


def _axis(values: pd.Series) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * ((high - low) or 1.0)
    return np.linspace(low - margin, high + margin, RESOLUTION)
