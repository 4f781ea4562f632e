"""A network without its dead units predicts the same, in its file too, and is trained further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scratch.twins import OPTIMIZERS
from shrinkage import L2, GroupLasso, Penalty
from shrinkage.scratch import (
    Dense,
    Dropout,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxCategoricalCrossEntropy,
    spiral,
)

X, Y = spiral(30, 3)


def network(optimizer: str = "Adam", penalty: Penalty | None = None) -> Network:
    layers = [
        *(Dense(2, 9, weight_penalty=penalty, scale=1.0, rng=0), ReLU(), Dropout(0.2, rng=1)),
        *(Dense(9, 8, scale=1.0, rng=2), Sigmoid(), Dense(8, 3, scale=1.0, rng=3)),
    ]
    made = Network(
        layers, loss=SoftmaxCategoricalCrossEntropy(), optimizer=OPTIMIZERS[optimizer][0]()
    )
    for layer in made.dense:
        layer.biases[:] = np.linspace(-1.0, 1.0, layer.n_out)
    return made


def kill(made: Network) -> None:
    first, second, last = made.dense
    first.weights[:, [1, 7]] = 0.0  # of which the constant of one is 0, since relu(-0.75) is
    second.weights[4] = 0.0
    second.weights[:, [0, 3]] = 0.0
    last.weights[6] = 0.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_predictions_are_the_same_in_the_file_too(optimizer: str, tmp_path: Path) -> None:
    made = network(optimizer, L2(1e-3))
    made.fit(X, Y, epochs=3, rng=0)
    kill(made)
    before = [layer.weights.copy() for layer in made.dense]
    small = made.compact()
    assert [(layer.n_in, layer.n_out) for layer in small.dense] == [(2, 6), (6, 5), (5, 3)]
    np.testing.assert_allclose(small.predict_proba(X), made.predict_proba(X), rtol=1e-10)
    for layer, weights in zip(made.dense, before, strict=True):
        np.testing.assert_array_equal(layer.weights, weights)
    small.save(tmp_path / "small.npz")
    made.save(tmp_path / "whole.npz")
    assert (tmp_path / "small.npz").stat().st_size < (tmp_path / "whole.npz").stat().st_size
    loaded = Network.load(tmp_path / "small.npz")
    np.testing.assert_array_equal(loaded.predict_proba(X), small.predict_proba(X))
    one, two = (each.fit(X, Y, epochs=3, rng=1) for each in (loaded, small))
    assert one == two


def test_units_that_a_group_lasso_zeroed() -> None:
    made = network()
    first = made.dense[0]
    lengths = np.linalg.norm(first.weights, axis=0)
    penalty = GroupLasso(1.0, groups="in", weight="none")  # a group for each unit
    first.weights = penalty.prox(first.weights, float(np.sort(lengths)[3]))
    small = made.compact()
    assert small.dense[0].n_out == 5
    np.testing.assert_allclose(small.predict_proba(X), made.predict_proba(X), rtol=1e-10)


def test_training_goes_on_as_it_would_have() -> None:
    """Units that put out 0 have no gradients, so both networks take the same steps."""
    made = network("Adam")
    made.layers = tuple(layer for layer in made.layers if not isinstance(layer, Dropout))
    first, second, _ = made.dense
    first.weights[:, 2], first.biases[0, 2] = 0.0, -1.0
    second.weights[2] = 0.0
    made.fit(X, Y, epochs=2)
    small = made.compact()
    assert small.dense[0].n_out == 8
    for each in (made, small):
        each.fit(X, Y, epochs=5)
    np.testing.assert_allclose(small.predict_proba(X), made.predict_proba(X), rtol=1e-8)


def test_a_layer_that_mixes_units_keeps_them() -> None:
    made = Network(
        [Dense(2, 4, scale=1.0, rng=0), Softmax(), Dense(4, 3, scale=1.0, rng=1)],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=OPTIMIZERS["SGD"][0](),
    )
    made.dense[0].weights[:, 0] = 0.0
    assert made.compact().dense[0].n_out == 4


def test_a_layer_that_is_dead_as_a_whole_keeps_one_unit() -> None:
    made = network()
    made.dense[1].weights[:] = 0.0
    small = made.compact()
    assert [layer.n_out for layer in small.dense] == [1, 1, 3]
    np.testing.assert_allclose(small.predict_proba(X), made.predict_proba(X), rtol=1e-10)


def test_a_penalty_that_knows_units_by_their_index() -> None:
    made = network(penalty=GroupLasso(0.1, groups=[[0, 1], [2, 3]]))
    assert made.compact().dense[0].n_out == 9
    made.dense[0].weights[:, 1] = 0.0
    with pytest.raises(ValueError, match=r"weight_penalty of .* set it to None before"):
        made.compact()
