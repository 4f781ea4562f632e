"""The command, as its user meets it."""

import html
import importlib
import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr
from pathlib import Path

import pandas as pd
import pytest
import typer
from sklearn.datasets import load_breast_cancer

import shrinkage
from shrinkage.cli.exits import end_in_a_sentence
from shrinkage.study import StoppedError, load
from shrinkage.study.storage.folder_lock import lock_folder

SMALL = ("--strengths", "1e-3,1e-1", "--seeds", "2", "--epochs", "5", "--jobs", "1")


@pytest.fixture
def cancer(tmp_path):
    """breast_cancer with a text column, holes, and three rows a patient."""
    frame = load_breast_cancer(as_frame=True).frame.iloc[:150]
    frame = frame.assign(diagnosis=frame.pop("target").map({0: "malignant", 1: "benign"}))
    frame["site"] = ["north", "<b>south</b>", None] * 50
    frame.loc[::7, "mean radius"] = None
    frame["patient"] = [f"patient {row // 3}" for row in range(150)]
    frame.to_csv(tmp_path / "cancer.csv", index=False)
    return frame


def test_a_comparison_leaves_three_files_and_prints_the_table(run, tmp_path):
    result = run("compare", "iris", "--penalty", "l1@proximal", *SMALL)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "shrinkage-study"
    assert {"study.sqlite", "trials.csv", "report.html"} <= set(os.listdir(folder))
    results = load(folder)
    assert len(results.records) == 2 + 2 * 2
    assert repr(results) in result.stdout
    assert results.verdict in result.stdout
    assert "5/6 trials, best so far" in result.stderr
    assert results.provenance["command"].startswith("shrinkage")


