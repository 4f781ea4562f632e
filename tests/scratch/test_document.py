"""What the document's network does, ours does: see `make seeds` for its figures over ten seeds."""

from __future__ import annotations

import numpy as np
import pytest

from scratch.twins import parameters, steps_by_hand
from shrinkage import L1
from shrinkage.scratch import Dense
from shrinkage.scratch.demonstration import Question, build_network, make_data, train

SHORT = Question(epochs=801)


def test_learning_rates_are_its_own() -> None:
    """As printed: the rate that the update before used."""
    history = train(Question(samples=20, hidden=4, epochs=801), "l2:5e-4").history
    printed = {0: "0.05", 1: "0.05", 100: "0.0499975251", 500: "0.0499875281"}
    for epoch, lr in printed.items():
        assert f"{history['lr'][epoch]:.{len(lr) - 2}f}" == lr
    exact = [0.05, *(0.05 / (1 + 5e-7 * (epoch - 1)) for epoch in range(1, 801))]
    assert history["lr"] == exact


def test_begins_and_learns_as_it_does() -> None:
    outcome = train(SHORT, "l2:5e-4")
    history = outcome.history
    assert history["loss"][0] == pytest.approx(1.099, abs=0.002)
    assert history["accuracy"][0] == pytest.approx(0.333, abs=0.08)  # by chance
    assert history["regularization_loss"][0] == pytest.approx(6.88e-6, rel=0.4)  # 128·1e-4·5e-4
    assert history["accuracy"][100] == pytest.approx(0.681, abs=0.08)
    assert history["loss"][100] == pytest.approx(0.823, abs=0.1)
    assert history["accuracy"][800] == pytest.approx(0.844, abs=0.06)
    assert outcome.validation["accuracy"] == pytest.approx(0.877, abs=0.08)
    assert outcome.validation["data_loss"] < 0.55


def test_its_subgradient_of_l1_differs_at_zero_alone() -> None:
    layer = Dense(3, 2, weight_penalty=L1(0.5), bias_penalty=L1(0.25))
    layer.weights[:] = [[1.0, -2.0], [0.0, 3.0], [-4.0, 0.0]]
    layer.forward(np.ones((4, 3)))
    layer.backward(np.zeros((4, 2)))
    its = np.where(layer.weights >= 0, 0.5, -0.5)  # +1 at 0
    moving = layer.weights != 0
    assert (layer.dweights[moving] == its[moving]).all()
    assert (layer.dweights[~moving] == 0).all()
    assert (layer.dbiases == 0).all()  # all biases begin at 0


def test_the_command_is_the_loop_by_hand() -> None:
    question = Question(samples=30, hidden=8, epochs=40)
    (X, y), _ = make_data(question)
    ours, twin = (build_network(question, "l1:1e-3 + l2:5e-4") for _ in range(2))
    ours.fit(X, y, epochs=question.epochs)
    steps_by_hand(twin, X, np.eye(3)[y], question.epochs)
    for one, other in zip(parameters(ours.layers), parameters(twin.layers), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_zeros_are_exact_where_the_way_is_proximal() -> None:
    question = Question(samples=200, epochs=1500)
    coupled, proximal = (train(question, f"l1:1e-4@{how}") for how in ("coupled", "proximal"))
    assert coupled.zeros == 0
    assert proximal.zeros > 20
    assert proximal.silent > 5
    assert proximal.weights == coupled.weights == 3 * 64
    assert proximal.train["accuracy"] > 0.75
