"""The compiled engine beside its slow twin in NumPy: losses, parameters and optimizer state."""

import numpy as np
import pytest

from shrinkage import L1, L2, MCP, Box, ElasticNet, GroupLasso
from shrinkage.sklearn.numpy_engine import NumpyEngine
from shrinkage.sklearn.parameters import BoundPenalty, Parameters
from shrinkage.sklearn.task import Data, Objective, Task
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
    (L1(0.02), "proximal", "weights"),
    (L1(0.02), "coupled", "all"),
    (ElasticNet(0.03, 0.5), "proximal", "biases"),
    (L2(0.05), "coupled", "weights"),
    (L2(0.05), "proximal", "all"),
    (MCP(0.05, gamma=3.0), "proximal", "weights"),
    (Box(-0.3, 0.2), "proximal", "all"),
    (GroupLasso(0.02, groups="in"), "proximal", "weights"),
    (GroupLasso(0.02, groups="out"), "proximal", "weights"),
    (GroupLasso(0.02, groups="in"), "coupled", "weights"),
    (GroupLasso(0.02, groups="out"), "proximal", "all"),
]


@pytest.mark.quick_where(rule=["adam"])
@pytest.mark.parametrize("rule", ["adam", "nesterov"])
@pytest.mark.parametrize(("penalty", "how", "on"), PENALTIES, ids=str)
def test_every_way_of_a_penalty(penalty, how, on, rule):
    arguments = {"penalty": penalty, "how": how, "on": on, "rule": rule, "activation": "logistic"}
    slow, fast = assert_same(arguments)
    np.testing.assert_array_equal(fast.parameters.values == 0, slow.parameters.values == 0)
    free, _ = assert_same({"rule": rule, "activation": "logistic"})
    assert np.abs(free.parameters.values - slow.parameters.values).max() > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_single_precision(loss):
    arguments = {"penalty": L1(0.01), "loss": loss, "dtype": "float32", "alpha": 0.3}
    assert_same(arguments, rtol=2e-4, atol=2e-5)  # 52 steps of rounding
