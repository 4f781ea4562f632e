"""A network in a file: whole or not at all, without pickle, and as if training had not stopped."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from scratch.twins import OPTIMIZERS, PENALTIES, apart, parameters, steps_by_hand
from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.scratch import (
    Adam,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    MeanSquaredError,
    Network,
    ReLU,
    Sigmoid,
    SoftmaxCategoricalCrossEntropy,
    spiral,
)
from shrinkage.scratch.layers import Layer

X, Y = spiral(30, 3)


def network(optimizer: str = "Adam", penalty: Penalty | None = None, **options: str) -> Network:
    first = Dense(2, 8, weight_penalty=penalty, bias_penalty=penalty, rng=0, **options)
    dtype = {key: value for key, value in options.items() if key == "dtype"}
    return Network(
        [first, ReLU(), Dropout(0.2, rng=2), Dense(8, 3, rng=1, **dtype)],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=OPTIMIZERS[optimizer][0](decay=0.01),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, optimizer: str, dtype: str
) -> None:
    ours = network(optimizer, L1(1e-3) + L2(1e-3), how="proximal", dtype=dtype)
    ours.fit(X, Y, epochs=7)
    ours.save(tmp_path / "network.npz")
    again = Network.load(str(tmp_path / "network.npz"))
    assert repr(again) == repr(ours)
    assert apart(parameters(again.layers), parameters(ours.layers)) == 0
    assert (again.predict_proba(X) == ours.predict_proba(X)).all()
    assert again.fit(X, Y, epochs=9) == ours.fit(X, Y, epochs=9)
    assert apart(parameters(again.layers), parameters(ours.layers)) == 0
    assert {one.dtype for one in parameters(again.layers)} == {np.dtype(dtype)}


@pytest.mark.parametrize("how", ["coupled", "proximal"])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_penalties_come_back(tmp_path: Path, penalty: Penalty, how: str) -> None:
    ours = network(penalty=penalty, how=how)
    ours.save(tmp_path / "network.npz")
    again = Network.load(tmp_path / "network.npz")
    for one, other in zip(ours.dense, again.dense, strict=True):
        assert (one.weight_penalty, one.bias_penalty) == (other.weight_penalty, other.bias_penalty)
        assert one.how == other.how
    assert again.regularization_loss() == ours.regularization_loss() > 0


def test_every_kind_of_part_comes_back(tmp_path: Path) -> None:
    ours = Network(
        [Dense(2, 2, rng=0), Sigmoid()], loss=BinaryCrossEntropy(), optimizer=Adam(lr=0.5)
    )
    ours.save(tmp_path / "network.npz")
    assert repr(Network.load(tmp_path / "network.npz")) == repr(ours)


def test_layers_made_with_one_generator_go_on_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = [Dense(2, 8, rng=rng), Dropout(0.3, rng=rng), Dense(8, 8, rng=rng), ReLU()]
    layers += [Dropout(0.3, rng=rng), Dense(8, 3, rng=rng)]
    ours = Network(layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam(lr=0.05))
    ours.fit(X, Y, epochs=3)
    ours.save(tmp_path / "network.npz")
    again = Network.load(tmp_path / "network.npz")
    assert again.fit(X, Y, epochs=5) == ours.fit(X, Y, epochs=5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_was_learned_by_hand_is_saved_as_well(tmp_path: Path, optimizer: str) -> None:
    ours = network(optimizer)
    steps_by_hand(ours, X, Y, 5)
    ours.save(tmp_path / "network.npz")
    again = Network.load(tmp_path / "network.npz")
    assert again.fit(X, Y, epochs=5) == ours.fit(X, Y, epochs=5)


def test_a_new_optimizer_is_saved_with_nothing_remembered(tmp_path: Path) -> None:
    ours = network("AdaGrad")
    ours.fit(X, Y, epochs=3)
    ours.optimizer = OPTIMIZERS["RMSProp"][0]()
    ours.save(tmp_path / "network.npz")
    again = Network.load(tmp_path / "network.npz")
    assert again.fit(X, Y, epochs=5) == ours.fit(X, Y, epochs=5)


def test_a_save_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "network.npz"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        network().save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_has_its_name_and_no_pickle(tmp_path: Path) -> None:
    ours = network()
    for name in ("model", "model.npz", "model.bin"):
        ours.save(tmp_path / name)
        with np.load(tmp_path / name, allow_pickle=False) as file:
            assert json.loads(str(file["description"]))["format"] == 1
            assert (file["weights_0"] == ours.dense[0].weights).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.bin", "model.npz"]


class Cosine(Layer):
    """A layer of somebody else's."""

    def forward(self, inputs: np.ndarray) -> None:
        self.inputs, self.output = inputs, np.cos(inputs)

    def backward(self, dvalues: np.ndarray) -> None:
        self.dinputs = -np.sin(self.inputs) * dvalues


def cosines() -> Network:
    layers = [Dense(2, 4, rng=0), Cosine(), Dense(4, 1, rng=1)]
    return Network(layers, loss=MeanSquaredError(), optimizer=Adam(lr=0.1))


def of_another_kind() -> Network:
    leaky = type("ReLU", (Cosine,), {})
    layers = [Dense(2, 4, rng=0), leaky(), Dense(4, 1, rng=1)]
    return Network(layers, loss=MeanSquaredError(), optimizer=Adam())


def with_another_generator() -> Network:
    ours = network()
    ours.layers[2].rng = np.random.Generator(np.random.MT19937(0))
    return ours


