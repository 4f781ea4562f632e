"""A compiled training against derivatives by differences, and against one written with NumPy."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shrinkage import L1, GroupLasso, NuclearNorm
from shrinkage.mlp.optimizers import NoLoopError, Sgd, plan_matrix, plan_pieces
from shrinkage.mlp.records import Activation, Loss
from shrinkage.mlp.training import Architecture, Data, Training

ACTIVATIONS = {
    Activation.IDENTITY: lambda z: z,
    Activation.RELU: lambda z: np.maximum(z, 0),
    Activation.TANH: np.tanh,
    Activation.LOGISTIC: lambda z: 1 / (1 + np.exp(-z)),
}


def make_data(loss, rows, inputs, outputs, *, weighted=True):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(rows, inputs))
    targets = rng.normal(size=(rows, outputs))
    if loss is Loss.LOG_LOSS:
        targets = rng.integers(0, outputs, rows)
    elif loss is Loss.BINARY_LOG_LOSS:
        targets = (targets > 0).astype(float)
    return Data(X, targets, rng.uniform(0.5, 2.0, rows) if weighted else None)


def mean_loss(training, data, rows, alpha):
    """The loss of a batch as formulas say it."""
    a = data.inputs[rows]
    activation = ACTIVATIONS[training.architecture.activation]
    layers = list(zip(training.weights, training.biases, strict=True))
    for number, (weights, biases) in enumerate(layers):
        a = a @ weights + biases
        a = activation(a) if number < len(layers) - 1 else a
    targets = data.targets[rows]
    if training.architecture.loss is Loss.SQUARED_ERROR:
        losses = 0.5 * ((a - targets) ** 2).sum(axis=1)
    elif training.architecture.loss is Loss.LOG_LOSS:
        losses = np.log(np.exp(a).sum(axis=1)) - a[np.arange(len(a)), targets]
    else:
        losses = (np.log1p(np.exp(a)) - targets * a).sum(axis=1)
    weights = 1.0 if data.weights is None else data.weights[rows]
    squares = sum(float((w**2).sum()) for w in training.weights)
    return float(np.mean(weights * losses)) + alpha / (2 * len(a)) * squares


def start(architecture, penalty=None, **options):
    pieces = plan_pieces(architecture.sizes, penalty, "proximal")
    training = Training(architecture, Sgd(), pieces, dtype="float64", **options)
    rng = np.random.default_rng(0)
    for array in (*training.weights, *training.biases):
        array[...] = rng.normal(size=array.shape) / 2
    return training


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("activation", Activation)
def test_a_step_of_sgd_is_the_derivative_by_differences(activation, loss):
    """On a batch longer than a tile, whose last tile is short, with layers of odd widths."""
    outputs = 1 if loss is Loss.BINARY_LOG_LOSS else 3
    architecture = Architecture((5, 7, 8, outputs), activation, loss)
    data = make_data(loss, 150, 5, outputs)
    rows = np.random.default_rng(2).permutation(150)[:131]
    training = start(architecture, alpha=0.3)
    before = training.values.copy()
    losses, done = training.run(data, rows, np.array([[0, 131]]), np.array([1.0]))
    moved = before - training.values
    assert done == 1
    training.values[...] = before
    assert losses[0] == pytest.approx(mean_loss(training, data, rows, 0.3), rel=1e-12)
    for place in range(0, len(before), 3):
        values = []
        for sign in (1, -1):
            training.values[...] = before
            training.values[place] += sign * 1e-6
            values.append(mean_loss(training, data, rows, 0.3))
        assert moved[place] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_hits_are_counted_for_each_step():
    """Of equal scores, here all of those of the inputs 0, the first is predicted."""
    architecture = Architecture((5, 7, 3), Activation.RELU, Loss.LOG_LOSS)
    data = make_data(Loss.LOG_LOSS, 150, 5, 3)
    data.inputs[::4] = 0.0
    training, hits = start(architecture), np.zeros(2, np.int64)
    training.values[-10:] = 0.0  # the biases
    ranges = np.array([[0, 131], [131, 150]])
    training.run(data, None, ranges, np.zeros(2), hits)
    scores = np.maximum(data.inputs @ training.weights[0], 0) @ training.weights[1]
    is_hit = scores.argmax(axis=1) == data.targets
    assert hits.tolist() == [is_hit[:131].sum(), is_hit[131:].sum()]
    assert is_hit[::4].any()


def test_rows_in_their_own_order_need_none():
    architecture = Architecture((5, 4, 1), Activation.RELU, Loss.SQUARED_ERROR)
    data = make_data(Loss.SQUARED_ERROR, 120, 5, 1, weighted=False)
    ranges, rates = np.array([[0, 60], [60, 120]] * 3), np.full(6, 0.1)
    found = []
    for order in (None, np.arange(120)):
        training = start(architecture)
        training.run(data, order, ranges, rates)
        found.append(training.values.copy())
    np.testing.assert_array_equal(*found)


def test_a_loss_that_is_not_finite_ends_it_before_its_step():
    architecture = Architecture((2, 1), Activation.RELU, Loss.SQUARED_ERROR)
    data = Data(np.ones((4, 2)), np.ones((4, 1)))
    training = start(architecture)
    losses, done = training.run(data, None, np.array([[0, 4]] * 2000), np.full(2000, 10.0))
    assert np.isfinite(losses[:done]).all()
    assert not np.isfinite(losses[done])
    assert done < 2000


@pytest.mark.parametrize(
    ("groups", "turned"), [("out", True), ("in", False)], ids=["outputs", "inputs"]
)
def test_groups_are_rows_in_memory(groups, turned):
    plan, is_turned = plan_matrix(GroupLasso(0.1, groups=groups), inputs=3, outputs=5)
    assert (plan.span, is_turned) == (0, turned)
    assert plan.width == (3 if turned else 5)


def test_a_penalty_without_a_loop_is_refused():
    for on in ("weights", "biases"):
        with pytest.raises(NoLoopError, match=r"no compiled loop has NuclearNorm"):
            plan_pieces((3, 4), NuclearNorm(0.1), "proximal", on)


def test_trainings_beside_each_other_give_what_they_give_alone():
    architecture = Architecture((5, 8, 1), Activation.TANH, Loss.SQUARED_ERROR)
    data = make_data(Loss.SQUARED_ERROR, 90, 5, 1)

    def train(strength):
        training = start(architecture, penalty=L1(strength))
        training.run(data, None, np.array([[0, 90]] * 300), np.full(300, 0.05))
        return training.values.copy()

    strengths = [1e-3, 1e-2, 1e-1] * 4
    alone = [train(strength) for strength in strengths]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, strengths))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    zeros = [int((values == 0).sum()) for values in alone[:3]]
    assert zeros[0] < zeros[2]
    assert all(a <= b for a, b in itertools.pairwise(zeros))
