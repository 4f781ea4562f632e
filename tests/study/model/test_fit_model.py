"""Which model of a study is fitted, and on what."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shrinkage.study import UsageError, compare, fit_model, load, load_model
from shrinkage.study.model import refit as refitting
from shrinkage.study.model.fit_model import find_method, read_table
from shrinkage.study.model.predictions import describe_fit


def test_the_recommended_model_is_in_the_folder(classes_study):
    folder, results = classes_study
    choice = results.recommended
    model = load_model(folder)
    assert (model.method, model.strength) == (choice.method, choice.strength)
    assert repr(fit_model(folder)) == repr(model)
    assert not (folder / "models").exists()
    assert results.verdict.startswith(f"Use {'no penalty' if choice.method == 'none' else ''}")


@pytest.mark.filterwarnings("ignore:the study has not tried strength")
def test_another_method_is_fitted_once_and_kept(classes_study, monkeypatch):
    folder, _ = classes_study
    untried = r"has not tried strength 0\.05 of group_lasso.* it has 0\.001 and 0\.02\): this model"
    with pytest.warns(UserWarning, match=untried):
        model = fit_model(folder, method="group_lasso:groups=in", strength=0.05, jobs=1)
    assert (model.method, model.strength) == ("group_lasso:groups=in@proximal", 0.05)
    monkeypatch.setattr(refitting, "run_trials", None)  # nothing is trained again
    again = fit_model(folder, method="group_lasso:groups=in", strength=0.05)
    assert {k: v.tolist() for k, v in again.state.items()} == {
        k: v.tolist() for k, v in model.state.items()
    }
    monkeypatch.undo()
    kept = folder / "models" / "group-lasso-groups-in-proximal-0.05-rest"
    (kept / "weights.safetensors").write_bytes(b"damaged")
    again = fit_model(folder, method="group_lasso:groups=in", strength=0.05)
    assert again.facts["objective"] == model.facts["objective"]
    assert load_model(kept).facts == again.facts


def test_of_several_initializations_the_least_objective_is_kept(classes_study):
    _, results = classes_study
    table, study = read_table(results)
    model = refitting.refit(table, study, "none", 0.0, jobs=1)
    objectives = []
    run = refitting.run_trials

    def spy(*arguments):
        for record in run(*arguments):
            objectives.append(record.history["data_loss"][-1] + record.history["penalty"][-1])
            yield record

    refitting.run_trials = spy
    try:
        again = refitting.refit(table, study, "none", 0.0, jobs=1)
    finally:
        refitting.run_trials = run
    assert len(objectives) == 3
    assert len(set(objectives)) == 3
    assert again.facts["objective"] == model.facts["objective"] == min(objectives)


def test_all_rows_take_the_test_part_in_and_have_no_test_score(classes_study):
    _, results = classes_study
    table, study = read_table(results)
    model = refitting.refit(table, study, "none", 0.0, rows="all", jobs=1)
    assert model.facts["fitted rows"] == 120
    assert "test score" not in model.facts


@pytest.mark.slow
def test_what_is_preferred_or_named_decides(numbers_study):
    _, results = numbers_study

    def find(**named):
        return find_method(results, **{"method": None, "strength": None, "prefer": None, **named})

    assert find() == ("l1@proximal", 0.05)
    assert find(prefer="score")[0] != "l1@proximal"
    assert find(method="l2@coupled") == ("l2@coupled", 0.05)
    assert find(method="none") == ("none", 0.0)
    assert find(strength=0.2) == ("l1@proximal", 0.2)
    assert find(strength=np.float32(0.25)) == ("l1@proximal", 0.25)
    with pytest.raises(UsageError, match="method 'l2@proximal' is not in the study; did you mean"):
        find(method="l2@proximal")
    with pytest.raises(UsageError, match="prefer must be score or sparse, got 'fast'"):
        find(prefer="fast")
    with pytest.raises(UsageError, match="strength must be a number from 0 up, got -1"):
        find(strength=-1.0)
    for wrong in ("0.1", float("nan"), True):
        with pytest.raises(UsageError, match="strength must be a number from 0 up, got"):
            find(strength=wrong)
    with pytest.raises(UsageError, match=r"strength must lie between 1\.2e-38 and"):
        find(strength=1e300)
    with pytest.raises(UsageError, match="must be left out for 'none', which has no penalty"):
        find(method="none", strength=0.5)
    question = {**results.question, "methods": ["l2:0.1@proximal"]}
    with pytest.raises(UsageError, match=r"left out for 'l2:0\.1@proximal', which states its own"):
        find_method(replace(results, question=question), method="l2:0.1", strength=0.5, prefer=None)
    unfinished = replace(results, verdict="")
    with pytest.raises(UsageError, match="the study is not finished"):
        find_method(unfinished, method=None, strength=None, prefer=None)


def test_the_data_must_be_those_of_the_study(numbers_study, cars):
    folder, _ = numbers_study
    with pytest.raises(UsageError, match="the study's data were in memory: give them again"):
        fit_model(folder, method="none")
    with pytest.raises(UsageError, match="have changed since the study"):
        fit_model(folder, method="none", data=cars.drop(columns="thirst").iloc[1:])
    model = fit_model(folder, method="none", data=cars.drop(columns="thirst"), jobs=1)
    assert model.kept == ("power", "weight", "noise", "origin")


def test_without_a_recommendation_there_is_no_model(tmp_path):
    noise = pd.DataFrame({"a": range(40), "y": [0, 1, 1, 0] * 10})
    results = compare(
        noise.assign(a=1.0),
        target="y",
        penalty="l1",
        strengths=[10.0],
        seeds=1,
        epochs=2,
        model="linear",
        jobs=1,
        out=tmp_path,
        quiet=True,
    )
    assert results.recommended is None
    with pytest.raises(UsageError, match="holds no model"):
        _ = results.model
    with pytest.raises(UsageError, match="no model is recommended: name a --method of the study"):
        fit_model(tmp_path)


@pytest.mark.slow
def test_a_changed_preference_fits_the_other_model(tmp_path, cars):
    def run(**options):
        return compare(
            cars.drop(columns="thirst"),
            target="mpg",
            penalty="l1",
            strengths=[0.05],
            seeds=1,
            model="linear",
            epochs=100,
            jobs=1,
            out=tmp_path,
            quiet=True,
            **options,
        )

    assert run(refit=None).recommended is not None
    assert not (tmp_path / "model").exists()
    run(prefer="sparse")
    assert load_model(tmp_path).method == "l1@proximal"
    run(prefer="score")
    assert load_model(tmp_path).method == load(tmp_path).recommended.method == "none"
    before = load_model(tmp_path).facts["fitted"]
    assert run(prefer="score", refit=None).model.facts["fitted"] == before
    sparse = run(prefer="sparse", refit=None)  # the model is no longer the recommended one
    with pytest.raises(UsageError, match="holds no model"):
        _ = sparse.model
    run(prefer="score")
    (tmp_path / "model" / "model.json").write_text("{}")
    with pytest.raises(UsageError, match="is the file of another program"):
        load_model(tmp_path)
    run(prefer="score")
    assert load_model(tmp_path).facts["rows"] == "rest"
    run(prefer="score", refit="all")
    assert load_model(tmp_path).facts["rows"] == "all"
    (tmp_path / "model" / "thesis.tex").write_text("")  # no model is written over it
    (tmp_path / "trials.csv").unlink()
    run(prefer="score", refit="rest")
    assert load_model(tmp_path).facts["rows"] == "all"
    assert (tmp_path / "trials.csv").exists()
    with pytest.raises(UsageError, match="refit must be rest or all, or None for no model"):
        run(refit="most")


def test_hidden_units_that_change_nothing_are_taken_out(tmp_path, cars, monkeypatch):
    """The kept model is smaller, says so, and answers as the whole network does."""
    rows = cars.drop(columns="thirst")
    compare(
        rows,
        target="mpg",
        penalty="group_lasso",
        strengths=[0.1],
        seeds=1,
        model="mlp:32",
        epochs=200,
        out=tmp_path,
        refit=None,
        quiet=True,
    )
    model = fit_model(tmp_path, data=rows, method="group_lasso@proximal")
    widths = [len(bias) for name, bias in model.state.items() if name.endswith("bias")]
    assert model.facts["trained model"] == "mlp:32"
    assert model.model == f"mlp:{widths[0]}"
    assert widths[0] < 32
    before, after = model.facts["multiplications"]
    assert (before, after) == (32 * (before // 32), widths[0] * (before // 32))
    text = describe_fit(model)
    assert f"{widths[0]} of 32 hidden units are needed" in text
    assert f"{before / after:.1f} times fewer multiplications" in text
    monkeypatch.setattr(refitting, "_compact_model", lambda text, state: (text, state, {}))
    table, study = read_table(load(tmp_path), rows)
    whole = refitting.refit(table, study, model.method, model.strength)
    assert whole.model == "mlp:32"
    np.testing.assert_allclose(model.predict(rows), whole.predict(rows), rtol=1e-4)
