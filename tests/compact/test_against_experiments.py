"""Outputs stay the same, and what goes is what experiments find dead."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from compact.networks import (
    Attention,
    Branches,
    Chain,
    Recurrent,
    count_units,
    find_live_units,
    kill,
    mlp,
    relative_error,
    run,
    stir,
)
from dead_units import find_gone, find_removable, find_units, plant, tag
from shrinkage.compact import compact
from shrinkage.compact.verification import as_sample


def assert_only_live_units(model: nn.Module, small: nn.Module, live: dict[str, int]) -> None:
    """The last layer aside; below a layer without live units, one unit may keep others alive."""
    before, after = count_units(model), count_units(small)
    *hidden, _ = before
    if all(live[name] for name in hidden):
        assert {name: after[name] for name in hidden} == {name: live[name] for name in hidden}
    else:
        assert all(live[name] <= after[name] <= before[name] for name in hidden)
    assert sum(after.values()) < sum(before.values())


@pytest.mark.quick_where(seed=(0,))
@pytest.mark.parametrize("seed", range(8))
def test_dense_networks_keep_their_live_units_alone(seed: int) -> None:
    model = stir(mlp(seed), seed)
    kill(model, 0.5, seed)
    inputs = torch.randn(32, 4, dtype=torch.float64)
    small = compact(model, inputs, time_it=False)
    fresh = torch.randn(64, 4, dtype=torch.float64)
    assert relative_error(model, small.model, fresh) <= 1e-10
    live = find_live_units(model, lambda: torch.randn(64, 4, dtype=torch.float64))
    assert_only_live_units(model, small.model, live)


@pytest.mark.quick_where(seed=(0,))
@pytest.mark.parametrize("seed", range(4))
def test_convolutions_keep_their_live_channels_alone(seed: int) -> None:
    model = stir(Chain(), seed)
    kill(model, 0.4, seed)
    inputs = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    small = compact(model, inputs, time_it=False)
    assert relative_error(model, small.model, torch.randn_like(inputs)) <= 1e-10
    live = find_live_units(model, lambda: torch.randn(4, 2, 8, 8, dtype=torch.float64))
    assert_only_live_units(model, small.model, live)


@pytest.mark.quick_where(seed=(0,))
@pytest.mark.parametrize("seed", range(6))
def test_branches_stay_the_same_function(seed: int) -> None:
    model = stir(Branches(), seed)
    kill(model, 0.5, seed)
    inputs = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    small = compact(model, inputs, time_it=False)
    assert relative_error(model, small.model, torch.randn(3, 2, 8, 8).double()) <= 1e-10
    assert small.report.parameters.after < small.report.parameters.before
    assert not small.report.remarks


@pytest.mark.quick_where(by_hand=[False], key_value_heads=[None, 2])
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("key_value_heads", [None, 4, 2])
def test_heads_go_whole(key_value_heads: int | None, by_hand: bool) -> None:
    if by_hand and key_value_heads == 2:
        pytest.skip("a product by hand repeats the keys itself")
    model = stir(Attention(key_value_heads, by_hand=by_hand), 0)
    with torch.no_grad():
        if key_value_heads is None:
            model.qkv.weight.view(3, 4, 3, 8)[2, 1] = 0.0  # values that are constant
            model.proj.weight[:, 6:9] = 0.0  # and a head that nothing reads
        else:
            model.v.weight[:3] = 0.0
        model.up.weight[:4], model.up.bias[:4] = 0.0, 0.0  # silu(0) is 0
        model.down.weight[:, 7:] = 0.0
    small = compact(model, torch.randn(2, 5, 8, dtype=torch.float64), time_it=False)
    assert relative_error(model, small.model, torch.randn(3, 6, 8).double()) <= 1e-10
    heads_left = 3 if key_value_heads == 4 else 2
    assert small.model.proj.in_features == 3 * heads_left
    assert small.model.down.in_features == 3


@pytest.mark.quick_where(both_ways=[True], kind=[nn.LSTM])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_hidden_units(kind: type[nn.RNNBase], both_ways: bool) -> None:
    model = stir(Recurrent(kind, both_ways=both_ways), 0)
    with torch.no_grad():
        for name, tensor in model.cells.named_parameters():
            gates = tensor.view(len(tensor) // 8, 8, -1)
            gates[:, 2:4] = 0.0  # nothing enters these units, in any layer and direction
            if name.startswith("weight_hh"):
                tensor[:, 5] = 0.0  # and nothing reads this one
        model.cells.weight_ih_l1.view(-1, 8, model.cells.weight_ih_l1.shape[1])[:, :, 5] = 0.0
        if both_ways:
            model.cells.weight_ih_l1[:, 13] = 0.0
            model.cells.weight_ih_l1_reverse[:, 5::8] = 0.0
        model.head.weight[:, 5::8] = 0.0
    small = compact(model, torch.randint(0, 9, (2, 7)), time_it=False)
    fresh = torch.randint(0, 9, (4, 5))
    assert relative_error(model, small.model, fresh) <= 1e-10
    assert small.model.cells.hidden_size == 5
    assert small.report.layers[0].units_after == 5


def test_the_experiments_see_both_kinds_of_dead_units() -> None:
    model = stir(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), 0)
    with torch.no_grad():
        model[0].weight[0] = 0.0
        model[2].weight[:, 2] = 0.0
    live = find_live_units(model, lambda: torch.randn(16, 3, dtype=torch.float64))
    assert live == {"0": 2, "2": 2}
    assert run(model, torch.randn(5, 3).double()).shape == (5, 2)


class Residual(nn.Module):
    """A stem, two blocks that add to it, and a gate for each channel."""

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 9, 3, padding=1), norm(9)
        self.wide, self.deep = nn.Conv2d(9, 12, 1), nn.Conv2d(12, 12, 3, padding=1, groups=3)
        self.back, self.back_norm = nn.Conv2d(12, 9, 1, bias=False), norm(9)
        self.squeeze, self.excite = nn.Conv2d(9, 4, 1), nn.Conv2d(4, 9, 1)
        self.head = nn.Linear(9, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        y = torch.relu(self.deep(torch.relu(self.wide(x))))
        x = x + self.back_norm(self.back(y))
        x = x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return self.head(x.mean((2, 3)))


@pytest.mark.quick_where(seed=(0,))
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("make", [Residual, Branches, lambda: Recurrent(nn.LSTM)])
def test_units_go_that_are_dead_in_all_tensors_that_write_them(
    make: Callable[[], nn.Module], seed: int
) -> None:
    model = stir(make(), seed)
    inputs = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    if isinstance(model, Recurrent):
        inputs = torch.randint(0, 9, (2, 7))
    units = find_units(model, as_sample(inputs))
    dead = plant(model, units, seed)
    assert 0 < len(dead) < len(units)
    small = compact(model, inputs, tag(model), time_it=False)
    sources = [unit for unit in dead if list(unit.sources(model))]
    assert find_removable(model, as_sample(inputs), sources) == [True] * len(sources)
    assert find_gone(model, small, dead) == [True] * len(dead)
    live = [unit for unit in units if unit not in dead]
    assert not any(find_gone(model, small, live))
    assert small.report.difference <= 1e-10


def test_the_experiment_sees_who_looks_at_a_unit() -> None:
    model = stir(Residual(lambda width: nn.GroupNorm(3, width)), 0)
    inputs = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    units = find_units(model, as_sample(inputs))
    dead = plant(model, units)
    small = compact(model, inputs, tag(model), time_it=False)
    can_go = find_removable(model, as_sample(inputs), dead)
    normalized = [any(name.startswith("norm") for name, _, _ in unit.written) for unit in dead]
    assert can_go == [not each for each in normalized]
    assert 0 < sum(normalized) < len(dead)
    assert find_gone(model, small, dead) == can_go
    alive = [unit for unit in units if unit not in dead]
    found = find_removable(model, as_sample(inputs), alive)
    assert sum(found) < len(alive) / 4  # a relu may be 0 for every input by chance
