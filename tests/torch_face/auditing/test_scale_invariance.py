"""Weights whose scale the output does not feel, found by the graph and by trying."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import ResidualNet, TransformerBlock
from shrinkage.torch import audit

KIND = "scale-invariant-decay"


def found(model: nn.Module, **run: Any) -> set[str]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    notes = [one for one in audit(model, optimizer, **run).findings if one.slug == KIND]
    return {name for note in notes for name in note.parameters}


class Shared(nn.Module):
    """One layer, used before a normalization and without one."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
        self.always = always

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.layer(x))
        return self.norm(self.layer(y)) if self.always else self.layer(y)


class Branching(nn.Module):
    """What a trace cannot follow, around a part that it can."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        self.alone, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        return self.norm(self.alone(self.part(x)))


class Inner(Branching):
    """A trace follows this one, but not the part within."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Branching()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.alone(self.part(x)))


class Looked(nn.Module):
    """A layer whose weight is used once more, past the normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x)) + self.layer.weight.sum()


class Exponential(nn.Module):
    """A parametrization under which twice the original is not twice the weight."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


def exponential(layer: nn.Linear) -> nn.Module:
    return nn.utils.parametrize.register_parametrization(layer, "weight", Exponential())


def sequential(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


# model, input, names by the graph, names by trying
MODELS: dict[str, tuple[Any, Any, set[str], set[str]]] = {
    "linear, batch norm": (
        lambda: sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        torch.randn(5, 3),
        {"0.weight"},
        {"0.weight"},
    ),
    "batch norm, linear": (
        lambda: sequential(nn.BatchNorm1d(3), nn.Linear(3, 4)),
        torch.randn(5, 3),
        set(),
        set(),
    ),
    "layer norm, without a bias before it": (
        lambda: sequential(nn.Linear(3, 4, bias=False), nn.LayerNorm(4)),
        torch.randn(5, 3),
        {"0.weight"},
        {"0.weight"},
    ),
    "layer norm, with one": (
        lambda: sequential(nn.Linear(3, 4), nn.LayerNorm(4)),
        torch.randn(5, 3),
        set(),
        set(),
    ),
    "transposed convolution, instance norm": (
        lambda: sequential(nn.ConvTranspose1d(2, 4, 3), nn.InstanceNorm1d(4)),
        torch.randn(5, 2, 6),
        {"0.weight"},
        {"0.weight"},
    ),
    "embedding, RMS norm": (
        lambda: sequential(nn.Embedding(7, 4), nn.RMSNorm(4)),
        torch.tensor([[1, 2, 3]]),
        {"0.weight"},
        {"0.weight"},
    ),
    "a function between them": (
        lambda: sequential(nn.Linear(3, 4), nn.Tanh(), nn.BatchNorm1d(4)),
        torch.randn(5, 3),
        set(),
        set(),
    ),
    "a rectifier between them": (  # with a scale it keeps it, but with a bias it does not
        lambda: sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.BatchNorm1d(4)),
        torch.randn(9, 3),
        set(),
        {"0.weight"},
    ),
    "dropout": (
        lambda: sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)),
        torch.randn(5, 3),
        {"0.weight"},
        {"0.weight"},
    ),
    "a shared layer, always normalized": (
        lambda: Shared(always=True),
        torch.randn(5, 3),
        {"layer.weight"},
        {"layer.weight"},
    ),
    "a shared layer, not always": (lambda: Shared(always=False), torch.randn(5, 3), set(), set()),
    "a weight that is looked at": (Looked, torch.randn(5, 3), set(), set()),
    "a trace that fails": (
        Branching,
        torch.randn(5, 3),
        {"part.0.weight"},
        {"part.0.weight", "alone.weight"},
    ),
    "a trace that fails inside": (
        Inner,
        torch.randn(5, 3),
        {"part.part.0.weight", "alone.weight"},
        {"part.part.0.weight", "part.alone.weight", "alone.weight"},
    ),
    "a parametrized weight": (
        lambda: sequential(exponential(nn.Linear(3, 4)), nn.BatchNorm1d(4)),
        torch.randn(5, 3),
        set(),
        set(),
    ),
    "inside DataParallel": (
        lambda: nn.DataParallel(sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))),
        torch.randn(5, 3),
        {"0.weight"},
        {"0.weight"},
    ),
    "spectral norm": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)),
        torch.randn(5, 3),
        {"parametrizations.weight.original"},
        {"parametrizations.weight.original"},
    ),
    "the head is 0": (
        lambda: sequential(nn.Linear(3, 4), zero(nn.Linear(4, 2))),
        torch.randn(5, 3),
        set(),
        set(),
    ),
    "a residual net": (
        ResidualNet,
        torch.randn(4, 3, 8, 8),
        {"stem.0.weight", "conv1.weight", "conv2.weight"}
        | {"project.parametrizations.weight.original1"},
        {"stem.0.weight", "conv1.weight", "conv2.weight"}
        | {"project.parametrizations.weight.original1"},
    ),
    "a transformer block": (TransformerBlock, torch.randn(2, 5, 16), set(), set()),
}


