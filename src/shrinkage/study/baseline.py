"""The trivial model, which ignores the features and which every other model must beat."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.records import Baseline
from shrinkage.study.scores import sampling_error, score_predictions
from shrinkage.study.spec import Study


def score_baseline(table: Table, study: Study) -> Baseline:
    """Score the majority class, or the mean, of the training part on the splits of every seed."""
    answers: list[float] = []
    validation_scores: list[float] = []
    test_scores: list[float] = []
    errors: list[float] = []
    for seed in range(study.seeds):
        rows = split_rows(table, study, seed)
        y = table.target[rows.train]
        answer = float(np.bincount(y).argmax() if table.task == "classes" else y.mean())
        test_part = table.target[rows.test], np.full(len(rows.test), answer), table.task
        validation_part = (
            table.target[rows.validation],
            np.full(len(rows.validation), answer),
            table.task,
        )
        answers.append(answer)
        validation_scores.append(score_predictions(*validation_part))
        test_scores.append(score_predictions(*test_part))
        errors.append(sampling_error(*test_part))
    is_class = table.task == "classes" and len(set(answers)) == 1
    return Baseline(
        name="the majority class" if table.task == "classes" else "the mean",
        answer=table.classes[int(answers[0])] if is_class else "",
        validation_scores=validation_scores,
        test_scores=test_scores,
        test_error=fmean(errors),
    )
