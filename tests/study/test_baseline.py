"""The model that looks at no feature, and models that became it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import r2_score

from shrinkage.study.baseline import score_baseline
from shrinkage.study.data.splits import split_rows
from shrinkage.study.spec import Study
from shrinkage.study.summary import predicts_a_constant


@pytest.fixture
def columns():
    generator = np.random.default_rng(1)
    x = generator.normal(size=90)
    label = np.where(generator.random(90) < 0.8, "no", "yes")
    return {"x": x, "who": np.arange(90) // 3, "number": x**2, "label": label}


def test_the_majority_class_is_that_of_each_training_part(table_of, columns):
    study = Study(seeds=3, subject="who")  # without strata, the shares differ by seed
    own = {key: columns[key] for key in ("x", "who")}
    table = table_of({**own, "y": columns["label"]}, subject="who")
    found = score_baseline(table, study)
    for seed in range(3):
        rows = split_rows(table, study, seed)
        dummy = DummyClassifier().fit(table.frame.iloc[rows.train], table.target[rows.train])
        for part, scores in (
            (rows.validation, found.validation_scores),
            (rows.test, found.test_scores),
        ):
            told = dummy.score(table.frame.iloc[part], table.target[part])
            assert scores[seed] == pytest.approx(told)
    assert (found.name, found.answer) == ("the majority class", "no")
    assert len(set(found.validation_scores)) > 1


def test_the_mean_is_that_of_each_training_part(table_of, columns):
    table = table_of({"x": columns["x"], "y": columns["number"]})
    found = score_baseline(table, Study(seeds=2))
    for seed in range(2):
        rows = split_rows(table, Study(), seed)
        dummy = DummyRegressor().fit(rows.train[:, None], table.target[rows.train])
        for part, scores in (
            (rows.validation, found.validation_scores),
            (rows.test, found.test_scores),
        ):
            told = r2_score(table.target[part], dummy.predict(part[:, None]))
            assert scores[seed] == pytest.approx(told)
            assert scores[seed] <= 0
    assert (found.name, found.answer) == ("the mean", "")


def weights(*arrays):
    return {f"{2 * index}.weight": np.array(array) for index, array in enumerate(arrays)}


@pytest.mark.parametrize(
    ("state", "model", "expected"),
    [
        (weights([[0.0, 0.0]]), "linear", True),
        (weights([[0.0, 0.1]]), "linear", False),
        (weights([[0, 0], [0, 0]], [[1, 1]]), "mlp:2", True),
        (weights([[1, 1], [1, 1]], [[0, 0]]), "mlp:2", True),
        (weights([[1, 1], [0, 0]], [[0, 1]]), "mlp:2", True),  # each unit is cut on one side
        (weights([[1, 0], [0, 0]], [[1, 0]]), "mlp:2", False),
        (weights([[1, 1], [0, 0]], [[0, 1]]), "own:model", False),  # which way it goes is unknown
        (weights([[0, 0], [0, 0]], [[0, 0]]), "own:model", True),
        ({"0.bias": np.zeros(2)}, "linear", False),
    ],
)
def test_a_model_whose_zeros_cut_off_its_inputs(record_of, state, model, expected):
    record = replace(record_of("l1@proximal", 0.1, 0, 0.5), state=state)
    assert predicts_a_constant(record, model) is expected