@pytest.mark.parametrize(
    ("ours", "sentence"),
    [
        (cosines, "cannot be saved: only Dense, Dropout, ReLU, Sigmoid, Softmax of shri"),
        (of_another_kind, "of shrinkage.scratch can"),
        (with_another_generator, "its generator was replaced"),
        (lambda: network(penalty=GroupLasso(0.1, [[0, 1], [5]])), "has no text form"),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(tmp_path: Path, ours, sentence: str) -> None:
    path = tmp_path / "network.npz"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=sentence):
        ours().save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_layers_of_others_train() -> None:
    ours = cosines()
    y = np.cos(3 * X[:, 0])
    history = ours.fit(X, y, epochs=200)
    assert history["loss"][-1] < history["loss"][0] / 2


@pytest.mark.parametrize(
    "content", [b"", b"not a network", b"PK\x03\x04 broken", "npz of others", "a pickle", "cut"]
)
def test_what_is_no_network_is_said(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "network.npz"
    if content == "npz of others":
        np.savez(path, a=np.ones(3))
    elif content == "a pickle":
        np.savez(path, description=np.array({"format": 1}, dtype=object))
    elif content == "cut":
        network().save(path)
        path.write_bytes(path.read_bytes()[:-200])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"network.npz' holds no network that save\(\) wrote"):
        Network.load(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"format": 1', '"format": 2', "was written by a newer version of shrinkage"),
        ('"kind": "ReLU"', '"kind": "Layer"', "holds no network that save"),
        ('"kind": "ReLU"', '"kind": "np"', "holds no network that save"),
        ('"kind": "Adam"', '"kind": "Memory"', "holds no network that save"),
        ('"SoftmaxCategorical', '"Categorical', "holds no network that save"),
        ('"n_out": 8', '"n_out": 9', "holds no network that save"),
        ('"how"', '"why"', "holds no network that save"),
        ('"PCG64"', '"MT19937"', "holds no network that save"),
        ('"l1:0.1"', '"l1:much"', "holds no network that save"),
        ('"rate": 0.2', '"rate": 2', "holds no network that save"),
    ],
)
def test_a_description_that_was_changed_is_said(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    path = tmp_path / "network.npz"
    network(penalty=L1(0.1)).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    description = str(arrays["description"])
    assert old in description
    changed = np.array(description.replace(old, new))
    np.savez(path, **arrays | {"description": changed})
    with pytest.raises(ValueError, match=sentence):
        Network.load(path)


def test_weights_of_another_shape_are_said(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    network().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"biases_0": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="holds no network that save"):
        Network.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"weights_0_m": np.zeros((3, 8))},
        lambda a: a | {"weights_0_m": a["weights_0_m"].astype(np.float32)},
        lambda a: a | {"biases_1_v": np.zeros(())},
        lambda a: a | {"weights_0_extra": np.zeros(3)},
        lambda a: {key: one for key, one in a.items() if key != "biases_0_m"},
    ],
)
def test_a_memory_of_another_shape_is_said(tmp_path: Path, change) -> None:
    path = tmp_path / "network.npz"
    ours = network()
    ours.fit(X, Y, epochs=2)
    ours.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **change(arrays))
    with pytest.raises(ValueError, match="holds no network that save"):
        Network.load(path)


def test_before_training_it_goes_on_by_hand(tmp_path: Path) -> None:
    ours = network()
    ours.save(tmp_path / "network.npz")
    again = Network.load(tmp_path / "network.npz")
    assert apart(steps_by_hand_of(again), steps_by_hand_of(ours)) == 0


def steps_by_hand_of(ours: Network) -> list[np.ndarray]:
    first = ours.dense[0]
    first.forward(X)
    first.backward(np.ones((len(X), 8)))
    ours.optimizer.pre_update()
    ours.optimizer.update(first)
    ours.optimizer.post_update()
    return [first.weights, first.biases]


JUNK = [None, True, -1, 2.5, float("nan"), "", "x", [], [1], {}, {"a": 1}, 10**30]


def places(plain, before=()):
    """The way to every value inside of a description."""
    yield before
    if isinstance(plain, dict | list):
        for key in plain if isinstance(plain, dict) else range(len(plain)):
            yield from places(plain[key], (*before, key))


def test_damage_of_any_kind_is_said(tmp_path: Path) -> None:
    """Cut, garbled, and with something else in each place: a network, or a ValueError."""
    path, random = tmp_path / "network.npz", np.random.default_rng(0)
    ours = network(penalty=L1(0.1))
    ours.fit(X, Y, epochs=1)
    ours.save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    description = json.loads(str(arrays.pop("description")))
    contents = [whole[:length] for length in range(0, len(whole), 211)]
    for _ in range(150):
        garbled = bytearray(whole)
        start = 0 if random.random() < 0.5 else whole.rfind(b"PK\x01\x02") - 800  # the directory
        for place in random.integers(start, len(whole), random.integers(1, 4)):
            garbled[place] = random.integers(256)
        contents.append(bytes(garbled))
    for way in places(description):
        changed = json.loads(json.dumps(description))
        inner = changed
        for key in way[:-1]:
            inner = inner[key]
        junk = JUNK[random.integers(len(JUNK))]
        if way:
            inner[way[-1]] = junk
        made = io.BytesIO()
        np.savez(made, description=np.array(json.dumps(changed if way else junk)), **arrays)
        contents.append(made.getvalue())
    deep = io.BytesIO()
    np.savez(deep, description=np.array("[" * 100_000))
    said = 0
    for content in [*contents, deep.getvalue()]:
        path.write_bytes(content)
        try:
            Network.load(path)
        except ValueError:
            said += 1
    assert said > len(contents) / 2


def test_a_file_that_is_not_there_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError):
        network().save(tmp_path / "absent" / "network.npz")
    with pytest.raises(FileNotFoundError, match="must name a file in a folder that is there"):
        network().save(tmp_path)
