"""The whole study."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import shrinkage.study
from shrinkage.study import UsageError, compare, comparing, load, score_test_part
from shrinkage.study.comparing import run_study
from shrinkage.study.data.splits import split_rows
from shrinkage.study.storage.folder_lock import lock_folder
from shrinkage.study.training import engines


@pytest.fixture
def numbers():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 2))
    y = X @ [1.0, -2.0] + 0.1 * generator.normal(size=120)
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})


def trials(folder):
    """The rows of trials.csv without their seconds."""
    lines = (Path(folder) / "trials.csv").read_text(encoding="utf-8").splitlines()
    return [{**row, "seconds": ""} for row in csv.DictReader(lines)]


@pytest.mark.slow
def test_the_same_question_gives_the_same_records_whatever_the_jobs(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the model is found there by the other processes too
    (tmp_path / "far_model.py").write_text(
        "from torch.nn import Dropout, Linear, ReLU, Sequential\n"
        "def build(features, outputs):\n"
        "    return Sequential(Linear(features, 8), ReLU(), Dropout(0.1), Linear(8, outputs))\n"
    )
    study = dataclasses.replace(small, model="far_model:build")
    one = run_study(study, out=tmp_path / "one", jobs=1, quiet=True)
    two = run_study(study, out=tmp_path / "two", jobs=2, quiet=True)
    assert len(one.records) == len(small.trials()) == 10
    assert trials(tmp_path / "one") == trials(tmp_path / "two")
    for left, right in zip(one.records, two.records, strict=True):
        assert left.trial == right.trial
        assert left.history == right.history
        for name, value in left.state.items():
            np.testing.assert_array_equal(value, right.state[name])
    assert one.question["digest"] == two.question["digest"]
    assert one.verdict == two.verdict
    assert [c.test_scores for c in one.choices] == [c.test_scores for c in two.choices]


@pytest.mark.slow
def test_a_finished_study_is_read_again_and_nothing_is_trained(small, tmp_path, monkeypatch):
    first = run_study(small, out=tmp_path, jobs=1, quiet=True)

    def never(*arguments: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("shrinkage.study.training.engines.run_trial", never)
    monkeypatch.setattr("shrinkage.study.score_test_part.score_test_part", never)
    again = run_study(small, out=tmp_path, jobs=1, quiet=True)
    assert repr(again) == repr(first) == repr(load(tmp_path))


def test_an_interrupted_study_goes_on_where_it_was(small, tmp_path, monkeypatch):
    whole = run_study(small, out=tmp_path / "whole", jobs=1, rows=None, quiet=True)
    train, calls = engines.run_trial, []

    def interrupted(study, trial, *rest):
        calls.append(trial)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return train(study, trial, *rest)

    monkeypatch.setattr(engines, "run_trial", interrupted)
    monkeypatch.setattr(comparing, "rehearse", lambda *arguments: {})
    with pytest.raises(KeyboardInterrupt):
        run_study(small, out=tmp_path / "half", jobs=1, rows=None, quiet=True)
    half = load(tmp_path / "half")
    assert len(half.records) == 4
    assert half.verdict == ""
    run_study(small, out=tmp_path / "half", rows=None, jobs=1, quiet=True)
    assert len(calls) == 5 + 6
    assert len(set(calls)) == len(small.trials())
    assert trials(tmp_path / "half") == trials(tmp_path / "whole")
    assert load(tmp_path / "half").verdict == whole.verdict


def test_a_different_question_in_the_same_folder_is_refused(small, tmp_path, monkeypatch):
    run_study(small, out=tmp_path, jobs=1, quiet=True)
    before = (tmp_path / "study.sqlite").read_bytes()

    def never(*arguments: object) -> None:
        raise AssertionError("compiled and trained before the folder was looked at")

    monkeypatch.setattr(comparing, "rehearse", never)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        run_study(small, out=tmp_path / "file" / "below", jobs=1, quiet=True)
    with lock_folder(tmp_path), pytest.raises(UsageError, match="in use by another"):
        run_study(small, out=tmp_path, jobs=1, quiet=True)
    for changes, said in (
        ({"seeds": 3}, r"seeds \(2 there, 3 here\)"),
        ({"lr": 0.5}, r"lr \(0.03 there, 0.5 here\)"),
        ({"data": "wine"}, r"data \(other contents\)"),
    ):
        with pytest.raises(UsageError, match=said):
            run_study(dataclasses.replace(small, **changes), out=tmp_path, jobs=1, quiet=True)
    assert (tmp_path / "study.sqlite").read_bytes() == before
    monkeypatch.undo()
    # what is written out as the default is the same question
    run_study(dataclasses.replace(small, lr=0.03, task="classes"), out=tmp_path, jobs=1, quiet=True)


@pytest.mark.slow
def test_a_file_under_another_name_is_the_same_question(tmp_path, numbers):
    numbers.to_csv(tmp_path / "a.csv", index=False)
    numbers.to_csv(tmp_path / "b.csv", index=False)
    settings = {"target": "y", "penalty": "l1", "strengths": "1e-2", "seeds": 1, "epochs": 5}
    for name in ("a.csv", "b.csv"):
        compare(tmp_path / name, out=tmp_path / "out", jobs=1, quiet=True, **settings)
    (tmp_path / "b.csv").write_text((tmp_path / "b.csv").read_text() + "0.1,0.2,0.3\n")
    with pytest.raises(UsageError, match="different in data"):
        compare(tmp_path / "b.csv", out=tmp_path / "out", jobs=1, quiet=True, **settings)


def test_a_changed_model_function_is_another_question(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "import torch\ndef build(a, b):\n    return torch.nn.Linear(a, b)\n"
    (tmp_path / "own_model.py").write_text(source)
    settings = {"model": "own_model:build", "penalty": "l1", "strengths": "1e-2", "epochs": 2}
    results = compare("iris", seeds=1, jobs=1, out="out", quiet=True, **settings)
    assert results.records[0].weights == 12
    (tmp_path / "own_model.py").write_text(source + "# changed\n")
    with pytest.raises(UsageError, match="different in model's source"):
        compare("iris", seeds=1, jobs=1, out="out", quiet=True, **settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "irs"}, "did you mean 'iris'"),
        ({"target": "z"}, "no column of iris"),
        ({"model": "nope:f"}, "cannot be imported"),
        ({"optimizer": "lbfgs"}, "cannot be trained"),
        ({"penalty": ["l3"]}, "unknown penalty"),
        ({"strengths": [-1.0]}, "above 0"),
        ({"seeds": 0}, "seeds must"),
        ({"jobs": 0}, "jobs must be a whole number from 1 up, got 0"),
        ({"jobs": 1.5}, "jobs must be a whole number from 1 up, got 1.5"),
    ],
)
def test_a_question_that_cannot_be_asked_leaves_no_folder(tmp_path, changes, message):
    settings = {"data": "iris", "out": tmp_path / "out", "quiet": True, **changes}
    with pytest.raises(UsageError, match=message):
        compare(**settings)
    assert not (tmp_path / "out").exists()


def test_numbers_in_a_data_frame(tmp_path, numbers):
    results = compare(
        numbers,
        target="y",
        penalty=["l2@coupled"],
        strengths=[1e-4, 1e-2],
        seeds=2,
        model="linear",
        jobs=1,
        out=tmp_path,
        quiet=True,
    )
    assert results.data["task"] == "numbers"
    assert (results.data["train"], results.data["validation"], results.data["test"]) == (60, 30, 30)
    best = results.table().set_index(["method", "rule"]).loc[("none", "best")]
    assert best["validation"] > 0.98
    assert best["test"] > 0.98
    # the surface is in the target's own units: the plane a − 2b
    surface = results.choices[0].surface
    across, up = np.meshgrid(surface.x, surface.y)
    np.testing.assert_allclose(surface.prediction, across - 2 * up, atol=0.2)
    assert surface.x[0] < numbers["a"].min()
    assert results.data["points"]["x"] == numbers["a"].tolist()
    assert results.data["points"]["label"] == numbers["y"].tolist()


def test_the_test_part_is_seen_once_after_all_trials(small, tmp_path, monkeypatch):
    seen = []
    train, tested = engines.run_trial, score_test_part.score_test_part
    monkeypatch.setattr(comparing, "rehearse", lambda *arguments: {})
    monkeypatch.setattr(
        engines, "run_trial", lambda *a: (seen.append(len(a[2].train.X)), train(*a))[1]
    )
    monkeypatch.setattr(
        score_test_part, "score_test_part", lambda *a: (seen.append("test"), tested(*a))[1]
    )
    results = comparing.run_study(small, out=tmp_path, jobs=1, quiet=True)
    fitted = 150 - results.data["test"]  # the model to keep, after all scores are known
    assert seen == [results.data["train"]] * 10 + ["test"] + [fitted] * 3
    for choice in results.choices:
        assert len(choice.test_scores) == small.seeds


def test_test_scores_are_those_of_the_chosen_models_on_the_test_rows(small, tmp_path):
    from shrinkage.study.data.sources import read_source
    from shrinkage.study.data.splits import fit_preprocessing
    from shrinkage.study.data.table import prepare_table

    results = run_study(small, out=tmp_path, jobs=1, quiet=True)
    table = prepare_table(read_source("iris"), small)
    for choice in results.choices:
        for seed, told in enumerate(choice.test_scores):
            rows = split_rows(table, small, seed)
            examples = fit_preprocessing(table, rows).examples(table, rows.test)
            state = next(
                r.state
                for r in results.records
                if (r.trial.method, r.trial.strength, r.trial.seed)
                == (choice.method, choice.strength, seed)
            )
            hidden = np.maximum(examples.X @ state["0.weight"].T + state["0.bias"], 0)
            outputs = hidden @ state["2.weight"].T + state["2.bias"]
            assert told == (outputs.argmax(axis=1) == examples.y).mean()


def test_divergence_spares_the_others_and_is_said(tmp_path, small):
    study = dataclasses.replace(small, methods=("l2:3e+38@coupled",))
    results = run_study(study, out=tmp_path, jobs=1, quiet=True)
    status = {record.trial.method: record.status for record in results.records}
    assert status == {"none": "ok", "l2:3e+38@coupled": "diverged"}
    assert [choice.method for choice in results.choices] == ["none"]
    assert "l2:3e+38@coupled: 2 trials diverged" in results.remarks()[-1]


def test_when_all_diverge_the_verdict_says_so(tmp_path, small):
    study = dataclasses.replace(small, lr=1e38)
    results = run_study(study, out=tmp_path, jobs=1, quiet=True)
    assert results.choices == []
    assert "every trial diverged" in results.verdict
    assert "no strength can be chosen" in repr(results)


def test_results_show_themselves(small, tmp_path):
    results = run_study(small, out=tmp_path, jobs=1, quiet=True)
    assert results.verdict in repr(results)
    html = results._repr_html_()
    assert "<table" in html
    assert "l1@proximal" in html
    frame = results.text_table()
    assert list(frame.columns) == [
        *["method", "rule", "strength", "validation", "test", "zeros", "dead neurons", "seconds"]
    ]
    edges = [line for line in results.remarks() if "of the grid" in line]
    assert len(edges) == sum(bool(c.edge) for c in results.choices if c.rule == "best")


def test_one_seed_of_numbers_is_enough(tmp_path, numbers):
    results = compare(
        numbers, target="y", penalty=[], seeds=1, epochs=3, jobs=1, out=tmp_path, quiet=True
    )
    assert [record.trial.method for record in results.records] == ["none"]
    assert "more --seeds" in results.verdict


@pytest.mark.slow
def test_the_trivial_model_is_a_row_of_every_table(small, tmp_path):
    results = run_study(small, out=tmp_path, jobs=1, quiet=True)
    assert results.baseline is not None
    row = results.table().set_index("method").loc["the majority class"]
    # iris has 50 of each class, and the test part 38 of its 150 rows, 12 or 13 of each class
    assert row["test"] * 38 == pytest.approx(round(row["test"] * 38))
    assert row["test"] in (pytest.approx(12 / 38), pytest.approx(13 / 38))
    assert row["validation"] == pytest.approx(sum(results.baseline.validation_scores) / 2)
    assert results.text_table()["method"].iloc[-1] == "the majority class"
    assert "the majority class" in results.verdict
    assert "the majority class" in results._repr_html_()


@pytest.mark.slow
def test_what_is_preferred_is_asked_of_the_same_records(small, tmp_path, monkeypatch):
    first = run_study(small, out=tmp_path, jobs=1, quiet=True)
    monkeypatch.setattr(
        "shrinkage.study.training.engines.run_trial", None
    )  # nothing is trained again
    preferred = dataclasses.replace(small, prefer="sparse")
    sparse = run_study(preferred, out=tmp_path, jobs=1, quiet=True)
    assert sparse.question["prefer"] == load(tmp_path).question["prefer"] == "sparse"
    assert sparse.question["digest"] == first.question["digest"]
    assert load(tmp_path).verdict == sparse.verdict != first.verdict
    again = run_study(small, out=tmp_path, jobs=1, quiet=True)
    assert again.verdict == first.verdict
    with pytest.raises(UsageError, match="prefer must be score or sparse, got 'sparser'"):
        compare("iris", prefer="sparser", out=tmp_path / "other", quiet=True)


def test_a_rare_class_is_not_told_from_the_features_by_weights_that_are_0(tmp_path):
    """Noise and 6 % positives: accuracy 0.94 without a look at the features is no success."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 3)), columns=list("abc"))
    frame["buys"] = np.where(np.arange(200) < 12, "yes", "no")
    results = compare(
        frame,
        target="buys",
        penalty="l1",
        strengths=[1.0],
        model="linear",
        seeds=2,
        epochs=40,
        lr=0.1,
        jobs=1,
        out=tmp_path,
        quiet=True,
    )
    assert [c.zeros for c in results.choices if c.method == "l1@proximal"] == [1.0, 1.0]
    assert results.verdict.startswith("Nothing is recommended: no model beats the majority class")
    assert "'no', which has 0.940 accuracy" in results.verdict
    assert any("l1@proximal at 1 predicts the same" in line for line in results.remarks())