def test_a_batch_norm_that_is_kept_from_training_undoes_nothing() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    x = torch.randn(5, 3)
    for norm_trains, names in ((False, set()), (True, {"0.weight"})):
        model.train()
        model[1].train(norm_trains)
        assert found(model) == found(model, sample=x) == names
    always = nn.Sequential(nn.Conv1d(2, 4, 3), nn.InstanceNorm1d(4))  # keeps no running statistics
    always[1].eval()
    assert found(always) == {"0.weight"}
    model.eval()  # for now: it will be trained
    assert found(model) == found(model, sample=x) == {"0.weight"}
    assert not model.training


def zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    return layer


@pytest.mark.parametrize("name", MODELS)
def test_by_the_graph_and_by_trying(name: str) -> None:
    make, sample, by_graph, by_trying = MODELS[name]
    torch.manual_seed(0)
    model = make()
    assert found(model) == by_graph
    assert found(model, sample=sample) == by_trying


def test_old_weight_norm() -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        model = nn.utils.weight_norm(nn.Linear(3, 2))
    assert found(model) == {"weight_v"}


@pytest.mark.parametrize("how", ["tensor", "tuple", "mapping"])
def test_a_sample_is_a_tensor_arguments_or_keywords(how: str) -> None:
    model, x = Shared(always=True), torch.randn(5, 3)
    sample = {"tensor": x, "tuple": (x,), "mapping": {"x": x}}[how]
    assert found(model, sample=sample) == {"layer.weight"}


@pytest.mark.parametrize("with_sample", [False, True])
def test_looking_leaves_everything_as_it_was(with_sample: bool) -> None:
    class Writing(Shared):
        def __init__(self) -> None:
            super().__init__(always=True)
            self.seen: list[Any] = []
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            if not self.training or isinstance(x, torch.fx.Proxy):
                self.seen.append(x)
            return super().forward(x + torch.rand(1))

    inner = Writing()
    inner.register_forward_hook(lambda module, args, output: inner.seen.append(output))
    model = nn.Sequential(inner).eval()
    inner.layer.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    names = (
        found(model, sample=torch.randn(5, 3, generator=torch.Generator()))
        if (with_sample)
        else found(model)
    )
    assert names == {"0.layer.weight"}
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert [module.training for module in model.modules()] == [False, False, True, False]
    assert not any(isinstance(one, torch.fx.Proxy) for one in inner.seen)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_cannot_be_copied_is_left_out_in_silence() -> None:
    inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model = nn.Sequential(inner, nn.Linear(4, 5), nn.BatchNorm1d(5))
    model.lock = threading.Lock()
    assert found(model) == {"0.0.weight"}
    assert found(model, sample=torch.randn(5, 3)) == {"0.0.weight", "1.weight"}