def test_a_report_is_made_again_from_the_records(run, tmp_path):
    run("compare", "iris", "--penalty", "l1@proximal", *SMALL)
    folder = tmp_path / "shrinkage-study"
    before = {name: (folder / name).read_bytes() for name in ("trials.csv", "report.html")}
    for name in before:
        (folder / name).unlink()
    result = run("report", "shrinkage-study")
    assert result.exit_code == 0, result.output
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_report_on_a_study_that_is_not_finished_says_how_far_it_is(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shrinkage.study.storage.store.Store.finish", stop)
    result = run("compare", "iris", "--penalty", "l1@proximal", *SMALL)
    assert "stopped before its end" in result.stderr
    folder = tmp_path / "shrinkage-study"
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection, connection:
        connection.execute("DELETE FROM records WHERE seed = 1 AND strength > 0")
    with lock_folder(folder):
        running = run("report", "shrinkage-study")
    assert running.exit_code == 0, running.output
    assert "4 of 6 trials are recorded" in running.stdout
    assert "based on 1 of 2 seeds, of which every trial is recorded" in running.stdout
    assert "The study is running: the same command shows more later." in running.stdout
    assert "so far" in (folder / "report.html").read_text("utf-8")
    assert (
        "The study is not running: its compare command goes on"
        in run("report", "shrinkage-study").stdout
    )


def stop(*_):
    raise StoppedError("stopped before its end")


def test_what_is_preferred_may_change_and_nothing_is_trained(run):
    arguments = ("compare", "iris", "--penalty", "l1@proximal", *SMALL)
    run(*arguments)
    result = run(*arguments, "--prefer", "sparse")
    assert result.exit_code == 0, result.output
    assert "6 of 6 trials already recorded" in result.stderr
    results = load("shrinkage-study")
    assert results.question["prefer"] == "sparse"
    page = Path("shrinkage-study/report.html").read_text(encoding="utf-8")
    assert f'<p class="verdict">{html.escape(results.verdict)}</p>' in page


def test_text_and_holes_and_subjects(run, cancer, tmp_path):
    arguments = ("cancer.csv", "--target", "diagnosis", "--subject", "patient", "--out", "there")
    result = run("compare", *arguments, "--penalty", "l1", *SMALL)
    assert result.exit_code == 0, result.output
    results = load(tmp_path / "there")
    assert results.data["classes"] == ["benign", "malignant"]
    assert results.data["features"] == len(cancer.columns) - 2
    assert results.question["subject"] == "patient"


def test_a_study_file_and_options_before_it(run, tmp_path):
    (tmp_path / "study.toml").write_text(
        'data = "wine"\nmethods = ["l2@coupled"]\nstrengths = [0.1]\nseeds = 4\nepochs = 3\n'
    )
    result = run("compare", "--study", "study.toml", "--seeds", "1", "--jobs", "1")
    assert result.exit_code == 0, result.output
    results = load(tmp_path / "shrinkage-study")
    assert (results.data["name"], len(results.records)) == ("wine", 2)


def test_another_metric_folds_and_balanced_classes(run):
    options = ("--metric", "log_loss", "--folds", "2", "--balanced")
    result = run("compare", "iris", "--penalty", "l1", *SMALL, *options)
    assert result.exit_code == 0, result.output
    assert "12 trials to run, about " in result.stderr
    results = load("shrinkage-study")
    question = results.question
    assert (question["metric"], question["folds"], question["balanced"]) == ("log_loss", 2, True)
    assert results.baseline.name == "guessing by class shares"
    # a third of the rows is of each class, so that the bar is log 3
    assert results.baseline.validation_scores == pytest.approx([1.0986] * 4, abs=2e-3)
    assert "log-loss in validation" in " ".join(result.stdout.split())
    assert "mean over 2 folds, 2 times" in " ".join(result.stdout.split())


@pytest.mark.slow
def test_all_diverged_is_a_failure(run):
    result = run("compare", "iris", "--penalty", "l1@proximal", "--lr", "1e38", *SMALL)
    assert result.exit_code == 1
    assert "every trial diverged" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("spirl",), "data 'spirl' is no file and no data set; did you mean 'spiral'"),
        (("cancer.csv",), "target is needed for cancer.csv: name one of its columns"),
        (("cancer.csv", "--target", "diagnose"), "'diagnose' is no column of cancer.csv; did you"),
        (("empty.csv", "--target", "gone"), "column 'gone' of empty.csv is missing in every row"),
        (("one.csv", "--target", "y"), "target 'y' is '1' in every row"),
        (("few.csv", "--target", "y"), "has 4 rows with a target"),
        (("--penalty", "l3"), "penalty 'l3': unknown penalty 'l3'; did you mean lp"),
        (("--penalty", "l1:-1"), "penalty 'l1:-1'"),
        (("--penalty", "l1:nan"), "penalty 'l1:nan'"),
        (("--penalty", "l1:inf"), "penalty 'l1:inf'"),
        (("--strengths", "-1"), "strengths must be numbers above 0 and finite, got -1.0"),
        (("--strengths", "nan"), "got nan"),
        (("--strengths", "1e-3:inf:3"), "got inf"),
        (("--seeds", "0"), "seeds must be a whole number from 1 up, got 0"),
        (("--seeds", "two"), "'--seeds': 'two' is no whole number"),
        (("--jobs", "-1"), "jobs must be a whole number from 1 up, got -1"),
        (("--lr", "fast"), "'--lr': 'fast' is no number"),
        (("--epochs", "0"), "epochs must"),
        (("--model", "nowhere:build"), "cannot be imported from"),
        (("--optimizer", "adm"), "did you mean 'adam'"),
        (("--optimizer", "lbfgs"), "l1@proximal cannot be trained with optimizer 'lbfgs'"),
        (("--prefer", "small"), "prefer must be score or sparse, got 'small'"),
        (("--task", "ranking"), "task must be regression or classification, got 'ranking'"),
        (("iris", "--metric", "mae"), "metric 'mae' is of regression: classification has acc"),
        (
            ("iris", "--folds", "57"),
            "folds must be at most 56 here, two rows outside the test part",
        ),
        (("iris", "--folds", "1"), "folds must be a whole number from 2 up, got 1"),
        (("diabetes", "--balanced"), "balanced weighs classes, and the task is regression"),
        (("--metric", "acuracy"), "metric 'acuracy' is unknown; did you mean 'accuracy'"),
        (("--penalty", "l1", "--out", "few.csv"), "out 'few.csv' cannot be written"),
        (("--study", "no.toml"), "study 'no.toml' cannot be read"),
        (("--out", ""), "'--out': it is empty; name a folder"),
        (("--penalty", "l1", "--out", "a/" * 3000), "cannot be written (File name too long)"),
        (
            ("--strengths", "1e-4:1e-1:1000000000"),
            "strengths must be at most 10,000, got 1000000000",
        ),
        (("--strengths", "1e39"), "what float32 holds, got 1e+39"),
        (
            (*("iris", "--optimizer", "rmsprop"), "--penalty", "l2@coupled", "--strengths", "3e38"),
            "at strength 3e+38: ",
        ),
        (("--seeds", "1" + "0" * 20), "seeds must be at most 10,000"),
        (("--seeds", "9" * 5000), "is no whole number"),
        (("--epochs", "1" + "0" * 12), "epochs must be at most 100,000,000"),
        (("--jobs", "100000"), "for each processor, got 100000"),
        (("--model", "mlp:10000000000"), "weights: a study takes at most 100,000,000"),
    ],
)
@pytest.mark.usefixtures("cancer")
def test_a_usage_error_is_a_sentence_and_leaves_nothing(run, tmp_path, arguments, said):
    pd.DataFrame({"x": [1.5, 3, 2] * 9, "gone": None, "y": [0, 1, 2] * 9}).to_csv("empty.csv")
    pd.DataFrame({"x": [1.5, 3, 2] * 9, "y": 1}).to_csv("one.csv", index=False)
    pd.DataFrame({"x": [1.5, 3, 2, 1], "y": [0, 1, 0, 1]}).to_csv("few.csv", index=False)
    before = sorted(os.listdir(tmp_path))
    result = run("compare", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_an_incomplete_merge_says_what_is_missing_and_fails(run):
    options = ("iris", "--penalty", "l1@proximal", *SMALL, "--shard", "1/2", "--out", "a")
    assert run("compare", *options).exit_code == 0
    result = run("merge", "a", "--out", "all")
    assert result.exit_code == 1
    assert "all has 3 of 6 trials." in result.stdout
    assert "To run the 3 that are missing here" in result.stdout


def test_an_end_before_there_is_a_study_promises_nothing(run, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("shrinkage.study.comparing.run_study", interrupt)
    result = run("compare", "iris")
    assert (result.exit_code, result.stderr) == (130, "shrinkage: interrupted\n")


def test_a_report_of_nothing_is_a_usage_error(run, tmp_path):
    result = run("report", "nowhere")
    assert result.exit_code == 2
    assert "folder 'nowhere' holds no study" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_report_of_a_damaged_record_is_made_and_says_so(run, tmp_path):
    run("compare", "iris", "--penalty", "l1@proximal", *SMALL)
    folder = tmp_path / "shrinkage-study"
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE records SET state = x'' WHERE rowid = 1")
    with pytest.warns(UserWarning, match="1 damaged record of"):
        result = run("report", folder)
    assert result.exit_code == 0, result.output
    assert (folder / "report.html").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_a_standard_output_that_is_full_is_told_of(argument):
    command = (sys.executable, "-c", "from shrinkage.cli import main; main()", argument)
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "shrinkage: [Errno 28] No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_device_is_not_written_over(run, tmp_path):
    (tmp_path / "page.html").symlink_to("/dev/full")
    result = run("scratch", *QUICK, "--plot", "page.html")
    assert result.exit_code == 2
    assert "'page.html' is a device or a pipe; name a file" in result.stderr
    assert not Path("/dev/full").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "leave"),
    [("leaves1", "sys.exit(0)"), ("leaves2", "os._exit(0)"), ("leaves3", "raise SystemExit")],
)
def test_a_model_that_ends_the_program_is_told_of(run, tmp_path, module, leave):
    """In its function it is a usage error; in the midst of a trial it stops the study."""
    (tmp_path / f"{module}.py").write_text(
        "import os, sys, torch\n"
        "def early(features, outputs):\n"
        f"    {leave}\n"
        "class Late(torch.nn.Linear):\n"
        "    calls = 0\n"
        "    def forward(self, x):\n"
        "        Late.calls += not self.training\n"
        "        if Late.calls > 5:\n"
        f"            {leave}\n"
        "        return super().forward(x)\n"
    )
    for name, code, said in (("early", 2, "fails when called"), ("Late", 1, "cannot be trained")):
        result = run("compare", "iris", "--penalty", "l1", *SMALL, "--model", f"{module}:{name}")
        assert result.exit_code == code
        assert said in result.stderr
        assert "it tries to end the program" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("imported", "said"),
    [
        ("nowhere_at_all", "imports the module 'nowhere_at_all', which Python does not find"),
        ("torch.nowhere", "imports the module 'torch.nowhere', which Python does not find"),
        ("plotly", "plotly is not installed: pip install 'shrinkage[study]'"),
    ],
)
def test_a_missing_module_is_named_with_who_asks_for_it(monkeypatch, tmp_path, imported, said):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "plotly", None)  # as where it is not installed
    (tmp_path / "asking.py").write_text(f"\nimport {imported}\n")
    stderr = io.StringIO()
    with redirect_stderr(stderr), pytest.raises(typer.Exit), end_in_a_sentence():
        importlib.import_module("asking")
    assert said in stderr.getvalue()
    assert ("line 2 of" in stderr.getvalue()) == (imported != "plotly")
    assert ("asking.py" in stderr.getvalue()) == (imported != "plotly")
    assert len(stderr.getvalue().splitlines()) == 1


