"""The trivial model, which ignores the features and which every other model must beat."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.records import Baseline
from shrinkage.study.scores import Metric, find_metric
from shrinkage.study.spec import Study


def score_baseline(table: Table, study: Study) -> Baseline:
    """Score the trivial model on the splits of every seed.

    It predicts from the targets of the training part alone: the most frequent class, the shares of
    the classes, the mean or the median, whichever the study's metric is compared with.
    """
    metric = find_metric(study.metric, table.task)
    answers: list[int] = []
    validation_scores: list[float] = []
    test_scores: list[float] = []
    errors: list[float] = []
    for seed in range(study.splits):
        rows = split_rows(table, study, seed)
        answer = _predict_without_features(table, rows.train, metric)
        validation, test = (
            (table.target[part], np.broadcast_to(answer, (len(part), *answer.shape)))
            for part in (rows.validation, rows.test)
        )
        answers.append(int(answer.argmax()))
        validation_scores.append(metric.score(*validation))
        test_scores.append(metric.score(*test))
        errors.append(metric.error(*test))
    is_class = metric.counts_rows and len(set(answers)) == 1
    return Baseline(
        name=metric.trivial,
        answer=table.classes[answers[0]] if is_class else "",
        validation_scores=validation_scores,
        test_scores=test_scores,
        test_error=fmean(errors),
    )


def _predict_without_features(table: Table, train: np.ndarray, metric: Metric) -> np.ndarray:
    """What is predicted for any row: the shares of the classes, whose greatest is the answer where
    the metric asks for one, or a number."""
    y = table.target[train]
    if table.task == "classes":
        return np.bincount(y, minlength=len(table.classes)) / len(y)
    return np.asarray(np.median(y) if metric.trivial == "the median" else y.mean())
