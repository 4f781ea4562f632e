"""The compiled engine beside its slow twin in NumPy: losses, parameters and optimizer state."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from shrinkage import L1, L2, MCP, Box, ElasticNet, GroupLasso, NuclearNorm
from shrinkage.sklearn import MLPClassifier, training
from shrinkage.sklearn.numpy_engine import NumpyEngine
from shrinkage.sklearn.parameters import BoundPenalty, Parameters
from shrinkage.sklearn.task import Data, Objective, Task
from shrinkage.sklearn.training import Progress, Schedule, choose_engine, train
from shrinkage.sklearn.update_rules import Adam, Sgd

CompiledEngine = pytest.importorskip("shrinkage.sklearn.compiled_engine").CompiledEngine

ROWS, INPUTS, OUTPUTS = 90, 7, 3
RULES = {
    "adam": lambda like: Adam(like, 0.01, 0.9, 0.999, 1e-3),
    "sgd": lambda like: Sgd(like, 0.05, "constant", 0.5, 0.0, False),
    "momentum": lambda like: Sgd(like, 0.05, "invscaling", 0.2, 0.9, False),
    "nesterov": lambda like: Sgd(like, 0.05, "adaptive", 0.5, 0.8, True),
}
LOSSES = ["squared_error", "log_loss", "binary_log_loss"]


def make_task(
    rule="adam",
    activation="tanh",
    loss="squared_error",
    penalty=None,
    how="proximal",
    on="weights",
    alpha=0.0,
    weighted=False,
    dtype="float64",
    hidden=(9, 4),
):
    generator = np.random.default_rng(5)
    X = generator.normal(size=(ROWS, INPUTS)).astype(dtype)
    targets = {
        "squared_error": generator.normal(size=(ROWS, OUTPUTS)),
        "log_loss": np.eye(OUTPUTS)[generator.integers(0, OUTPUTS, ROWS)],
        "binary_log_loss": generator.integers(0, 2, (ROWS, OUTPUTS)),
    }[loss].astype(dtype)
    weights = generator.uniform(0.0, 2.0, ROWS) if weighted else None
    parameters = Parameters([INPUTS, *hidden, OUTPUTS], dtype)
    parameters.draw(activation, np.random.RandomState(0))
    bound = None if penalty is None else BoundPenalty(penalty, on, how, parameters)
    data = Data(X, targets, weights).with_mean_weight()
    objective = Objective(loss, activation, alpha, bound)
    return Task(parameters, data, objective, RULES[rule](parameters.values))


def run_epochs(engine, task, first, last):
    """Epochs of 4 batches, after each of which the rate is lowered where its schedule says so."""
    generator, low = np.random.default_rng(first), np.arange(0, ROWS, 25)
    ranges = np.column_stack([low, np.minimum(low + 25, ROWS)])
    losses = []
    for epoch in range(first, last):
        losses.append(engine.run_epoch(generator.permutation(ROWS), ranges))
        task.rule.end_epoch(ROWS * (epoch + 1))
        if epoch % 5 == 4:
            task.rule.ends_when_stalled()
    engine.finish()
    return losses


def assert_same(arguments, rtol=1e-9, atol=1e-11):
    slow, fast = make_task(**arguments), make_task(**arguments)
    start = slow.parameters.values.copy()
    for first, last in [(0, 8), (8, 13)]:  # a second engine goes on from the state of the first
        expected = run_epochs(NumpyEngine(slow), slow, first, last)
        np.testing.assert_allclose(
            run_epochs(CompiledEngine(fast), fast, first, last), expected, rtol
        )
    assert np.abs(slow.parameters.values - start).max() > 0.05
    np.testing.assert_allclose(fast.parameters.values, slow.parameters.values, rtol, atol)
    names = {"mean", "square", "count", "lr", "velocity", "reach"} & set(vars(slow.rule))
    if getattr(slow.rule, "momentum", 1.0):  # without it there is no state
        for name in names:
            expected, state = getattr(slow.rule, name), getattr(fast.rule, name)
            np.testing.assert_allclose(state, expected, rtol, atol, err_msg=name)
    return slow, fast


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_activation(activation, loss):
    assert_same({"activation": activation, "loss": loss, "alpha": 0.3, "weighted": True})


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("hidden", [(), (5,)], ids=str)
def test_every_update_rule_goes_on_from_the_state_of_the_other_engine(rule, hidden):
    arguments = {"rule": rule, "hidden": hidden, "alpha": 0.3, "loss": "log_loss"}
    assert_same(arguments)
    first, mixed = make_task(**arguments), make_task(**arguments)
    run_epochs(CompiledEngine(first), first, 0, 8)
    run_epochs(CompiledEngine(first), first, 8, 13)
    run_epochs(NumpyEngine(mixed), mixed, 0, 8)
    run_epochs(CompiledEngine(mixed), mixed, 8, 13)
    np.testing.assert_allclose(mixed.parameters.values, first.parameters.values, 1e-9, 1e-11)


PENALTIES = [
    (L1(0.02), "proximal", "weights", "adam"),
    (L1(0.02), "coupled", "all", "adam"),
]
MORE_PENALTIES = [  # each is a loop more to compile
    (MCP(0.05, gamma=3.0), "proximal", "biases", "adam"),
    (GroupLasso(0.02, groups="in"), "proximal", "weights", "adam"),
    (GroupLasso(0.02, groups="out"), "proximal", "all", "nesterov"),
    (ElasticNet(0.03, 0.5), "proximal", "weights", "nesterov"),
    (L2(0.05), "coupled", "weights", "adam"),
    (L2(0.05), "proximal", "all", "nesterov"),
    (Box(-0.3, 0.2), "proximal", "all", "adam"),
    (GroupLasso(0.02, groups="in"), "coupled", "weights", "nesterov"),
    (GroupLasso(0.02, groups="out"), "coupled", "weights", "adam"),
]


@pytest.mark.parametrize(
    ("penalty", "how", "on", "rule"),
    [*PENALTIES, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE_PENALTIES)],
    ids=str,
)
def test_every_way_of_a_penalty(penalty, how, on, rule):
    arguments = {"penalty": penalty, "how": how, "on": on, "rule": rule, "activation": "logistic"}
    slow, fast = assert_same(arguments)
    np.testing.assert_array_equal(fast.parameters.values == 0, slow.parameters.values == 0)
    free, _ = assert_same({"rule": rule, "activation": "logistic"})
    assert np.abs(free.parameters.values - slow.parameters.values).max() > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "penalty",
    [L1(0.01), pytest.param(GroupLasso(0.02, groups="in"), marks=pytest.mark.slow)],
    ids=str,
)
def test_single_precision(penalty, loss):
    arguments = {"penalty": penalty, "loss": loss, "dtype": "float32", "alpha": 0.3}
    slow, fast = assert_same(arguments, rtol=2e-4, atol=2e-5)  # 52 steps of rounding
    np.testing.assert_array_equal(fast.parameters.values == 0, slow.parameters.values == 0)


LONG, SHORT = Schedule(200, 25, True, 0.0, np.inf, False), Schedule(2, 25, True, 0.0, np.inf, False)


def sparse_task():
    task = make_task()
    thin = replace(task.data, X=sparse.csr_matrix(task.data.X))
    return replace(task, data=thin)


@pytest.mark.slow
def test_compiled_loops_train_groups_in_single_precision():
    grouped = make_task(penalty=GroupLasso(0.1, groups="in"), on="all", dtype="float32")
    assert isinstance(choose_engine(grouped, LONG), CompiledEngine)


def test_compiled_loops_train_what_they_have_where_that_takes_a_while(monkeypatch):
    sparse_weights = make_task(penalty=L1(0.1), how="coupled", on="all")
    assert isinstance(choose_engine(sparse_weights, LONG), CompiledEngine)
    assert isinstance(choose_engine(sparse_weights, SHORT), NumpyEngine)
    singular = make_task("nesterov", penalty=NuclearNorm(0.1))
    assert isinstance(choose_engine(singular, LONG), NumpyEngine)
    assert isinstance(choose_engine(sparse_task(), LONG), NumpyEngine)
    monkeypatch.setitem(sys.modules, "numba", None)  # as where it is not installed
    assert isinstance(choose_engine(sparse_weights, LONG), NumpyEngine)


def test_a_fault_of_the_compiled_loops_is_an_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "shrinkage.sklearn.compiled_engine")
    monkeypatch.setitem(sys.modules, "shrinkage.mlp.records", None)  # a file that is not there
    with pytest.raises(ImportError, match="records"):
        choose_engine(make_task(), LONG)


def train_for(schedule, task, monkeypatch, least_work, **arguments):
    monkeypatch.setattr(training, "LEAST_WORK", least_work)
    progress = Progress()
    train(task, schedule, progress, np.random.RandomState(0), **arguments)
    return progress


@pytest.mark.parametrize("least_work", [0.0, np.inf], ids=["compiled", "numpy"])
def test_ctrl_c_keeps_the_model_and_the_optimizer(least_work, monkeypatch):
    def interrupt():
        if len(scores) == 3:
            raise KeyboardInterrupt
        scores.append(0.0)
        return 0.0

    interrupted, whole, scores = make_task(), make_task(), []
    with pytest.warns(UserWarning, match="training was interrupted; the model is what it was"):
        train_for(LONG, interrupted, monkeypatch, least_work, validate=interrupt)
    train_for(replace(LONG, max_iter=4), whole, monkeypatch, least_work)
    np.testing.assert_array_equal(interrupted.rule.mean, whole.rule.mean)
    assert interrupted.rule.count == 16


def test_ctrl_c_during_an_epoch_keeps_the_weights_that_the_state_belongs_to():
    interrupted, whole = make_task(), make_task()
    engine = CompiledEngine(interrupted)
    run = engine._training.run

    def run_and_interrupt(*arguments):
        run(*arguments)
        raise KeyboardInterrupt

    engine._training.run = run_and_interrupt
    with pytest.raises(KeyboardInterrupt):
        run_epochs(engine, interrupted, 0, 1)
    engine.finish()
    run_epochs(CompiledEngine(whole), whole, 0, 1)
    assert interrupted.rule.count == whole.rule.count == 4
    np.testing.assert_array_equal(interrupted.parameters.values, whole.parameters.values)


def test_the_loss_has_the_penalty_after_each_epoch(monkeypatch):
    for least_work in (0.0, np.inf):
        free = make_task()
        task = make_task(penalty=L1(0.3))
        schedule = Schedule(1, ROWS, False, 0.0, np.inf, False)
        progress = train_for(schedule, task, monkeypatch, least_work)
        data_loss = train_for(schedule, free, monkeypatch, least_work).loss_curve[0]
        omega = 0.3 * sum(np.abs(coef).sum() for coef in task.parameters.coefs)
        assert progress.loss_curve == [pytest.approx(data_loss + omega, rel=1e-12)]


def test_an_epoch_that_diverges_ends_training(monkeypatch):
    for least_work in (0.0, np.inf):
        task = make_task("sgd", activation="identity")
        task.rule.lr = 1e3
        progress = train_for(LONG, task, monkeypatch, least_work)
        assert progress.has_diverged
        assert not np.isfinite(progress.loss_curve[-1])
        assert len(progress.loss_curve) < 100


def test_a_model_goes_on_after_a_copy(monkeypatch):
    monkeypatch.setattr(training, "LEAST_WORK", 0.0)
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    whole, parted = (MLPClassifier((5,), penalty="l1:1e-3", random_state=0) for _ in range(2))
    for _ in range(4):
        whole.partial_fit(X, y, classes=[0, 1, 2])
        parted = pickle.loads(pickle.dumps(parted.partial_fit(X, y, classes=[0, 1, 2])))
    np.testing.assert_array_equal(parted.coefs_[0], whole.coefs_[0])
    assert parted.loss_curve_ == whole.loss_curve_