def test_a_module_that_another_program_misses_is_told_of_in_its_words():
    stderr = io.StringIO()
    with redirect_stderr(stderr), pytest.raises(typer.Exit), end_in_a_sentence():
        raise ModuleNotFoundError("the plugin\nis not there")
    assert "test_cli.py lacks a module (the plugin is not there)" in stderr.getvalue()


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout.strip()) == (0, shrinkage.__version__)


IMPORTS = """
import sys
from shrinkage.cli import app

def run(*words):
    try:
        app(list(words))
    except SystemExit as end:
        assert not end.code, words

run("compare", "--help")
heavy = {"torch", "pandas", "sklearn", "plotly", "joblib", "numba"} & set(sys.modules)
assert not heavy, heavy
from shrinkage.study import load
print(load("shrinkage-study"))
run("scratch", "--samples", "9", "--epochs", "2")
import shrinkage.probe.survey  # whose processes import it
assert "torch" not in sys.modules
"""


def test_help_imports_nothing_heavy_and_reading_and_scratch_no_torch(run, tmp_path):
    """What makes help appear at once; the time itself is no test."""
    run("compare", "iris", "--penalty", "l1", *SMALL)
    command = (sys.executable, "-c", IMPORTS)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--strengths" in done.stdout
    assert "l1@proximal" in done.stdout


