"""Convex trials of a linear model are solved: against the trained twin and scikit-learn."""

import math
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge

from fused_twins import torch_operations
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.records import Trial
from shrinkage.study.training import engines, fit_trial, solved_engine

ROWS = 100
WAYS = ("proximal", "loss", "coupled")
PENALTIES = ("none", "l1", "l2", "elastic_net", "group_lasso", "group_lasso:groups=in")


def make_parts(kind, seed=0):
    """Numbers, or two or three classes, of three inputs of which one does nothing."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(2 * ROWS, 3)).astype(np.float32)
    y = (X @ np.array([1.0, -2.0, 0.0]) + generator.normal(size=2 * ROWS)).astype(np.float32)
    if kind != "numbers":
        y = np.digitize(y, [0.5] if kind == "two classes" else [0.5, 1.5]).astype(np.int64)
    outputs = 3 if kind == "three classes" else 1
    task = "numbers" if kind == "numbers" else "classes"
    return Parts(Examples(X[:ROWS], y[:ROWS]), Examples(X[ROWS:], y[ROWS:]), task, outputs)


DATA = {"numbers": "diabetes", "two classes": "breast_cancer", "three classes": "iris"}
BALANCED = [(kind, balanced) for kind in DATA for balanced in (False, True)]
BALANCED.remove(("numbers", True))


def objective(record):
    return record.history["data_loss"][-1] + record.history["penalty"][-1]


@pytest.mark.quick_where(method=["l1@proximal"], kind=["three classes"])
@pytest.mark.parametrize(("kind", "balanced"), BALANCED)
@pytest.mark.parametrize("method", [f"{penalty}@proximal" for penalty in PENALTIES[1:]])
def test_the_minimum_is_at_most_what_training_comes_to(ready, kind, method, balanced):
    rate = 1.0 if kind == "numbers" else 2.0
    training = {"optimizer": "sgd,momentum=0.8", "epochs": 150, "lr": rate}
    study, _ = ready(data=DATA[kind], model="linear", balanced=balanced, **training)
    parts, trial = make_parts(kind), Trial(method, 0.03, 0)
    solved = engines.run_trial(study, trial, parts)
    with torch_operations():
        trained = fit_trial.run_trial(study, trial, parts)
    assert (solved.engine, trained.engine) == ("solved", "torch")
    assert objective(solved) <= objective(trained) + 1e-6
    assert objective(solved) == pytest.approx(objective(trained), abs=1e-4)
    assert solved.state.keys() == trained.state.keys()
    for name, value in solved.state.items():
        assert (value.shape, value.dtype) == (trained.state[name].shape, np.float32)
    # The biases of a softmax are known up to a common constant.
    np.testing.assert_allclose(solved.state["weight"], trained.state["weight"], atol=5e-3)
    assert (solved.zeros, solved.weights) == (trained.zeros, trained.weights)
    assert solved.train_score == pytest.approx(trained.train_score, abs=0.011)  # one row
    assert solved.history.keys() == trained.history.keys()
    assert {len(values) for values in solved.history.values()} == {1}


TWINS = {
    "l1@proximal": Lasso(0.2, tol=1e-12),
    "elastic_net@loss": ElasticNet(0.2, l1_ratio=0.5, tol=1e-12),
    "l2@coupled": Ridge(2 * ROWS * 0.2),
}


@pytest.mark.parametrize("method", TWINS)
def test_numbers_are_solved_as_scikit_learn_does(ready, method):
    study, _ = ready(data="diabetes", model="linear")
    parts = make_parts("numbers")
    state = engines.run_trial(study, Trial(method, 0.2, 0), parts).state
    twin = TWINS[method].fit(parts.train.X.astype(np.float64), parts.train.y.astype(np.float64))
    np.testing.assert_allclose(state["weight"][0], twin.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state["bias"], twin.intercept_, atol=1e-6)
    assert ((state["weight"][0] == 0) == (twin.coef_ == 0)).all()


@pytest.mark.parametrize("kind", ["two classes", "three classes"])
@pytest.mark.parametrize("l1_ratio", [0, 1])
@pytest.mark.parametrize("balanced", [False, True])
def test_classes_are_solved_as_scikit_learn_does(ready, kind, l1_ratio, balanced):
    study, _ = ready(model="linear", balanced=balanced)
    parts, lam = make_parts(kind), 0.02
    method = "l1@proximal" if l1_ratio else "l2@proximal"
    state = engines.run_trial(study, Trial(method, lam, 0), parts).state
    twin = LogisticRegression(
        C=1 / (ROWS * lam * (1 if l1_ratio else 2)),
        l1_ratio=l1_ratio,
        solver="saga",
        class_weight="balanced" if balanced else None,
        tol=1e-9,
        max_iter=20_000,
    ).fit(parts.train.X.astype(np.float64), parts.train.y)
    np.testing.assert_allclose(state["weight"], twin.coef_, atol=1e-4)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("kind", ["numbers", "three classes"])
def test_all_ways_of_one_objective_have_one_answer(ready, penalty, kind):
    study, _ = ready(data=DATA[kind], model="linear")
    ways = [""] if penalty == "none" else [f"@{way}" for way in WAYS]
    records = [
        engines.run_trial(study, Trial(penalty + way, 0.05, 0), make_parts(kind)) for way in ways
    ]
    assert {record.engine for record in records} == {"solved"}
    for record in records[1:]:
        np.testing.assert_array_equal(record.state["weight"], records[0].state["weight"])


@pytest.mark.parametrize(
    "text", ["non_negative", "max_norm:0.5", "l2_ball:0.7", "box:low=-0.1,high=0.3"]
)
def test_a_constraint_holds_in_float32(ready, text):
    study, _ = ready(data="diabetes", model="linear")
    record = engines.run_trial(study, Trial(f"{text}@proximal", 1.0, 0), make_parts("numbers"))
    assert record.engine == "solved"
    assert record.history["penalty"] == [0.0]
    assert 0 < np.abs(record.state["weight"]).max() < 1.5


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("mlp:4", "l1@proximal"),
        ("linear", "l2@decoupled"),
        ("linear", "mcp@proximal"),
        ("linear", "non_negative@coupled"),
    ],
)
def test_what_is_no_convex_problem_is_trained(ready, model, method):
    study, _ = ready(model=model)
    assert engines.choose_engine(study, method, 1) != "solved"


def test_what_cannot_be_solved_is_trained(ready, monkeypatch):
    study, parts = ready(model="linear")
    monkeypatch.setattr(solved_engine, "MAX_ITER", 2)
    trial = Trial("sparse_group_lasso@proximal", 1e-3, 0)
    with pytest.raises(solved_engine.NotSolvedError, match=r"proximal at 0.001 was solved to"):
        solved_engine.run_trial(study, trial, parts)
    assert engines.run_trial(study, trial, parts).engine == "torch"


def test_seed_optimizer_and_epochs_do_not_matter(ready):
    study, parts = ready(model="linear")
    first = engines.run_trial(study, Trial("l1@proximal", 0.01, 0), parts)
    other = replace(study, optimizer="sgd", lr=1e38, epochs=1)
    second = engines.run_trial(other, Trial("l1@proximal", 0.01, 1), parts)
    np.testing.assert_array_equal(first.state["weight"], second.state["weight"])
    assert math.isfinite(second.train_score)


@pytest.mark.slow
def test_torch_is_not_imported():
    program = """
import sys
import numpy as np
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.records import Trial
from shrinkage.study.spec import Study
from shrinkage.study.training import engines
examples = Examples(np.eye(4, dtype=np.float32), np.arange(4, dtype=np.float32))
study = Study(model="linear", task="regression")
parts = Parts(examples, examples, "numbers", 1)
record = engines.run_trial(study, Trial("l1@proximal", 0.1, 0), parts)
print(record.engine, sorted({"torch", "sklearn"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "solved []\n"


def test_a_trial_that_waits_for_its_turn_is_not_solved_after_a_stop(ready, monkeypatch):
    study, parts = ready(model="linear")
    stop, ended, solved = threading.Event(), [], []
    monkeypatch.setattr(solved_engine, "_solve_trial", lambda *arguments: solved.append(arguments))

    def wait():
        try:
            engines.run_trial(study, Trial("l1@proximal", 0.01, 0), parts, stop)
        except CancelledError:
            ended.append(True)

    with solved_engine._turn:
        waiting = threading.Thread(target=wait)
        waiting.start()
        stop.set()
    waiting.join()
    assert ended == [True]
    assert not solved