@pytest.mark.slow
def test_torchs_generator_and_threads_are_left_as_they_were(small, tmp_path):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    run_study(small, out=tmp_path, jobs=1, quiet=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_public_names():
    for name in shrinkage.study.__all__:
        assert getattr(shrinkage.study, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = shrinkage.study.nothing_like_this


def test_how_columns_were_read_is_said_and_kept(tmp_path, capsys):
    rows = [f'"{row + 1},000,000",site {row % 3},{row},,{"pq"[row % 2]}' for row in range(60)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["pop,site,id,gone,y", *rows]))
    results = compare(
        path, target="y", penalty="l1", strengths=[1e-2], seeds=1, epochs=1, jobs=1, out=tmp_path
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "numbers: pop text: site (3 levels)" in said
    assert "left out column 'id': it numbers the rows" in said
    assert "left out column 'gone': missing in every row" in said
    assert "column 'pop': read as numbers, thousands separators left out" in said
    assert [one.role for one in results.readings] == [*["feature"] * 2, *["left out"] * 2, "target"]
    assert load(tmp_path).readings == results.readings


def test_arrays_are_data_too(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    results = compare(
        (X, X[:, 0] > 0),
        penalty="l1",
        strengths=[1e-2],
        seeds=1,
        epochs=1,
        jobs=1,
        out=tmp_path,
        quiet=True,
    )
    assert results.data["columns"] == ["x0", "x1"]
    assert results.data["classes"] == ["False", "True"]


def test_folds_in_place_of_splits(small, tmp_path):
    study = dataclasses.replace(small, methods=("l1",), strengths=(1e-3,), folds=3)
    results = run_study(study, out=tmp_path, jobs=1, quiet=True)
    assert len(results.records) == 2 * 2 * 3
    assert [len(choice.test_scores) for choice in results.choices] == [6, 6, 6]
    rows = trials(tmp_path)
    assert [(row["seed"], row["fold"]) for row in rows[:6]] == [
        (str(seed), str(fold)) for seed in range(2) for fold in (1, 2, 3)
    ]
    assert "mean over 3 folds, 2 times" in repr(results)
    assert (results.data["train"], results.data["validation"], results.data["test"]) == (74, 38, 38)
    again = run_study(study, out=tmp_path, jobs=1, quiet=True)
    assert repr(again) == repr(results) == repr(load(tmp_path))
    with pytest.raises(UsageError, match=r"folds \(3 there, None here\)"):
        run_study(dataclasses.replace(study, folds=None), out=tmp_path, jobs=1, quiet=True)


def test_a_first_look_at_a_sample_is_another_study_and_says_so(small, tmp_path, capsys):
    study = dataclasses.replace(small, methods=("l1",), strengths=(1e-3,), sample=60)
    results = run_study(study, out=tmp_path / "out", jobs=1)
    assert (results.data["rows"], results.data["all_rows"]) == (60, 150)
    assert results.data["train"] == 30
    assert "iris: 60 of 150 rows, 4 features" in capsys.readouterr().err
    assert "This is a first look, at 60 of 150 rows (--sample)." in repr(results)
    assert results.model.facts["fitted rows"] == 45
    assert load(tmp_path / "out").model.facts["study"] == results.question["digest"]
    with pytest.raises(UsageError, match=r"sample \(60 there, 61 here\)"):
        run_study(dataclasses.replace(study, sample=61), out=tmp_path / "out", jobs=1, quiet=True)
    with pytest.raises(UsageError, match=r"sample \(60 there, None here\)"):
        run_study(dataclasses.replace(study, sample=None), out=tmp_path / "out", quiet=True)
