"""The model that looks at no feature, which every other must beat; and models that became it."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from shrinkage.study.data import Table
from shrinkage.study.parts import divide
from shrinkage.study.records import Trivial
from shrinkage.study.scores import error_of_score, measured
from shrinkage.study.spec import Study


def trivial(table: Table, study: Study) -> Trivial:
    """How the training part's majority class, or mean, does on the splits of every seed."""
    answers: list[float] = []
    validation: list[float] = []
    test: list[float] = []
    errors: list[float] = []
    for seed in range(study.seeds):
        rows = divide(table, study, seed)
        y = table.target[rows.train]
        answer = float(np.bincount(y).argmax() if table.task == "classes" else y.mean())
        tested = table.target[rows.test], np.full(len(rows.test), answer), table.task
        judged = table.target[rows.validation], np.full(len(rows.validation), answer), table.task
        answers.append(answer)
        validation.append(measured(*judged))
        test.append(measured(*tested))
        errors.append(error_of_score(*tested))
    is_class = table.task == "classes" and len(set(answers)) == 1
    return Trivial(
        name="the majority class" if table.task == "classes" else "the mean",
        answer=table.classes[int(answers[0])] if is_class else "",
        validation_scores=validation,
        test_scores=test,
        test_error=fmean(errors),
    )