def test_the_entry_point_is_installed():
    command = Path(sys.executable).with_name("shrinkage")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "compare" in done.stdout


def test_the_sandbox_prints_every_way_and_draws_them(run, tmp_path):
    given = ("--strength", 0.2, "--lr", 0.5, "--weights", "1,-2", "--steps", 7)
    result = run("sandbox", *given, "--plot", "w.html")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines() if line}
    assert "after 7 steps" in result.stdout
    # L1 in the loss: 1 − 0.5·0.2 and −2 + 0.5·0.2; seven times; Ω = 0.2·3; its gradient ±0.2
    assert lines["L1 in the loss"][4:] == ["0.9", "-1.9", "0.3", "-1.3", "0.6", "0.2", "-0.2"]
    assert "L1 proximal" in (tmp_path / "w.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--weights", "1,x"), "weights must be numbers with commas between, got '1,x'"),
        (("--strength", "-1"), "strength must be >= 0 and finite, got -1.0"),
        (("--steps", "0"), "steps must be >= 1, got 0"),
        (("--steps", "1" + "0" * 12), "steps times weights must be at most 1,000,000"),
        (("--plot", "nowhere/w.html"), "there is no folder 'nowhere'"),
        (("--plot", "w.png"), "plot must be a file that ends in .html, got 'w.png'"),
        (("--strength", "10", "--lr", "1", "--steps", "400"), "not finite at step 120"),
    ],
)
def test_bad_input_to_the_sandbox(run, arguments, sentence):
    result = run("sandbox", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


QUICK = ("--samples", 20, "--epochs", 30)


def test_scratch_prints_the_columns_and_the_validation(run, tmp_path):
    result = run("scratch", *QUICK, "--every", 10)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[2] == "l2:0.0005@coupled, on the hidden layer's weights and biases"
    names = ["epoch", "accuracy", "loss", "data", "loss", "regularization", "loss"]
    assert lines[3].split() == [*names, "learning", "rate"]
    assert [line.split()[0] for line in lines[4:8]] == ["0", "10", "20", "29"]
    # the rate of the update before: 0.05/(1 + 5e-7·19)
    assert lines[6].split()[-1] == "0.0499995250"
    assert lines[8].startswith("validation: accuracy 0.")
    assert (tmp_path / "shrinkage-scratch.html").is_file()


def test_scratch_shows_penalties_side_by_side(run, tmp_path):
    texts = ("none", "l2:5e-4", "l1:0.01", "l1:0.01@proximal")
    given = [word for text in texts for word in ("--penalty", text)]
    result = run("scratch", *QUICK, *given, "--every", 0, "--plot", "side.html")
    assert result.exit_code == 0, result.output
    table = result.stdout.partition("exact zeros")[2].splitlines()[1:5]
    names = ["none", "l2:0.0005@coupled", "l1:0.01@coupled", "l1:0.01@proximal"]
    assert [line.split()[0] for line in table] == names
    zeros = [int(line.split()[4]) for line in table]
    assert zeros[:3] == [0, 0, 0]
    assert zeros[3] > 0
    page = (tmp_path / "side.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--penalty", "l3:1"), "unknown penalty 'l3'"),
        (("--penalty", "l1"), "l1 has no strength; write for example l1:1e-4"),
        (("--penalty", "l1:1@decoupled"), "after @ comes one of coupled, proximal, not"),
        (("--samples", "0"), "samples must be at least 1, got 0"),
        (("--samples", "1" + "0" * 12), "multiply to 100,000,000 at the most, got 1000000000000"),
        (("--hidden", "1" + "0" * 12), "multiply to 100,000,000 at the most, got 20 · 3 · 1000000"),
        (("--epochs", "1" + "0" * 12), "epochs must be at most 10,000,000, got 1000000000000"),
        (("--classes", "1"), "classes must be between 2 and 8, for which there are colours, got 1"),
        (("--hidden", "-3"), "hidden must be at least 1, got -3"),
        (("--epochs", "1.5"), "'1.5' is no whole number"),
        (("--lr", "-1"), "lr must be >= 0 and finite, got -1.0"),
        (("--lr", "nan"), "lr must be >= 0 and finite, got nan"),
        (("--seed", "-1"), "seed must be a whole number from 0 up, got -1"),
        (("--dtype", "int8"), "dtype must be float64 or float32, got 'int8'"),
        (("--every", "-1"), "every must be at least 0, got -1"),
        (("--plot", "picture.png"), "plot must be a file that ends in .html, got 'picture.png'"),
        (("--plot", ""), "plot must be a file that ends in .html, got"),
        (("--plot", "nowhere/p.html"), "there is no folder 'nowhere'"),
        (("--plot", "folder.html"), "'folder.html' is a folder; name a file in it"),
        (("--plot", 300 * "a" + ".html"), "cannot be written: File name too long"),
        (("--penalty", "l2:5e-4", "--penalty", "l2:0.0005"), "l2:0.0005@coupled is given twice"),
        (("--penalty", "l1:1e-4@sideways"), "comes one of coupled, proximal, not 'sideways'"),
        (9 * ("--penalty", "none"), "penalty none is given twice"),
    ],
)
def test_bad_input_to_scratch(run, tmp_path, arguments, sentence):
    (tmp_path / "folder.html").mkdir()
    result = run("scratch", *QUICK, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_a_diverged_training_does_not_end_the_others(run, tmp_path, monkeypatch):
    from shrinkage.scratch import demonstration

    def train(question, penalty, *, progress):
        if penalty == "l1:1":
            raise FloatingPointError("the loss is nan at epoch 3")
        return whole(question, penalty, progress=progress)

    whole = demonstration.train
    monkeypatch.setattr(demonstration, "train", train)
    result = run("scratch", *QUICK, "--penalty", "l1:1", "--penalty", "none", "--every", 0)
    assert result.exit_code == 1
    assert "shrinkage: l1:1@coupled: the loss is nan at epoch 3" in result.stderr
    assert "none  " in result.stdout
    assert (tmp_path / "shrinkage-scratch.html").is_file()


def test_infinite_at_the_last_step_is_diverged_as_well(run, tmp_path):
    given = ("--penalty", "none", "--penalty", "l2:1e308", "--penalty", "l2:1e-4")
    result = run("scratch", "--samples", 20, "--epochs", 1, *given)
    assert result.exit_code == 1
    assert (
        "shrinkage: l2:1e+308@coupled: the squares of the derivatives overflow at epoch 0"
        in result.stderr
    )
    assert "l2:0.0001@coupled" in result.stdout.partition("exact zeros")[2]
    page = (tmp_path / "shrinkage-scratch.html").read_text(encoding="utf-8")
    assert "l2:1e+308@coupled: the squares of the derivatives overflow at epoch 0" in page
    result = run("scratch", "--samples", 20, "--epochs", 1, "--lr", 1e308)
    assert result.exit_code == 1
    assert "training diverged" in result.stderr


def test_interrupted_scratch_keeps_what_ended(run, tmp_path, monkeypatch):
    from shrinkage.scratch import demonstration

    def train(question, penalty, *, progress):
        if penalty == "l1:1":
            raise KeyboardInterrupt
        return whole(question, penalty, progress=progress)

    whole = demonstration.train
    monkeypatch.setattr(demonstration, "train", train)
    result = run("scratch", *QUICK, "--penalty", "none", "--penalty", "l1:1", "--penalty", "l2:1")
    assert result.exit_code == 130
    assert "shrinkage: interrupted" in result.stderr
    page = (tmp_path / "shrinkage-scratch.html").read_text(encoding="utf-8")
    assert "l1:1@coupled: interrupted" in page
    assert run("scratch", *QUICK, "--penalty", "l1:1").exit_code == 130


def test_scratch_says_when_a_penalty_wiped_the_hidden_layer(run):
    result = run("scratch", *QUICK, "--penalty", "l1:1@proximal")
    assert "All hidden units are silent: the penalty is stronger" in result.stdout


def test_a_link_to_a_page_stays_a_link(run, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "page.html").symlink_to(tmp_path / "there" / "real.html")
    assert run("scratch", *QUICK, "--plot", "page.html").exit_code == 0
    assert (tmp_path / "page.html").is_symlink()
    assert (tmp_path / "there" / "real.html").is_file()


def test_scratch_says_when_all_diverge(run, tmp_path):
    result = run("scratch", *QUICK, "--lr", "1e300")
    assert result.exit_code == 1
    assert "training diverged; lower lr" in result.stderr
    assert not (tmp_path / "shrinkage-scratch.html").exists()
