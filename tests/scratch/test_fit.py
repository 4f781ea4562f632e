"""`fit` is the loop by hand, number by number, however it is laid out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grid import covering
from scratch.twins import OPTIMIZERS, PENALTIES, apart, parameters, steps_by_hand
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
    passes,
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
}


@pytest.fixture(params=["one tile", "small tiles"])
def tiling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small tiles":
        monkeypatch.setattr(passes, "TILE", 1)
        monkeypatch.setattr(passes, "FEWEST", 16)


def same(ours: Network, twin: Network, histories: list[dict[str, list[float]]]) -> None:
    """The two networks, and what they went through, agree."""
    assert apart(parameters(ours.layers), parameters(twin.layers)) < 1e-10
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-10, atol=0, err_msg=name)


@pytest.mark.usefixtures("tiling")
@pytest.mark.parametrize("name", NETWORKS)
def test_all_samples_at_once(name: str) -> None:
    make, y = NETWORKS[name]
    ours, twin = make(), make()
    before = parameters(ours.layers)
    histories = [ours.fit(X, y, epochs=EPOCHS), steps_by_hand(twin, X, y, EPOCHS)]
    same(ours, twin, histories)
    assert apart(before[::2], parameters(ours.layers)[::2]) > 1e-2
    assert histories[0]["loss"][-1] < histories[0]["loss"][0]


@pytest.mark.usefixtures("tiling")
@pytest.mark.parametrize(
    ("name", "batch_size"), covering(NETWORKS, [1, 50, 202, SAMPLES, 10 * SAMPLES])
)
def test_mini_batches(name: str, batch_size: int) -> None:
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
    same(ours, twin, [history, by_hand])
    assert ours.optimizer.iterations == epochs * -(-SAMPLES // batch_size)


@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    covering(itertools.product(OPTIMIZERS, ("coupled", "proximal")), PENALTIES),
    ids=str,
)
def test_penalties(optimizer: tuple[str, str], penalty: Penalty) -> None:
    name, how = optimizer
    ours, twin = (scores(weight_penalty=penalty, bias_penalty=penalty, how=how) for _ in range(2))
    ours.optimizer, twin.optimizer = (OPTIMIZERS[name][0](decay=0.1) for _ in range(2))
    histories = [ours.fit(X, CLASS, epochs=EPOCHS), steps_by_hand(twin, X, CLASS, EPOCHS)]
    same(ours, twin, histories)
    for one, other in zip(parameters(ours.layers), parameters(twin.layers), strict=True):
        assert ((one == 0) == (other == 0)).all()
    assert min(histories[0]["regularization_loss"]) > 0


def test_ways_and_strengths_of_layers_stay_apart() -> None:
    def mixed() -> Network:
        first = dense(4, 6, 1, weight_penalty=L1(0.02), how="proximal", bias_penalty=L2(0.3))
        second = dense(6, 5, 2, weight_penalty=L1(0.001) + L2(0.1), bias_penalty=L1(0.01))
        third = dense(5, 5, 3, weight_penalty=GroupLasso(0.02), how="proximal")
        layers = [first, ReLU(), second, ReLU(), third, ReLU(), dense(5, 3, 4)]
        return Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=ADAM())

    ours, twin = mixed(), mixed()
    same(ours, twin, [ours.fit(X, CLASS, epochs=60), steps_by_hand(twin, X, CLASS, 60)])
    assert (ours.dense[0].weights == 0).any()
    assert (ours.dense[1].weights != 0).all()
    assert (ours.dense[3].weights != 0).all()


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


def test_leaves_the_data_alone() -> None:
    data, y = X.copy(), ONE_HOT.copy()
    data.setflags(write=False)
    y.setflags(write=False)
    dropped_first().fit(data, y, epochs=2)
    scores().fit(data, y, epochs=2, batch_size=10)
    assert (data == X).all()
    assert (y == ONE_HOT).all()


@pytest.mark.parametrize("samples", [1, 7, 511, 512, 513, 3000, 100_001])
def test_tiles_cover_all_samples_once(samples: int) -> None:
    for width, itemsize in itertools.product((1, 64, 5000), (4, 8)):
        check_tiles(samples, width, itemsize)


def check_tiles(samples: int, width: int, itemsize: int) -> None:
    slices = passes.split_into_tiles(samples, width, itemsize)
    assert [here.start for here in slices] == [0, *(here.stop for here in slices[:-1])]
    assert slices[-1].stop == samples
    sizes = [here.stop - here.start for here in slices]
    assert min(sizes) > 0
    assert len(set(sizes[:-1])) <= 1
    assert all(size * itemsize % passes.VECTOR == 0 for size in sizes[:-1])
    fewest = passes.FEWEST + passes.VECTOR // itemsize
    assert max(sizes) * width * itemsize <= max(passes.TILE + 64 * width, fewest * width * itemsize)


@pytest.mark.parametrize("shape", [(1, 1), (3, 203), (64, 512)])
def test_memory_begins_where_vectors_do(shape: tuple[int, int]) -> None:
    for dtype in 5 * ("float32", "float64", "bool"):
        array = passes.aligned_ones(shape, np.dtype(dtype))
        assert array.ctypes.data % passes.VECTOR == 0
        assert array.shape == shape
        assert (array == 1).all()
