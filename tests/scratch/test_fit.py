"""`fit` is the loop by hand, through the layers exactly and by compiled loops to rounding."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grid import covering
from scratch.twins import OPTIMIZERS, PENALTIES, Chosen, apart, parameters, steps_by_hand
from shrinkage import L1, L2, GroupLasso, Penalty
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
    training,
)

SAMPLES, EPOCHS = 203, 12  # no multiple of a vector's entries, nor of a batch
X = np.random.default_rng(0).standard_normal((SAMPLES, 4))
CLASS = np.random.default_rng(1).integers(0, 3, SAMPLES)
NUMBERS = np.random.default_rng(2).standard_normal((SAMPLES, 2))
YES = (X[:, 0] * X[:, 1] > 0).astype(int)


def dense(n_in: int, n_out: int, seed: int, **more: Any) -> Dense:
    return Dense(n_in, n_out, scale=0.5, rng=seed, **more)


def scores(**more: Any) -> Network:
    hidden, last = dense(4, 8, 1, **more), dense(8, 3, 2, **more)
    return Network([hidden, ReLU(), last], loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())


def probabilities() -> Network:
    layers = [dense(4, 8, 1), Sigmoid(), dense(8, 3, 2), Softmax()]
    return Network(layers, loss=CategoricalCrossEntropy(), optimizer=ADAM())


def deep() -> Network:
    widths = [4, 9, 7, 5, 3]
    layers: list[Any] = []
    for place, (before, after) in enumerate(itertools.pairwise(widths)):
        layers += [dense(before, after, place, bias_penalty=L2(0.01)), ReLU()]
    return Network(layers[:-1], loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())


def dropped() -> Network:
    layers = [dense(4, 8, 1), ReLU(), Dropout(0.3, rng=3), dense(8, 8, 2), Dropout(0.2, rng=4)]
    layers += [Sigmoid(), dense(8, 3, 5)]
    return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())


def dropped_first() -> Network:
    layers = [Dropout(0.3, rng=3), ReLU(), dense(4, 8, 1), ReLU(), dense(8, 3, 2)]
    return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())


def yes_or_no() -> Network:
    layers = [dense(4, 8, 1), ReLU(), dense(8, 1, 2), Sigmoid()]
    return Network(layers, loss=BinaryCrossEntropy(), optimizer=ADAM())


def squares() -> Network:
    layers = [dense(4, 8, 1), ReLU(), ReLU(), dense(8, 2, 2)]
    return Network(layers, loss=MeanSquaredError(), optimizer=SGD(lr=0.01, momentum=0.9))


def absolutes() -> Network:
    layers = [dense(4, 8, 1), Softmax(), dense(8, 2, 2), ReLU()]
    return Network(layers, loss=MeanAbsoluteError(), optimizer=ADAM())


def one_layer() -> Network:
    return Network([dense(4, 2, 1)], loss=MeanSquaredError(), optimizer=SGD(lr=0.1))


def linear() -> Network:
    layers = [dense(4, 8, 1), dense(8, 2, 2)]
    return Network(layers, loss=MeanSquaredError(), optimizer=SGD(lr=0.1, momentum=0.9, decay=0.01))


ADAM = OPTIMIZERS["Adam"][0]
ONE_HOT = np.eye(3)[CLASS]
NETWORKS: dict[str, tuple[Callable[[], Network], np.ndarray]] = {
    "scores": (scores, CLASS),
    "scores, one-hot": (scores, ONE_HOT),
    "probabilities": (probabilities, CLASS),
    "probabilities, one-hot": (probabilities, ONE_HOT),
    "deep": (deep, CLASS),
    "dropped": (dropped, CLASS),
    "dropped first": (dropped_first, CLASS),
    "yes or no": (yes_or_no, YES),
    "squares": (squares, NUMBERS),
    "absolutes": (absolutes, NUMBERS),
    "one layer": (one_layer, NUMBERS),
    "linear": (linear, NUMBERS),
}


COMPILED = {"scores", "scores, one-hot", "probabilities", "probabilities, one-hot", "deep"}
COMPILED |= {"linear", "one layer"}


def same(ours: Network, twin: Network, *histories: dict[str, list[float]], within: float) -> None:
    """The two networks, what they went through and what their optimizers remember agree."""
    assert apart(parameters(ours.layers), parameters(twin.layers)) <= within
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=within, atol=0, err_msg=name)
    for one, other in zip(ours.dense, twin.dense, strict=True):
        for array, memory in twin.optimizer.memories[other].items():
            ours_of_it = ours.optimizer.memories.get(one, {}).get(array, {})
            assert ours_of_it.keys() == memory.keys()
            for name, values in memory.items():
                assert type(ours_of_it[name]) is type(values)
                atol = within * np.abs(values).max()
                np.testing.assert_allclose(ours_of_it[name], values, rtol=within, atol=atol)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_samples_at_once(name: str, engines: Chosen) -> None:
    make, y = NETWORKS[name]
    ours, twin = make(), make()
    before = parameters(ours.layers)
    history = ours.fit(X, y, epochs=EPOCHS)
    same(ours, twin, history, steps_by_hand(twin, X, y, EPOCHS), within=engines.within)
    assert apart(before[::2], parameters(ours.layers)[::2]) > 1e-2
    assert history["loss"][-1] < history["loss"][0]
    is_compiled = engines.within > 1e-14 and name in COMPILED
    assert engines.names == ["CompiledEngine" if is_compiled else "LayerEngine"]


@pytest.mark.parametrize(
    ("name", "batch_size"), covering(NETWORKS, [1, 50, 202, SAMPLES, 10 * SAMPLES])
)
def test_mini_batches(name: str, batch_size: int, engines: Chosen) -> None:
    make, y = NETWORKS[name]
    ours, twin = make(), make()
    epochs = 2
    history = ours.fit(X, y, epochs=epochs, batch_size=batch_size, rng=7)
    rng = np.random.default_rng(7)

    def batches() -> list[np.ndarray]:
        order = rng.permutation(SAMPLES)
        return [order[start : start + batch_size] for start in range(0, SAMPLES, batch_size)]

    whole = batch_size >= SAMPLES  # nothing to draw: in their own order
    by_hand = steps_by_hand(twin, X, y, epochs, None if whole else batches)
    same(ours, twin, history, by_hand, within=engines.within)
    assert ours.optimizer.iterations == epochs * -(-SAMPLES // batch_size)


@pytest.mark.quick_where(engines=["layers"])
@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    covering(itertools.product(OPTIMIZERS, ("coupled", "proximal")), PENALTIES),
    ids=str,
)
def test_penalties(optimizer: tuple[str, str], penalty: Penalty, engines: Chosen) -> None:
    name, how = optimizer
    ours, twin = (scores(weight_penalty=penalty, bias_penalty=penalty, how=how) for _ in range(2))
    ours.optimizer, twin.optimizer = (OPTIMIZERS[name][0](decay=0.1) for _ in range(2))
    history, by_hand = ours.fit(X, CLASS, epochs=EPOCHS), steps_by_hand(twin, X, CLASS, EPOCHS)
    same(ours, twin, history, by_hand, within=engines.within)
    for one, other in zip(parameters(ours.layers), parameters(twin.layers), strict=True):
        assert ((one == 0) == (other == 0)).all()
    assert min(history["regularization_loss"]) > 0


@pytest.mark.quick_where(engines=["layers"])
def test_ways_and_strengths_of_layers_stay_apart(engines: Chosen) -> None:
    """With penalties whose loops `test_penalties` compiles."""

    def mixed() -> Network:
        weak, strong = L1(0.001) + L2(0.1), L1(0.02) + L2(0.01)
        first = dense(4, 6, 1, weight_penalty=strong, how="proximal", bias_penalty=weak)
        second = dense(6, 5, 2, weight_penalty=GroupLasso(0.02, "in"))
        third = dense(5, 5, 3, weight_penalty=weak, how="proximal")
        layers = [first, ReLU(), second, ReLU(), third, ReLU(), dense(5, 3, 4)]
        return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())

    ours, twin = mixed(), mixed()
    history, by_hand = ours.fit(X, CLASS, epochs=60), steps_by_hand(twin, X, CLASS, 60)
    same(ours, twin, history, by_hand, within=10 * engines.within)
    assert (ours.dense[0].weights == 0).any()
    assert (ours.dense[1].weights != 0).all()
    assert (ours.dense[3].weights != 0).all()


@pytest.mark.usefixtures("engines")
def test_single_precision_is_double_precision_rounded() -> None:
    ours, twin = (scores(dtype=dtype, weight_penalty=L2(0.01)) for dtype in ("float32", "float64"))
    histories = [ours.fit(X, CLASS, epochs=EPOCHS), twin.fit(X, CLASS, epochs=EPOCHS)]
    assert {one.dtype for one in parameters(ours.layers)} == {np.dtype("float32")}
    assert 1e-9 < apart(parameters(ours.layers), parameters(twin.layers)) < 1e-4
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    by_hand = scores(dtype="float32", weight_penalty=L2(0.01))
    steps_by_hand(by_hand, X, CLASS, EPOCHS)
    assert {one.dtype for one in parameters(by_hand.layers)} == {np.dtype("float32")}
    assert apart(parameters(ours.layers), parameters(by_hand.layers)) < 1e-4


@pytest.mark.usefixtures("engines")
def test_of_equal_scores_the_first_class_is_predicted() -> None:
    for y, accuracy in ((0, 1.0), (1, 0.0), (2, 0.0)):
        network = Network(
            [Dense(4, 3, scale=0.0)], loss=SoftmaxCategoricalCrossEntropy(), optimizer=SGD(lr=0.0)
        )
        history = network.fit(X, np.full(SAMPLES, y), epochs=1)
        assert history["accuracy"] == [accuracy]
        assert network.evaluate(X, np.full(SAMPLES, y))["accuracy"] == accuracy


def test_goes_on_where_it_stood() -> None:
    whole, halves = dropped(), dropped()
    whole.optimizer, halves.optimizer = Adam(lr=0.02, decay=0.1), Adam(lr=0.02, decay=0.1)
    all_at_once = whole.fit(X, CLASS, epochs=10)
    first, second = halves.fit(X, CLASS, epochs=4), halves.fit(X, CLASS, epochs=6)
    assert apart(parameters(whole.layers), parameters(halves.layers)) == 0
    assert all_at_once == {name: first[name] + second[name] for name in first}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["SGD momentum", "Adam"])
def test_engines_go_on_from_each_other(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, twin = scores(), scores()
    ours.optimizer, twin.optimizer = (OPTIMIZERS[optimizer][0](decay=0.1) for _ in range(2))
    for least in (np.inf, 0.0, np.inf):
        monkeypatch.setattr(training, "LEAST_WORK", least)
        history = ours.fit(X, CLASS, epochs=4)
    by_hand = steps_by_hand(twin, X, CLASS, 12)
    last = {name: values[8:] for name, values in by_hand.items()}
    same(ours, twin, history, last, within=1e-10)


def test_layers_that_differ_in_their_steps_have_no_compiled_loop(engines: Chosen) -> None:
    ours, twin = scores(), scores()
    for one in (ours, twin):
        steps_by_hand(one, X, CLASS, 3)
        one.layers = (*one.layers[:2], dense(8, 3, 5))
    history = ours.fit(X, CLASS, epochs=4)
    same(ours, twin, history, steps_by_hand(twin, X, CLASS, 4), within=1e-14)
    assert engines.names == ["LayerEngine"]


def test_long_trainings_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps before count, so that many calls of `fit` are one long training."""
    work: list[float] = []
    monkeypatch.setattr(training, "choose_engine", lambda *arguments: work.append(arguments[-1]))
    network = scores()
    for steps, epochs, batch_size in (
        (0, 100, None),
        (0, 10_000, None),
        (0, 100, 1),
        (9000, 1, 50),
    ):
        network.optimizer.iterations = steps
        with pytest.raises(AttributeError):  # there is no engine
            network.fit(X, CLASS, epochs=epochs, batch_size=batch_size)
    assert work[0] < training.LEAST_WORK < min(work[1:])


@pytest.mark.usefixtures("engines")
def test_leaves_the_data_alone() -> None:
    data, y = X.copy(), ONE_HOT.copy()
    data.setflags(write=False)
    y.setflags(write=False)
    dropped_first().fit(data, y, epochs=2)
    scores().fit(data, y, epochs=2, batch_size=10)
    assert (data == X).all()
    assert (y == ONE_HOT).all()
