"""Random numbers are torch's, bit by bit."""

import numpy as np
import pytest
import torch
from torch import nn

from shrinkage.mlp.torch_random import TorchGenerator, draw_layers


@pytest.mark.parametrize("seed", [0, 7, 123_456, 2**31])
def test_layers_begin_as_in_torch(seed):
    torch.manual_seed(seed)
    layers = [nn.Linear(30, 64), nn.Linear(64, 10), nn.Linear(10, 1)]
    drawn = draw_layers((30, 64, 10, 1), TorchGenerator(seed))
    for layer, (weights, biases) in zip(layers, drawn, strict=True):
        np.testing.assert_array_equal(layer.weight.detach().numpy(), weights)
        np.testing.assert_array_equal(layer.bias.detach().numpy(), biases)


@pytest.mark.parametrize("count", [1, 2, 5, 1000, 70_000])
def test_permutations_are_torchs_one_after_the_other(count):
    generator, ours = torch.Generator().manual_seed(3), TorchGenerator(3)
    expected = [torch.randperm(count, generator=generator).numpy() for _ in range(3)]
    np.testing.assert_array_equal(ours.permutations(2, count), expected[:2])
    np.testing.assert_array_equal(ours.permutations(1, count), expected[2:])
