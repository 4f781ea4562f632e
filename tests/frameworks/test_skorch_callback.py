"""One line in skorch: `shrinkage.skorch.RegularizerCallback`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from frameworks.by_hand import same_weights
from frameworks.random_runs import Run, draw_run
from shrinkage import L1
from shrinkage.torch import Regularizer

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def skorch() -> Any:
    return pytest.importorskip("skorch", reason="skorch is not installed")


@pytest.fixture(scope="module")
def callback_of(skorch: Any) -> Any:
    from shrinkage.skorch import RegularizerCallback

    return RegularizerCallback


def net_of(skorch: Any, callback: Any, run: Run, module: nn.Module, **given: Any) -> Any:
    """A net that trains for an epoch, over the rows as they come."""
    sgd = {"optimizer": torch.optim.SGD, "lr": 0.3, "optimizer__momentum": 0.9}
    adamw = {"optimizer": torch.optim.AdamW, "lr": 0.1, "optimizer__weight_decay": 0.0}
    options = {
        "criterion": nn.MSELoss,
        "batch_size": 4,
        "train_split": None,
        "max_epochs": 1,
        "verbose": 0,
        "callbacks": [("regularizer", callback)],
        **(sgd if run.optimizer == "SGD" else adamw),
        **given,
    }
    return skorch.NeuralNet(module, **options)


def rows(run: Run) -> tuple[Any, Any]:
    batches = torch.cat(run.batches())
    return batches[:, :3].numpy(), batches[:, 3:].numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_it_equals_a_loop_by_hand_and_goes_on_in_partial_fit_and_from_files(
    skorch: Any, callback_of: Any, seed: int, tmp_path: Path
) -> None:
    run = draw_run(seed, accumulate=1)
    expected, (X, y) = run.by_hand(), rows(run)
    files = {"f_params": tmp_path / "params.pt", "f_optimizer": tmp_path / "optimizer.pt"}
    module = run.network()
    net = net_of(
        skorch, callback_of(**run.arguments(), max_norm=run.max_norm), run, module
    ).partial_fit(X, y)
    net.save_params(**files)
    net.partial_fit(X, y)
    assert same_weights(module, expected)
    assert dict(net.callbacks_)["regularizer"].regularizer_.bound.steps == 2 * run.steps

    module = run.network(other=True)
    callback = callback_of(**run.arguments(), max_norm=run.max_norm)
    net = net_of(skorch, callback, run, module).initialize()
    net.load_params(**files)
    net.partial_fit(X, y)
    assert same_weights(module, expected)


def plain(skorch: Any, callback: Any, **given: Any) -> tuple[Any, Any, Any]:
    run = draw_run(1, accumulate=1)
    arguments = {"module__hidden": 5, **given}
    X, _ = rows(run)
    return net_of(skorch, callback, run, Network, **arguments), X, 2 * X[:, :2]


class Network(nn.Sequential):
    """Made anew by each fit."""

    def __init__(self, hidden: int) -> None:
        torch.manual_seed(0)
        super().__init__(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.double()


def test_fit_begins_anew_and_warm_starts_and_pickles_go_on(skorch: Any, callback_of: Any) -> None:
    def zeros(of: Any) -> tuple[int, int]:
        regularizer = dict(of.callbacks_)["regularizer"].regularizer_
        return regularizer.bound.steps, regularizer.sparsity().zeros

    net, X, y = plain(skorch, callback_of("l1:0.1"))
    net.fit(X, y)
    once = zeros(net)
    assert once[1] > 0
    net.fit(X, y)
    assert zeros(net) == once
    copied = pickle.loads(pickle.dumps(net))
    for other in (copied, net):
        other.partial_fit(X, y)
    assert zeros(copied) == zeros(net)
    assert zeros(net)[0] == 2 * once[0]
    assert same_weights(copied.module_, net.module_)


def test_the_history_has_the_zeros(skorch: Any, callback_of: Any) -> None:
    callback = callback_of("group_lasso:0.3", name="units_")
    net, X, y = plain(skorch, callback, max_epochs=3)
    net.fit(X, y)
    sparsity = callback.regularizer_.sparsity()
    assert net.history[-1, "units_zeros"] == sparsity.share > 0
    dead = sum(row.dead_groups for row in sparsity.parameters.values())
    assert net.history[-1, "units_dead_groups"] == dead > 0
    assert net.history[-1, "units_penalty"] == callback.regularizer_.value()
    assert net.history[:, "units_factor"] == [1.0, 1.0, 1.0]


def test_a_grid_has_the_strength_and_the_penalty(skorch: Any, callback_of: Any) -> None:
    net, X, y = plain(skorch, callback_of("l1"))
    grid = {
        "callbacks__regularizer__penalty": ["l1", "group_lasso"],
        "callbacks__regularizer__lam": [1e-4, 10.0],
    }
    search = GridSearchCV(net, grid, cv=2, scoring="neg_mean_squared_error").fit(X, y)
    assert search.best_params_["callbacks__regularizer__lam"] == 1e-4
    copied = clone(net).set_params(callbacks__regularizer__lam=10.0).fit(X, y)
    assert copied.history[-1, "zeros"] == 1.0
    assert clone(copied).get_params()["callbacks"][0][1].penalty == "l1"


def test_other_arguments_take_effect_at_the_next_training(skorch: Any, callback_of: Any) -> None:
    net, X, y = plain(skorch, callback_of("l1:1e-4"))
    net.fit(X, y)
    assert net.history[-1, "zeros"] == 0.0
    net.set_params(callbacks__regularizer__penalty="l1:10").partial_fit(X, y)
    assert net.history[-1, "zeros"] == 1.0


def test_zeros_are_aimed_at_and_held(skorch: Any, callback_of: Any) -> None:
    aimed, X, y = plain(skorch, callback_of("l0:1", target=0.5, target_steps=3), max_epochs=3)
    aimed.fit(X, y)
    assert aimed.history[:, "zeros"] == pytest.approx([0.5] * 3, abs=0.03)
    held, X, y = plain(skorch, callback_of("l1:0.1", hold_zeros_at=5), max_epochs=3)
    held.fit(X, y)
    assert 0 < held.history[0, "zeros"] == held.history[2, "zeros"]
    assert held.history[:, "factor"] == [0.0] * 3


def test_a_fit_that_was_too_short_is_told(skorch: Any, callback_of: Any) -> None:
    net, X, y = plain(skorch, callback_of("l0:1", target=0.5, target_steps=500))
    net.partial_fit(X, y)  # others may follow
    with pytest.warns(UserWarning, match="the training ended after .* ends at step 500"):
        net.fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("l7:1",), r"unknown penalty 'l7'"),
        (("l1",), r"l1 has no strength"),
        ((L1,), r"give it its strength, L1\(1e-4\)"),
        ((3.0,), r'penalty must be a text such as "l1:1e-4"'),
        (("l1:1", "loss"), r"a callback cannot"),
        (("l1:1", "proximl"), r"did you mean 'proximal'"),
        (("l1:1", "proximal", "hiden.*"), r"hiden"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    skorch: Any, callback_of: Any, arguments: Any, message: str
) -> None:
    net, X, y = plain(skorch, callback_of(*arguments))
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, y)


def test_what_the_net_cannot_do_is_refused_with_a_sentence(skorch: Any, callback_of: Any) -> None:
    net, X, y = plain(skorch, callback_of("l1:1", optimizer="generator_optimizer"))
    with pytest.raises(ValueError, match="the net has no generator_optimizer_"):
        net.fit(X, y)
    net, X, y = plain(skorch, callback_of("l1:1"))
    net.initialize()
    Regularizer(net.module_, L1(1.0)).attach(net.optimizer_, how="proximal")
    with pytest.raises(ValueError, match=r"already has .* attached to this optimizer"):
        net.partial_fit(X, y)
    clipping = skorch.callbacks.GradientNormClipping(1.0)
    net, X, y = plain(skorch, callback_of("l1:1"))
    net.callbacks.append(clipping)
    with pytest.raises(ValueError, match="give max_norm=1 to RegularizerCallback"):
        net.fit(X, y)
