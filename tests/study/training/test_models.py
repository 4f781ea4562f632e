"""Models by name, dead neurons, optimizers by name."""

import os
import sys

import pytest
import torch
from torch import nn

from shrinkage.study.errors import UsageError
from shrinkage.study.training import foreign_code, models, optimizers, torch_optimizers

MODULE = """
import os
import sys
import torch
from helper_of_nets import width

def good(features, outputs):
    import later_of_nets
    return torch.nn.Sequential(torch.nn.Linear(features, width), torch.nn.Linear(width, outputs))

def number(features, outputs):
    return 3

def fails(features, outputs):
    raise RuntimeError("boom")

def leaves(features, outputs):
    sys.exit(0)

def leaves_at_once(features, outputs):
    os._exit(0)

def recurses(features, outputs):
    return recurses(features, outputs)

def huge(features, outputs):
    return torch.nn.Linear(20_000, 20_000, device="meta")
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_nets.py").write_text(MODULE)
    (tmp_path / "helper_of_nets.py").write_text("width = 5\n")
    (tmp_path / "later_of_nets.py").write_text("")
    (tmp_path / "leaving_nets.py").write_text("raise SystemExit\n")
    (tmp_path / "broken_nets.py").write_text("import nothing_like_this\n")
    yield
    for name in ("leaving_nets", "my_nets", "helper_of_nets", "later_of_nets", "broken_nets"):
        sys.modules.pop(name, None)


def test_models_by_name():
    assert isinstance(models.build_model("linear", 3, 2), nn.Linear)
    shapes = [
        tuple(p.shape) for p in models.build_model("mlp:7,5", 3, 2).parameters() if p.ndim == 2
    ]
    assert shapes == [(7, 3), (5, 7), (2, 5)]
    assert models.build_model("mlp:7", 3, 2)(torch.zeros(4, 3)).shape == (4, 2)
    assert not isinstance(models.build_model("mlp:7", 3, 2)[-1], nn.ReLU)


@pytest.mark.usefixtures("nets")
def test_a_function_from_the_current_directory_and_its_neighbours():
    before = list(sys.path)
    assert models.build_model("my_nets:good", 3, 2)[0].weight.shape == (5, 3)
    assert sys.path == before


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp:", "widths from 1 up"),
        ("mlp:8,0", "widths from 1 up"),
        ("mlp", "widths from 1 up"),
        ("linea", "model 'linea' is unknown; did you mean 'linear'"),
        ("mpl:64", "No module named 'mpl'.*did you mean 'mlp'"),
        ("nowhere:good", "cannot be imported from .* or the environment .*No module named"),
        ("broken_nets:good", "nothing_like_this"),
        ("my_nets:goood", "has no function 'goood'; did you mean 'good'"),
        ("my_nets:width", "has no function 'width'"),
        ("my_nets:number", "returned int"),
        ("my_nets:fails", r"fails when called with \(3, 2\).*boom"),
        ("my_nets:leaves", "it tries to end the program, with 0 as its exit code"),
        ("my_nets:leaves_at_once", "it tries to end the program, with 0 as its exit code"),
        ("my_nets:recurses", "fails when called .* RecursionError: maximum recursion depth"),
        ("my_nets:huge", "has 400,020,000 weights: a study takes at most 100,000,000"),
        ("leaving_nets:good", "it tries to end the program, with nothing as its exit code"),
        ("mlp:10000000000", "has 50,000,000,000 weights"),
        ("sys:good", "sys has no function 'good'"),
        (":good", "cannot be imported"),
        ("my_nets:", "has no function ''"),
    ],
)
def test_models_that_cannot_be_built_say_what_was_tried(text, message):
    with pytest.raises(UsageError, match=message):
        models.build_model(text, 3, 2)


def test_a_neuron_is_dead_when_all_it_takes_or_all_it_gives_is_zero():
    model = models.build_model("mlp:4,3", 2, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        assert models.count_neurons(model) == (0, 7)
        model[0].weight[1] = 0.0  # takes nothing
        model[2].weight[:, 1] = 0.0  # and gives nothing: still one neuron
        model[2].weight[:, 2] = 0.0  # gives nothing
        model[4].weight[:, 0] = 0.0
        model[4].weight[0, 1] = 0.0  # gives to one output still
        model[0].weight[3, 0] = 0.0
    assert models.count_neurons(model) == (3, 7)
    assert models.count_neurons(nn.Linear(3, 2)) == (0, 0)


def test_optimizers_by_name_decay_no_weights_of_their_own():
    parameters = [nn.Parameter(torch.ones(2, 2))]
    optimizer = optimizers.build_optimizer("AdamW", parameters, 0.25)
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["weight_decay"] == 0.0
    assert optimizer.param_groups[0]["lr"] == 0.25
    optimizer = optimizers.build_optimizer("sgd,momentum=0.9,nesterov=true", parameters, 0.1)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert optimizer.param_groups[0]["nesterov"] is True


@pytest.mark.parametrize("name", optimizers.OPTIONS)
def test_the_options_that_are_known_without_torch_are_those_of_torch(name):
    arguments = torch_optimizers.list_arguments(name)
    assert list(optimizers.OPTIONS[name]) == [key for key in arguments if key != "lr"]


@pytest.mark.parametrize("name", ["adam", "sgd", "lbfgs", "muon", "rprop", "adafactor"])
def test_every_optimizer_has_a_learning_rate(name):
    assert 0 < optimizers.default_lr(name) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adm", "not in torch.optim; did you mean 'adam'"),
        ("optimizer", "not in torch.optim"),
        ("sgd,momentm=0.9", "no option 'momentm=0.9'; did you mean 'momentum'"),
        ("sgd,momentum", "no option 'momentum'"),
        ("sgd,momentum=x", "'x' is no number"),
        ("sgd,momentum=-1", "refused by torch: Invalid momentum value: -1.0"),
        ("sgd,lr=0.1", "has its own argument, lr"),
        ("adamw,weight_decay=0.1", "weight decay is what is compared"),
    ],
)
def test_optimizers_that_cannot_be_built_say_why(text, message):
    with pytest.raises(UsageError, match=message):
        optimizers.build_optimizer(text, [nn.Parameter(torch.ones(2, 2))], 0.1)


def test_os_exit_is_itself_again_afterwards():
    before = os._exit
    with pytest.raises(SystemExit), foreign_code.exits_as_errors():
        os._exit(3)
    assert os._exit is before
