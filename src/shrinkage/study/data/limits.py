"""Notes on what few rows and unequal classes do not allow to say, and on what helps."""

from __future__ import annotations

import numpy as np

from shrinkage.study.data.column_reading import join_words
from shrinkage.study.data.splits import RowSplit
from shrinkage.study.data.table import Table
from shrinkage.study.formatting import format_share, pluralize
from shrinkage.study.scores import find_metric
from shrinkage.study.spec import Study

FEW_ROWS = 30  # of the test part, below which its score is rough
FEW_OF_A_CLASS = 10  # rows in the test part, below which little is known of the class
FREQUENT = 0.8  # share of one class, from which always predicting it looks like a success
MOST_NAMED = 3  # classes in a note


def describe_limits(table: Table, rows: RowSplit, study: Study) -> list[str]:
    """A sentence for each limit that the data set to the study, with the options that help.

    An option that the study already has is not suggested.
    """
    notes = []
    folds = f"--folds 5 validates on all {len(rows.train) + len(rows.validation)} other rows"
    if len(rows.test) < FEW_ROWS:
        sentence = f"the test part has {pluralize(len(rows.test), 'row')}, so its score is rough"
        notes.append(sentence if study.folds else f"{sentence}: {folds}")
    if table.task == "numbers":
        return notes
    counts = np.bincount(table.target, minlength=len(table.classes))
    in_test = np.bincount(table.target[rows.test], minlength=len(table.classes))
    rare = np.argsort(in_test, kind="stable")[: np.count_nonzero(in_test < FEW_OF_A_CLASS)]
    metric = find_metric(study.metric, table.task)
    if len(rare):
        named = [
            f"{table.classes[label]!r} ({in_test[label]} of {counts[label]} rows)"
            for label in rare[:MOST_NAMED]
        ]
        more = [f"{len(rare) - MOST_NAMED} others"] if len(rare) > MOST_NAMED else []
        sentence = (
            f"the test part has few rows of class {join_words([*named, *more])}, too few to judge "
            "how well they are told apart"
        )
        notes.append(sentence if study.folds else f"{sentence}: {folds}")
    share = counts.max() / counts.sum()
    remedies = ["--metric balanced_accuracy lets every class count the same in the scores"]
    if not study.balanced:
        remedies.append("--balanced in the training")
    if share >= FREQUENT and metric.name == "accuracy":
        frequent = table.classes[counts.argmax()]
        notes.append(
            f"class {frequent!r} has {format_share(float(share))} of the rows, and an accuracy of "
            f"{share:.3f} without learning anything: {join_words(remedies)}"
        )
    return notes
