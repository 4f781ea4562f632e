"""Where a unit looks dead and is not, and where it cannot go."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compact.networks import relative_error, stir
from shrinkage.compact import Report, compact


def zero_row(layer: nn.Module, *rows: int) -> None:
    with torch.no_grad():
        layer.weight[list(rows)] = 0.0  # type: ignore[index, operator]


def shrink(model: nn.Module, *inputs: Tensor) -> tuple[nn.Module, Report]:
    small = compact(model, inputs, time_it=False)
    fresh = [torch.randn_like(x) if x.is_floating_point() else x for x in inputs]
    assert relative_error(model, small.model, *fresh) <= 1e-10
    return small.model, small.report


def image() -> Tensor:
    return torch.randn(2, 3, 6, 6, dtype=torch.float64)


def test_a_constant_before_a_padded_convolution_stays_unless_it_is_0() -> None:
    model = stir(nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 3, padding=1)), 0)
    zero_row(model[0], 0, 1, 2)
    with torch.no_grad():
        model[0].bias[:3] = torch.tensor([0.7, -0.7, 0.0])
    small, report = shrink(model, image())
    assert small[0].out_channels == 4
    assert report.layers[0].dead_left == 1
    assert "border" in report.layers[0].why_they_stay


def test_a_constant_before_a_reflecting_convolution_goes() -> None:
    padded = nn.Conv2d(6, 2, 3, padding=1, padding_mode="reflect", bias=False)
    model = stir(nn.Sequential(nn.Conv2d(3, 6, 1), nn.Tanh(), padded), 0)
    zero_row(model[0], 0, 1)
    small, _ = shrink(model, image())
    assert small[0].out_channels == 4
    assert small[2].bias is not None


def test_layer_norm_sees_every_channel() -> None:
    model = stir(nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.Linear(6, 2)), 0)
    zero_row(model[0], 0, 1)
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small[0].out_features == 6
    assert report.layers[0].dead_left == 2
    assert "layer_norm in 1" in report.layers[0].why_they_stay


def test_group_norm_gives_whole_groups_away() -> None:
    model = stir(nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(3, 6), nn.Conv2d(6, 2, 1)), 0)
    zero_row(model[0], 0, 1, 2)  # one group, and half of another
    with torch.no_grad():
        model[2].weight[:, 5] = 0.0
    small, _ = shrink(model, image())
    assert (small[1].num_groups, small[1].num_channels, small[0].out_channels) == (2, 4, 4)


def test_a_residual_channel_goes_only_if_it_is_dead_in_every_branch() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.one(x))
            return self.three(x + torch.tanh(self.two(x)))

    model = stir(Residual(), 0)
    zero_row(model.one, 0, 1)
    zero_row(model.two, 1, 2)
    small, _ = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small.one.out_features == small.two.out_features == 5


def test_flatten_takes_all_places_of_a_channel() -> None:
    model = stir(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2)), 0)
    zero_row(model[0], 1)
    with torch.no_grad():
        model[2].weight[:, 32:48] = 0.0  # of channel 2 nothing is read
        model[2].weight[:, 48:60] = 0.0  # of channel 3 a part
    small, _ = shrink(model, image())
    assert (small[0].out_channels, small[2].in_features) == (2, 32)


def test_a_size_that_stands_in_the_code_keeps_its_space() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 6), nn.Linear(6, 4)
            self.three = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x).tanh().view(-1, 6)
            return self.three(self.two(x).tanh())

    model = stir(Written(), 0)
    zero_row(model.one, 0, 1)
    zero_row(model.two, 0)
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert (small.one.out_features, small.two.out_features) == (6, 3)
    assert "one.weight (axis 0)" in report.remarks[0]
    assert "RuntimeError" in report.remarks[0]


def test_a_number_that_depends_on_the_width_keeps_its_space() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            return self.two(x.tanh() * x.shape[-1])

    model = stir(Scaled(), 0)
    zero_row(model.one, 0, 1)
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small.one.out_features == 6
    assert "the outputs differed" in report.remarks[0]


def test_shared_weights_stay_shared() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9, 6)
            self.inner, self.outer = nn.Linear(6, 5), nn.Linear(5, 6)
            self.head = nn.Linear(6, 9, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Tensor) -> Tensor:
            x = self.embedding(x)
            return self.head(x + self.outer(torch.relu(self.inner(x))))

    model = stir(Tied(), 0)
    with torch.no_grad():
        model.embedding.weight[:, 2] = 0.0  # neither written nor read, but for the block
        model.inner.weight[:, 2] = 0.0
    zero_row(model.inner, 0)
    small, _ = shrink(model, torch.randint(0, 9, (2, 4)))
    assert small.head.weight is small.embedding.weight
    assert small.embedding.weight.shape == (9, 5)
    assert small.inner.weight.shape == (4, 5)


def test_a_layer_that_is_used_twice_takes_no_constant() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.both = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.both(self.one(x).tanh()) * self.both(self.two(x).tanh())

    model = stir(Twice(), 0)
    zero_row(model.one, 0)
    zero_row(model.two, 0)
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small.both.in_features == 4
    assert "no bias that could take a constant" in report.layers[0].why_they_stay


def test_a_layer_that_is_dead_as_a_whole_keeps_one_unit() -> None:
    model = stir(nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)), 0)
    zero_row(model[0], *range(6))
    small, _ = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small[0].out_features == 1


def test_batch_norm_without_a_gain_is_its_bias() -> None:
    model = stir(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)), 0
    )
    with torch.no_grad():
        model[1].weight[:2] = 0.0
    small, _ = shrink(model, image())
    assert (small[0].out_channels, small[1].num_features, small[3].in_channels) == (2, 2, 2)


def test_an_operation_that_is_not_known_keeps_everything() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.linalg.matrix_exp(self.one(x)))

    model = stir(Odd(), 0)
    zero_row(model.one, 0)
    small, report = shrink(model, torch.randn(2, 4, 4, dtype=torch.float64))
    assert small.one.out_features == 4
    assert "is not known to the analysis" in report.layers[0].why_they_stay


def test_a_model_that_cannot_be_exported_comes_back_whole() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) if float(x.sum()) > 0 else x

    model = Deciding()
    small = compact(model, torch.randn(2, 3), time_it=False)
    assert small.model is not model
    assert "torch.export could not follow the model" in small.report.remarks[0]
    assert small.report.parameters.ratio == 1.0


def test_what_is_written_through_a_view_is_seen() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x)
            y.transpose(0, 1).relu_()
            return self.two(y)

    model = stir(InPlace(), 0)
    zero_row(model.one, 0, 1)
    with torch.no_grad():
        model.one.bias[:2] = torch.tensor([0.7, -0.7])
    small, _ = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small.one.out_features == 4


def test_a_sum_over_places_is_no_constant() -> None:
    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.tanh(self.one(x)).sum(1))

    model = stir(Summed(), 0)
    zero_row(model.one, 0)
    small, _ = shrink(model, torch.randn(2, 5, 3, dtype=torch.float64))
    assert small.one.out_features == 4
    assert relative_error(model, small, torch.randn(2, 9, 3, dtype=torch.float64)) <= 1e-10


def test_what_is_drawn_is_no_constant() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.one(x))
            return self.two(hidden * torch.rand(4).to(hidden)) * 0.0 + hidden[:, :2]

    model = stir(Noisy(), 0)
    zero_row(model.one, 3)
    small, _ = shrink(model, torch.randn(2, 3, dtype=torch.float64))
    assert small.one.out_features == 4


def test_a_grouped_convolution_without_a_batch_keeps_everything() -> None:
    model = stir(nn.Sequential(nn.Conv2d(4, 6, 1), nn.Conv2d(6, 4, 1, groups=2)), 0)
    zero_row(model[0], 0, 3)
    small, _ = shrink(model, torch.randn(4, 5, 7, dtype=torch.float64))
    assert small[0].out_channels == 6


def test_a_constant_at_a_border_depends_on_the_size_of_the_image() -> None:
    for padded in (nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.AvgPool2d(3, 1, 1)):
        model = stir(nn.Sequential(nn.Conv2d(3, 6, 1), padded, nn.Tanh(), nn.Conv2d(6, 2, 1)), 0)
        zero_row(model[0], 0, 1, 2)  # a whole group gets constants
        small, _ = shrink(model, torch.randn(2, 3, 1, 1, dtype=torch.float64))
        assert relative_error(model, small, image()) <= 1e-10


def test_sizes_of_several_parts_that_a_module_holds() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes = [4, 2]
            self.one, self.two = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            first, second = torch.split(self.one(x).tanh(), self.sizes, -1)
            return self.two(torch.cat([second, first], -1))

    model = stir(Mixed(), 0)
    zero_row(model.one, 0, 1, 5)
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert small.sizes == [2, 1]
    assert not report.remarks
    assert model.sizes == [4, 2]


def test_groups_that_stay_keep_what_they_need_alone() -> None:
    grouped = nn.Conv2d(6, 6, 1, groups=2)
    model = stir(nn.Sequential(nn.Conv2d(3, 6, 1), grouped, nn.Tanh(), nn.Conv2d(6, 2, 1)), 0)
    zero_row(model[0], 0, 3)  # the first of each group, which is also what a rule would take first
    zero_row(model[1], 0, 4)
    small, _ = shrink(model, image())
    assert (small[0].out_channels, small[1].out_channels, small[1].groups) == (4, 4, 2)


def test_what_mixes_entries_is_told_from_what_has_its_name_and_does_not() -> None:
    class Compared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.max(self.one(x), 0.5 * x[:, :1])
            h = self.two(torch.where(h > 0.1, h, 0.0))
            h = h - h.max(1, keepdim=True).values - h.topk(2, 1).values.sum(1, keepdim=True)
            return self.three(h.sort().values / h.var(unbiased=False))

    model = stir(Compared(), 0)
    zero_row(model.two, 0, 1)
    with torch.no_grad():
        model.two.weight[:, 4] = 0.0
    small, report = shrink(model, torch.randn(4, 3, dtype=torch.float64))
    assert (small.one.out_features, small.two.out_features) == (5, 5)
    assert "max is not known" in report.layers[1].why_they_stay
