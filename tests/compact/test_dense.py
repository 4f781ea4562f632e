"""Dense networks in NumPy, against torch and by hand."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from shrinkage.compact import compact_dense


def forward(layers: list, x: np.ndarray) -> np.ndarray:
    for weights, biases, activation in layers:
        x = activation(x @ weights + biases)
    return x


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_with_dead_units(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = [3, 9, 8, 7, 2]
    layers = [
        (rng.normal(size=(a, b)), rng.normal(size=(1, b)), np.tanh)
        for a, b in itertools.pairwise(widths)
    ]
    layers[0][0][:, [1, 4]] = 0.0
    layers[1][0][[2, 5], :] = 0.0
    layers[1][0][:, 3] = 0.0
    layers[2][0][:, [0, 6]] = 0.0
    before = [weights.copy() for weights, _, _ in layers]
    small = compact_dense(layers)
    assert [weights.shape for weights, _, _ in small] == [(3, 5), (5, 7), (7, 5), (5, 2)]
    x = rng.normal(size=(50, 3))
    np.testing.assert_allclose(forward(small, x), forward(layers, x), rtol=1e-10, atol=1e-12)
    for (weights, _, _), old in zip(layers, before, strict=True):
        np.testing.assert_array_equal(weights, old)


def test_constants_of_constants_go_as_well() -> None:
    layers = [
        (np.zeros((2, 3)), np.ones(3), np.tanh),
        (np.ones((3, 4)), np.zeros(4), np.tanh),
        (np.ones((4, 1)), np.zeros(1), np.positive),
    ]
    small = compact_dense(layers)
    assert [weights.shape for weights, _, _ in small] == [(2, 1), (1, 1), (1, 1)]
    x = np.ones((2, 2))
    np.testing.assert_allclose(forward(small, x), forward(layers, x), rtol=1e-12)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from shrinkage.compact import compact_dense; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("seed", range(8))
def test_what_stays_are_the_units_on_paths_from_inputs_to_outputs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, units in itertools.pairwise([5, 12, 9, 7, 3]):
        weights = rng.normal(size=(inputs, units))
        weights[:, rng.random(units) < 0.4] = 0.0
        weights[rng.random(inputs) < 0.3] = 0.0
        layers.append((weights, rng.normal(size=units), np.tanh))
    small = compact_dense(layers)
    found = [len(biases) for _, biases, _ in small[:-1]]
    matrices = [weights != 0 for weights, _, _ in layers]
    expected = []
    for at in range(1, len(layers)):
        ways_in = np.linalg.multi_dot([np.ones((1, 5)), *matrices[:at]])
        ways_out = np.linalg.multi_dot([*matrices[at:], np.ones((3, 1))])
        expected.append(max(1, int(((ways_in[0] > 0) & (ways_out[:, 0] > 0)).sum())))
    assert found == expected
    x = rng.normal(size=(20, 5))
    np.testing.assert_allclose(forward(small, x), forward(layers, x), rtol=1e-10, atol=1e-12)
