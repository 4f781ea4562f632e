"""What can be done with the smaller model, and what stays of the old one."""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from compact.networks import Chain, kill, relative_error, run, stir
from shrinkage import L1
from shrinkage.compact import compact
from shrinkage.torch import Adam, Regularizer


@pytest.fixture
def model() -> nn.Module:
    model = stir(Chain(), 1).float()
    kill(model, 0.3, 1)
    return model


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_original_is_untouched(model: nn.Module, inputs: Tensor) -> None:
    model.train()
    model.head.eval()
    before = copy.deepcopy(model.state_dict())
    small = compact(model, inputs).model
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert not model.head.training
    assert small.training
    assert not small.head.training
    assert type(small) is Chain
    assert small.first.weight.dtype == torch.float32


def test_it_is_saved_and_loaded(model: nn.Module, inputs: Tensor) -> None:
    small = compact(model, inputs, time_it=False).model
    file = io.BytesIO()
    torch.save(small, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert relative_error(small, loaded, inputs) == 0.0


def test_its_state_dict_is_for_a_model_of_its_sizes(model: nn.Module, inputs: Tensor) -> None:
    small = compact(model, inputs, time_it=False).model
    file = io.BytesIO()
    torch.save(small.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(small)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    other.load_state_dict(torch.load(file))
    assert relative_error(small, other, inputs) == 0.0
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(small.state_dict())


def test_it_is_exported_and_compacted_again(model: nn.Module, inputs: Tensor) -> None:
    small = compact(model, inputs, time_it=False)
    exported = torch.export.export(small.model, (inputs,)).module()
    torch.testing.assert_close(exported(inputs), small.model(inputs))
    again = compact(small.model, inputs, time_it=False)
    assert again.report.parameters.after == small.report.parameters.after


def network_with_zeros() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))
    with torch.no_grad():
        for layer, rows in ((model[0], [1, 4]), (model[2], [0])):
            layer.weight[rows], layer.bias[rows] = 0.0, 0.0  # tanh(0) is 0: nothing is folded
        model[2].weight[:, [1, 4]] = 0.0
        model[4].weight[:, 0] = 0.0
    return model.double()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_is_compiled() -> None:
    """Few layers, as each takes a compiler a second; the graph of many is exported above."""
    model, inputs = network_with_zeros().float(), torch.randn(4, 5)
    small = compact(model, inputs, time_it=False).model
    assert small[0].out_features == 6
    torch.testing.assert_close(
        run(torch.compile(small), inputs), run(small, inputs), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        lambda model: torch.optim.AdamW(model.parameters(), 0.01, amsgrad=True),
        lambda model: torch.optim.Adagrad(model.parameters(), 0.01),
        lambda model: torch.optim.RMSprop(model.parameters(), 0.01, momentum=0.5),
        lambda model: Adam(model.parameters(), 0.01, penalty=Regularizer(model, L1(0.01))),
    ],
    ids=["SGD", "AdamW", "Adagrad", "RMSprop", "a penalty inside"],
)
def test_training_goes_on_as_it_would_have(make: Callable[[nn.Module], Optimizer]) -> None:
    """Dead units of this network have no gradient, so both models take the same steps."""
    model = network_with_zeros()
    optimizer = make(model)
    x, y = torch.randn(16, 5).double(), torch.randint(0, 3, (16,))

    def step(net: nn.Module, by: Optimizer) -> None:
        by.zero_grad()
        cross_entropy(net(x), y).backward()
        by.step()

    for _ in range(3):
        step(model, optimizer)
    small = compact(model, x, optimizer, time_it=False)
    assert small.model[0].out_features == 6
    assert small.optimizer is not optimizer
    for _ in range(3):
        step(model, optimizer)
        step(small.model, small.optimizer)
    assert relative_error(model, small.model, x) <= 1e-10
    for new, old in zip(small.optimizer.param_groups, optimizer.param_groups, strict=True):
        assert new["lr"] == old["lr"]


def test_a_copy_of_an_attached_optimizer_warns() -> None:
    model = network_with_zeros()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    Regularizer(model, L1(0.01)).attach(optimizer, how="proximal")
    small = compact(model, torch.randn(4, 5).double(), optimizer, time_it=False)
    with pytest.warns(UserWarning, match="attach a Regularizer of the copied model to it"):
        small.optimizer.step()


def test_a_new_bias_is_trained(inputs: Tensor) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[0].weight[0] = 0.0
        model[0].bias[0] = 1.0
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    small = compact(model, torch.randn(8, 3), optimizer, time_it=False)
    bias = small.model[2].bias
    assert any(bias is p for p in small.optimizer.param_groups[0]["params"])
    small.model(torch.randn(8, 3)).square().sum().backward()
    before = bias.detach().clone()
    small.optimizer.step()
    assert not torch.equal(before, bias)


def test_the_report_counts(inputs: Tensor) -> None:
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    with torch.no_grad():
        model[0].weight[5:] = 0.0
    report = compact(model, torch.randn(1, 10)).report
    assert (report.parameters.before, report.parameters.after) == (325, 85)
    assert (report.multiplications.before, report.multiplications.after) == (300, 75)
    assert report.bytes.after == 4 * 85
    assert report.seconds is not None
    assert report.seconds.before > 0
    assert report.difference <= 1e-10
    assert "parameters: 325 to 85 (3.8 times fewer)" in str(report)
    assert "<td>20</td><td>5</td>" in report._repr_html_()


def test_keyword_arguments_and_several_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 1)

        def forward(self, a: Tensor, *, b: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
            return {"y": self.head(torch.relu(self.one(a)) * torch.relu(self.two(b)) * scale)}

    model = Two()
    with torch.no_grad():
        model.one.weight[0], model.one.bias[0] = 0.0, -1.0  # a gate that is 0
    example = {"a": torch.randn(5, 3), "b": torch.randn(5, 2), "scale": 2.0}
    small = compact(model, example, time_it=False).model
    assert small.two.out_features == 3
    torch.testing.assert_close(small(**example)["y"], model(**example)["y"])
