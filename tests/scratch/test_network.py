"""Networks as people use them: what training says and keeps, and what comes of one that ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from grid import covering
from scratch.twins import OPTIMIZERS, apart, parameters, steps_by_hand
from shrinkage import L0, L1, L2, MCP, GroupLasso, LInf, MaxNorm, NonNegative, NuclearNorm, Penalty
from shrinkage.scratch import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    MeanAbsoluteError,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
    sine,
    spiral,
    training,
    vertical,
)

X, Y = spiral(30, 3)


def network(lr: float = 0.05, **options: object) -> Network:
    dtype = options.get("dtype", "float64")
    layers = [Dense(2, 16, rng=0, **options), ReLU(), Dense(16, 3, rng=1, dtype=dtype)]
    return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam(lr=lr))


@pytest.mark.usefixtures("engines")
def test_the_history_is_what_was_before_each_epoch() -> None:
    ours = network(weight_penalty=L2(0.01), bias_penalty=L1(0.1))
    evaluated, penalty = ours.evaluate(X, Y), ours.regularization_loss()
    history = ours.fit(X, Y, epochs=3)
    assert list(history) == ["accuracy", "loss", "data_loss", "regularization_loss", "lr"]
    assert {len(values) for values in history.values()} == {3}
    assert history["accuracy"][0] == evaluated["accuracy"]
    assert history["data_loss"][0] == pytest.approx(evaluated["data_loss"], rel=1e-12)
    assert history["regularization_loss"][0] == pytest.approx(penalty, rel=1e-12)
    assert history["loss"][0] == history["data_loss"][0] + history["regularization_loss"][0]


def test_progress_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    history = network(weight_penalty=L2(0.01)).fit(X, Y, epochs=250, progress=100)
    lines = capsys.readouterr().out.splitlines()
    heading = "epoch  accuracy      loss  data loss  regularization loss  learning rate"
    assert lines[0].strip() == heading
    assert [line.split()[0] for line in lines[1:]] == ["0", "100", "200", "249"]
    for line in lines[1:]:
        epoch, *numbers = line.split()
        row = [values[int(epoch)] for values in history.values()]
        assert [float(number) for number in numbers] == pytest.approx(row, rel=1e-2, abs=1e-3)
    assert len({len(line) for line in lines}) == 1
    network().fit(X, Y, epochs=5)
    assert capsys.readouterr().out == ""


def test_classes_are_predicted_with_their_probabilities() -> None:
    points, y = vertical(60, 3)
    ours = network()
    ours.fit(points, y, epochs=300)
    p = ours.predict_proba(points)
    assert p.shape == (180, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p.argmax(axis=1) == ours.predict(points)).all()
    accuracy = float(np.mean(ours.predict(points) == y))
    assert ours.evaluate(points, y)["accuracy"] == accuracy > 0.85
    assert ours.evaluate(points, np.eye(3)[y]) == ours.evaluate(points, y)
    data_loss = -np.log(p[np.arange(180), y]).mean()
    assert ours.evaluate(points, y)["data_loss"] == pytest.approx(data_loss, rel=1e-12)


def test_the_two_spellings_of_softmax_are_one_network() -> None:
    layers = [Dense(2, 16, rng=0), ReLU(), Dense(16, 3, rng=1), Softmax()]
    apart_ = Network(layers, loss=CategoricalCrossEntropy(), optimizer=Adam(lr=0.05))
    ours = network()
    histories = ours.fit(X, Y, epochs=20), apart_.fit(X, Y, epochs=20)
    for name, values in histories[0].items():
        assert values == pytest.approx(histories[1][name], rel=1e-10)
    np.testing.assert_allclose(ours.predict_proba(X), apart_.predict_proba(X), rtol=1e-10)


def test_yes_or_no() -> None:
    y = (X[:, 0] > 0.1).astype(int)
    layers = [Dense(2, 8, scale=0.5, rng=0), ReLU(), Dense(8, 1, rng=1), Sigmoid()]
    ours = Network(layers, loss=BinaryCrossEntropy(), optimizer=Adam(lr=0.05))
    history = ours.fit(X, y, epochs=200)
    assert history["accuracy"][-1] > 0.9
    assert ours.predict(X).shape == ours.predict_proba(X).shape == (90, 1)
    assert set(ours.predict(X).ravel()) <= {0, 1}
    assert (ours.predict(X) == (ours.predict_proba(X) > 0.5)).all()


@pytest.mark.parametrize("loss", [MeanSquaredError, MeanAbsoluteError])
def test_numbers(loss: Callable[[], MeanSquaredError]) -> None:
    points, y = sine(200)
    layers = [Dense(1, 32, scale=1.0, rng=1), ReLU(), Dense(32, 32, scale=0.25, rng=11), ReLU()]
    layers += [Dense(32, 1, scale=0.2, rng=21)]
    ours = Network(layers, loss=loss(), optimizer=Adam(lr=0.005))
    history = ours.fit(points, y, epochs=600)
    assert list(history)[0] == "r2"  # noqa: RUF015
    assert history["r2"][-1] > 0.95
    assert ours.predict(points).shape == y.shape
    spread = ((y - y.mean()) ** 2).sum()
    error = ((ours.predict(points) - y) ** 2).sum()
    assert ours.evaluate(points, y)["r2"] == pytest.approx(1 - error / spread)


def test_nothing_is_dropped_out_after_training() -> None:
    layers = [Dense(2, 16, rng=0), ReLU(), Dropout(0.5, rng=2), Dense(16, 3, rng=1)]
    with_dropout = Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam())
    assert (with_dropout.predict_proba(X) == network().predict_proba(X)).all()
    assert with_dropout.evaluate(X, Y) == with_dropout.evaluate(X, Y) == network().evaluate(X, Y)


DIVERGING: dict[str, Callable[[], Network]] = {
    "scores": lambda: network(lr=1e300),
    "a strength": lambda: Network(
        [Dense(2, 3, weight_penalty=L2(1e200), rng=0)],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=SGD(lr=1.0),
    ),
    "squares": lambda: Network(
        [Dense(2, 3, rng=0)], loss=MeanSquaredError(), optimizer=SGD(lr=1e3, momentum=0.5)
    ),
    "squares of a hidden layer": lambda: Network(
        [Dense(2, 5, rng=0), Sigmoid(), Dense(5, 3, rng=1)],
        loss=MeanAbsoluteError(),
        optimizer=SGD(lr=1e308),
    ),
    "outputs before the loss": lambda: Network(
        [Dense(2, 3, rng=0, dtype="float32")], loss=MeanAbsoluteError(), optimizer=SGD(lr=1e40)
    ),
    "float32": lambda: Network(
        [Dense(2, 3, rng=0, dtype="float32")], loss=MeanSquaredError(), optimizer=SGD(lr=1e10)
    ),
}


@pytest.mark.quick_where(engines=["layers"])
@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("name", DIVERGING)
def test_diverged_training_leaves_the_network_as_it_was(name: str, batch_size: int | None) -> None:
    ours = DIVERGING[name]()
    y = np.eye(3)[Y] * 2.5 if ours.loss.score == "r2" else Y
    before = parameters(ours.layers), ours.predict(X)
    with pytest.raises(FloatingPointError, match="training diverged; lower lr"):
        ours.fit(X, y, epochs=2000, batch_size=batch_size, rng=0)
    assert apart(parameters(ours.layers), before[0]) == 0
    assert (ours.predict(X) == before[1]).all()
    assert (ours.optimizer.iterations, ours.optimizer.current_lr) == (0, ours.optimizer.lr)


@pytest.mark.usefixtures("engines")
def test_diverged_training_does_not_change_the_next() -> None:
    ours, twin = network(), network()
    for one in (ours, twin):
        one.fit(X, Y, epochs=5)
    ours.optimizer.lr = 1e300
    with pytest.raises(FloatingPointError):
        ours.fit(X, Y, epochs=50)
    ours.optimizer.lr = twin.optimizer.lr
    assert ours.fit(X, Y, epochs=5) == twin.fit(X, Y, epochs=5)


def test_diverged_training_leaves_dropout_as_it_was() -> None:
    def dropping() -> Network:
        layers = [Dense(2, 16, rng=0), Dropout(0.2, rng=3), Dense(16, 3, rng=1)]
        return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam(lr=0.05))

    ours, twin = dropping(), dropping()
    ours.optimizer.lr = 1e300
    with pytest.raises(FloatingPointError):
        ours.fit(X, Y, epochs=50)
    ours.optimizer.lr = 0.05
    assert ours.fit(X, Y, epochs=5) == twin.fit(X, Y, epochs=5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_by_hand_and_fit_remember_together(optimizer: str) -> None:
    ours, twin = network(weight_penalty=L2(0.01)), network(weight_penalty=L2(0.01))
    ours.optimizer, twin.optimizer = (OPTIMIZERS[optimizer][0](decay=0.1) for _ in range(2))
    steps_by_hand(ours, X, Y, 3)
    ours.fit(X, Y, epochs=3)
    steps_by_hand(ours, X, Y, 3)
    twin.fit(X, Y, epochs=9)
    assert apart(parameters(ours.layers), parameters(twin.layers)) < 1e-10


def test_a_replaced_layer_begins_with_nothing_remembered() -> None:
    ours, twin = network(), network()
    for one in (ours, twin):
        one.fit(X, Y, epochs=5)
        one.layers = (*one.layers[:2], Dense(16, 3, rng=5))
    assert ours.fit(X, Y, epochs=5) == steps_by_hand(twin, X, Y, 5)
    counts = [ours.optimizer.memories[layer]["weights"]["count"] for layer in ours.dense]
    assert counts == [10, 5]


@pytest.mark.usefixtures("engines")
def test_large_derivatives_are_no_error_where_nothing_squares_them() -> None:
    layer = Dense(2, 1, rng=0, dtype="float32")
    ours = Network([layer], loss=MeanSquaredError(), optimizer=SGD(lr=1e-26))
    history = ours.fit(X * 1e12, 1e10 * X[:, :1], epochs=5)
    assert history["loss"] == sorted(history["loss"], reverse=True)


def test_an_interruption_within_a_step_leaves_a_network_that_trains() -> None:
    ours = network(weight_penalty=L1(1e-3), how="proximal")
    whole = ours.optimizer.post_update
    calls = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        whole()

    ours.optimizer.post_update = interrupt
    with pytest.raises(KeyboardInterrupt):
        ours.fit(X, Y, epochs=10)
    del ours.optimizer.post_update
    assert ours.optimizer.iterations == 3
    with pytest.raises(RuntimeError, match="needs pre_update"):
        ours.optimizer.update(ours.dense[0])
    before = parameters(ours.layers)
    history = ours.fit(X, Y, epochs=100)
    assert apart(parameters(ours.layers), before) > 0
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.usefixtures("engines")
def test_the_last_step_is_checked() -> None:
    ours = Network(
        [Dense(2, 8, rng=0, scale=1.0), ReLU(), Dense(8, 3, rng=1, scale=1.0)],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=SGD(lr=1e308),
    )
    before = parameters(ours.layers)
    with pytest.raises(FloatingPointError, match="the last step led to infinite weights: training"):
        ours.fit(X * 1e10, Y, epochs=1)
    assert apart(parameters(ours.layers), before) == 0


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize(
    ("ours", "data"),
    [
        (network(), X * 1e200),
        (network(weight_penalty=L1(1e200)), X),
        (network(dtype="float32"), X * 1e22),
    ],
)
def test_derivatives_whose_squares_overflow_do_not_stop_adam_in_silence(
    ours: Network, data: np.ndarray
) -> None:
    with pytest.raises(FloatingPointError, match="training diverged"):
        ours.fit(data, Y, epochs=5)


def test_a_new_optimizer_begins_with_nothing_remembered() -> None:
    ours, twin = network(), network()
    ours.fit(X, Y, epochs=5)
    for before, after in zip(ours.dense, twin.dense, strict=True):
        after.weights[:], after.biases[:] = before.weights, before.biases
    for one in (ours, twin):
        one.optimizer = SGD(lr=0.1, momentum=0.9)
    assert ours.fit(X, Y, epochs=5) == twin.fit(X, Y, epochs=5)


def test_penalties_and_their_way_may_change() -> None:
    made = network(weight_penalty=GroupLasso(0.01), how="proximal")
    changed = network()
    changed.dense[0].how = "proximal"
    changed.dense[0].weight_penalty = GroupLasso(0.01)
    assert changed.regularization_loss() == made.regularization_loss()
    assert changed.fit(X, Y, epochs=20) == made.fit(X, Y, epochs=20)
    without_prox = GroupLasso(1.0) + GroupLasso(1.0, "in")
    with pytest.raises(ValueError, match=r"weight_penalty: .* has no prox in closed form"):
        changed.dense[0].weight_penalty = without_prox
    with pytest.raises(ValueError, match="got 'proxmal'"):
        changed.dense[0].how = "proxmal"
    with pytest.raises(TypeError, match="bias_penalty must be a penalty such as"):
        changed.dense[0].bias_penalty = 0.5
    changed.dense[0].weight_penalty = None
    changed.dense[0].how = "coupled"
    changed.dense[0].weight_penalty = without_prox
    with pytest.raises(ValueError, match=r"weight_penalty: .* has no prox in closed form"):
        changed.dense[0].how = "proximal"
    assert changed.dense[0].how == "coupled"


@pytest.mark.parametrize(
    ("penalty", "optimizer"),
    covering(
        [NonNegative(), MaxNorm(0.1), L1(1e-3) + NonNegative(), MCP(1e-3), L0(1e-6), LInf(1e-3)],
        OPTIMIZERS,
    ),
    ids=str,
)
def test_the_whole_family_trains(penalty: Penalty, optimizer: str) -> None:
    ours = network(weight_penalty=penalty, how="proximal", scale=0.5)
    ours.optimizer = OPTIMIZERS[optimizer][0]()
    history = ours.fit(X, Y, epochs=100)
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(ours.regularization_loss())
    twin = network(weight_penalty=penalty, how="proximal", scale=0.5)
    twin.optimizer = OPTIMIZERS[optimizer][0]()
    twin.dense[0].weights = twin.dense[0].weight_penalty.prox(twin.dense[0].weights, 0.0)
    steps_by_hand(twin, X, Y, 10)
    again = network(weight_penalty=penalty, how="proximal", scale=0.5)
    again.optimizer = OPTIMIZERS[optimizer][0]()
    again.fit(X, Y, epochs=10)
    assert apart(parameters(again.layers), parameters(twin.layers)) < 1e-9


def test_a_penalty_of_matrices_trains_under_sgd() -> None:
    layers = [
        Dense(2, 8, weight_penalty=NuclearNorm(0.5), how="proximal", scale=1.0, rng=0),
        ReLU(),
    ]
    optimizer = SGD(lr=0.05, momentum=0.9)
    ours = Network(
        [*layers, Dense(8, 3, rng=1)], loss=SoftmaxCategoricalCrossEntropy(), optimizer=optimizer
    )
    ours.fit(X, Y, epochs=100)
    assert np.linalg.matrix_rank(ours.dense[0].weights, tol=1e-8) < 2


def test_changed_parts_are_checked_again() -> None:
    ours = network()
    assert isinstance(ours.layers, tuple)
    ours.layers = (Dense(2, 5, rng=3), *ours.layers[1:])
    with pytest.raises(ValueError, match="layers do not fit"):
        ours.fit(X, Y, epochs=1)
    ours.layers = (Dense(2, 16, rng=3), *ours.layers[1:])
    before = parameters(ours.layers)
    ours.fit(X, Y, epochs=3)
    assert apart(parameters(ours.layers), before) > 0
    ours.loss = CategoricalCrossEntropy()
    with pytest.raises(ValueError, match="CategoricalCrossEntropy needs probabilities"):
        ours.fit(X, Y, epochs=1)


def test_what_is_derived_from_a_layer_or_loss_is_what_trains() -> None:
    class Leaky(ReLU):  # type: ignore[misc]
        def forward(self, inputs: np.ndarray) -> None:
            self.inputs, self.output = inputs, np.where(inputs > 0, inputs, 0.3 * inputs)

        def backward(self, dvalues: np.ndarray) -> None:
            self.dinputs = dvalues * np.where(self.inputs > 0, 1.0, 0.3)

    class Twice(SoftmaxCategoricalCrossEntropy):  # type: ignore[misc]
        def forward(self, output: np.ndarray, y: np.ndarray) -> float:
            return 2 * super().forward(output, y)

    layers = [Dense(2, 16, scale=1.0, rng=0), Leaky(), Dense(16, 3, scale=1.0, rng=1)]
    ours = Network(layers, loss=Twice(), optimizer=Adam(lr=0.05))
    expected = ours.evaluate(X, Y)["data_loss"]
    assert ours.fit(X, Y, epochs=1)["data_loss"][0] == pytest.approx(expected, rel=1e-12)

    class Shifted(Dense):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match="Shifted is derived from Dense, whose mathematics fit"):
        Network([Shifted(2, 3)], loss=MeanSquaredError(), optimizer=SGD())


@pytest.mark.usefixtures("engines")
def test_an_interrupted_training_keeps_what_was_learned() -> None:
    ours, twin = network(), network()
    epoch = training.Training.run_epoch

    def interrupted(self: training.Training, number: int) -> dict[str, float]:
        if number == 7:
            raise KeyboardInterrupt
        return epoch(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Training, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ours.fit(X, Y, epochs=100)
    twin.fit(X, Y, epochs=7)
    assert apart(parameters(ours.layers), parameters(twin.layers)) == 0
    assert ours.fit(X, Y, epochs=3) == twin.fit(X, Y, epochs=3)


def test_weights_set_by_hand_are_taken() -> None:
    ours = network()
    ours.dense[0].weights = np.zeros((2, 16))
    ours.dense[0].biases = np.zeros((1, 16))
    ours.fit(X, Y, epochs=3)
    assert not ours.dense[0].weights.any()  # no derivative comes through dead units
    ours.dense[0].weights = np.ones((2, 16), int)
    with pytest.raises(
        TypeError, match=r"weights of Dense\(2, 16\) must be an array of float64, g"
    ):
        ours.fit(X, Y, epochs=1)
    ours.dense[0].weights = np.zeros((3, 16))
    with pytest.raises(ValueError, match=r"weights of Dense\(2, 16\) must have shape \(2, 16\)"):
        ours.fit(X, Y, epochs=1)
