"""Which inputs are used, by name, and what they are worth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.data.sources import Source, read_source
from shrinkage.study.data.splits import fit_preprocessing, split_rows
from shrinkage.study.data.table import prepare_table
from shrinkage.study.model import feature_use
from shrinkage.study.model.feature_use import REPEATS, measure_features
from shrinkage.study.model.refit import open_question
from shrinkage.study.records import FeatureUse, Trial
from shrinkage.study.results import Results
from shrinkage.study.scores import find_metric
from shrinkage.study.spec import Study
from shrinkage.study.storage.features_csv import write_features_csv
from shrinkage.study.summary import find_leading, rank_features
from shrinkage.study.training import fit_trial


def test_what_matters_is_named_and_what_does_not_is_dropped(numbers_study):
    _, results = numbers_study
    uses = {use.feature: use for use in results.features_of("l1@proximal", 0.05)}
    assert set(uses) == {"power", "weight", "origin", "noise"}
    assert [use.feature for use in rank_features(list(uses.values()))] == [
        "power",
        "origin",
        "weight",
        "noise",
    ]
    assert (uses["power"].kept, uses["power"].seeds) == (2, 2)
    assert uses["noise"].kept == 0
    assert (uses["noise"].importance, uses["noise"].coefficient) == (0.0, 0.0)
    dense = {use.feature: use for use in results.features_of("none", 0.0)}
    assert all(use.kept == 2 for use in dense.values())
    # The data were made with −0.1 for each unit of power, and noise of standard deviation 1.
    assert dense["power"].original == pytest.approx(-0.1, abs=0.01)
    assert dense["origin"].coefficient is None  # it has one for each level
    assert abs(uses["power"].original) < abs(dense["power"].original)


@pytest.mark.parametrize("name", ["numbers_study", "classes_study"])
def test_an_importance_is_the_score_lost_by_permuting_a_column(name, request, cars):
    """Against the torch model on permuted rows, whole, for the models of seed 0."""
    folder, results = request.getfixturevalue(name)
    study = open_question(results.question)
    data = cars.drop(columns="thirst") if name == "numbers_study" else folder.parent / "cars.csv"
    table = prepare_table(read_source(data), study)
    choice = results.choices[-1]
    records = [record for record in results.records if record.trial.seed == 0]
    pair = (choice.method, choice.strength)
    one_seed = open_question({**results.question, "seeds": 1})
    measured = measure_features([pair], records, table, one_seed)
    rows = split_rows(table, study, 0)
    preprocessing = fit_preprocessing(table, rows)
    validation = preprocessing.examples(table, rows.validation)
    record = next(r for r in records if r.trial == Trial(*pair, 0))
    frame = table.frame.iloc[rows.validation].reset_index(drop=True)

    model = fit_trial.restore_model(study.model, record.state, validation.X.shape[1], table.outputs)
    metric = find_metric(None, table.task)
    whole = fit_trial.score_model(model, validation, metric)
    order = np.random.default_rng(0)
    permutations = [order.permutation(len(frame)) for _ in range(REPEATS)]
    lost = {}
    for column in frame.columns:
        scores = []
        for permutation in permutations:
            moved = frame.assign(**{column: frame[column].to_numpy()[permutation]})
            examples = replace(validation, X=preprocessing.features(moved))
            scores.append(fit_trial.score_model(model, examples, metric))
        lost[column] = whole - np.mean(scores)
    for use in measured:
        assert use.importance == pytest.approx(lost[use.feature], abs=1e-6)
    assert max(lost.values()) > 0.05


def test_the_rows_of_an_importance_are_drawn_from_all_of_them(numbers_study, cars, monkeypatch):
    """Of two blocks of subjects, only the second has a target that depends on x."""
    generator = np.random.default_rng(0)
    x, subject = generator.normal(size=400), np.repeat(np.arange(100), 4)
    frame = pd.DataFrame({"x": x, "s": subject, "y": np.where(subject < 50, 0.0, x)})
    study = Study(target="y", subject="s", model="linear", seeds=1, lr=0.1, epochs=20)
    table = prepare_table(Source("blocks", frame, "y", ""), study)
    weight = {"weight": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}
    record = replace(numbers_study[1].records[0], trial=Trial("none", 0.0, 0), state=weight)

    def importance():
        return measure_features([("none", 0.0)], [record], table, study)[0].importance

    whole = importance()
    monkeypatch.setattr(feature_use, "MOST_ROWS", 40)
    assert importance() == pytest.approx(whole, abs=0.5)  # the first 40 rows have R² 0


def test_features_csv_has_every_chosen_method(numbers_study, tmp_path):
    _, results = numbers_study
    write_features_csv(results, tmp_path / "features.csv")
    lines = (tmp_path / "features.csv").read_text().splitlines()
    assert lines[0].startswith("method,strength,feature,kept,seeds,importance")
    assert len(lines) == 1 + 3 * 4
    assert lines[1].startswith("none,0.0,power,2,2,")


def test_the_printed_results_name_the_inputs(numbers_study):
    _, results = numbers_study
    assert isinstance(results, Results)
    text = repr(results)
    assert "Inputs: 3 of 4 inputs are used in every seed, 1 in none." in text
    assert "power, origin and weight have 100% of the importance." in text
    assert text.index("  power ") < text.index("  origin ") < text.index("  weight ")
    assert "  noise " not in text
    assert "Inputs: 3 of 4 inputs" in results._repr_html_()


def test_the_leading_inputs_are_the_fewest_with_most_of_the_importance():
    def make(importances):
        return [
            FeatureUse("l1@proximal", 0.1, name, 1 if value else 0, 1, value, 0.0)
            for name, value in importances.items()
        ]

    assert find_leading(make({"a": 0.5, "b": 0.04, "c": 0.46, "d": 0.0})) == (["a", "c"], 0.96)
    assert find_leading(make({"a": 1.0, "b": -3.0})) == (["a"], 1.0)
    assert find_leading(make({"a": -1.0, "b": 0.0})) == ([], 0.0)
