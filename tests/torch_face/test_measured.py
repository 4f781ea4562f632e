"""An own step that is measured from an optimizer's moves: it rests, resumes, says its misfit."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diabetes import least_squares, minimum
from optimizer_cases import Factory
from shrinkage import L1
from shrinkage.torch import Regularizer
from shrinkage.torch.facts.measured import KEYS

LASSO = L1(0.1)


class Sign(torch.optim.Optimizer):
    """w ← w − lr·sign(m), with m an average of gradients: no package's, so it is not known."""

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                mean = state.setdefault("mean", torch.zeros_like(w))
                mean.lerp_(w.grad, 0.1)
                w.sub_(mean.sign(), alpha=group["lr"])
                w.grad.zero_()  # as some do, so the gradient has to be taken before
        return loss


class Whole(Sign):
    """Moves every entry by the mean gradient, which is no entry's own."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:
        for group in self.param_groups:
            for w in group["params"]:
                w.sub_(w.grad.mean() + 0.1, alpha=group["lr"])


OPTIMIZERS: dict[str, Factory] = {
    "sign": partial(Sign, lr=0.005),
    "SGD momentum": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
}


def start(make: Factory) -> tuple[nn.ParameterDict, torch.optim.Optimizer, Regularizer, Any]:
    model = nn.ParameterDict({"w": torch.zeros(10).double()})
    optimizer = make(list(model.parameters()))
    regularizer = Regularizer(model, LASSO, on="all")
    attachment = regularizer.attach(optimizer, how="proximal", metric="measured")
    return model, optimizer, regularizer, attachment


def train(
    model: nn.ParameterDict, optimizer: torch.optim.Optimizer, first: int, last: int, total: int
) -> None:
    slope, lr = least_squares(), optimizer.defaults["lr"]
    for step in range(first, last):
        optimizer.param_groups[0]["lr"] = lr * min(1.0, 2 * (1 - step / total))
        model["w"].grad = slope(model["w"].detach())
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_converges_to_scikit_learns_lasso(name: str) -> None:
    model, optimizer, _, attachment = start(OPTIMIZERS[name])
    train(model, optimizer, 0, 800, 800)
    weights, target = model["w"].detach().numpy(), minimum(LASSO)
    assert np.abs(weights - target).max() < 1e-6
    assert ((weights == 0) == (target == 0)).all()
    assert attachment.misfit() < 1e-5
    assert "where each entry moves against its own gradient" in repr(attachment)


def test_a_saved_training_resumes_to_the_same_weights() -> None:
    expected, optimizer, _, _ = start(OPTIMIZERS["sign"])
    train(expected, optimizer, 0, 60, 100)
    saved = copy.deepcopy(optimizer.state_dict())
    weights = expected["w"].detach().clone()
    train(expected, optimizer, 60, 100, 100)
    model, optimizer, _, _ = start(OPTIMIZERS["sign"])
    model["w"].data.copy_(weights)
    optimizer.load_state_dict(saved)
    train(model, optimizer, 60, 100, 100)
    assert torch.equal(model["w"], expected["w"])


def test_a_closure_is_measured_by_its_first_evaluation() -> None:
    expected, optimizer, _, _ = start(OPTIMIZERS["sign"])
    train(expected, optimizer, 0, 50, 100)
    model, optimizer, _, _ = start(OPTIMIZERS["sign"])
    slope = least_squares()

    def closure() -> Tensor:
        model["w"].grad = slope(model["w"].detach())
        return torch.zeros(())

    for _ in range(50):
        optimizer.step(closure)
    assert torch.equal(model["w"], expected["w"])


def test_detaching_takes_the_averages_out_of_the_state() -> None:
    model, optimizer, regularizer, _ = start(OPTIMIZERS["sign"])
    assert "known after its first" in repr(regularizer)
    train(model, optimizer, 0, 1, 1)
    assert set(KEYS) < optimizer.state[model["w"]].keys()
    assert "median step" in repr(regularizer)
    regularizer.detach()
    assert list(optimizer.state[model["w"]]) == ["mean"]


def test_detaching_leaves_what_is_measured_for_other_weights() -> None:
    models = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizer = torch.optim.SGD([w for model in models for w in model.parameters()], lr=0.1)
    one, _ = (
        Regularizer(model, LASSO).attach(optimizer, how="proximal", metric="measured")
        for model in models
    )
    sum(model(torch.ones(1, 2)).sum() for model in models).backward()
    optimizer.step()
    one.detach()
    assert [set(KEYS) <= optimizer.state[model.weight].keys() for model in models] == [False, True]


@pytest.mark.filterwarnings("ignore:.*does not converge exactly:UserWarning")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_gradients_of_half_precision_are_measured(dtype: torch.dtype) -> None:
    model = nn.ParameterDict({"w": torch.full((4,), 2.0**-7, dtype=dtype)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    attachment = Regularizer(model, L1(1e-9), on="all").attach(
        optimizer, how="proximal", metric="measured"
    )
    for sign in (1.0, -1.0):
        model["w"].grad = torch.full_like(model["w"], sign * 2.0**-13)  # its square is 2⁻²⁶
        optimizer.step()
    part = attachment.bound.bindings[0].parts[0]
    step = attachment.own_step(optimizer.param_groups[0], part).step
    torch.testing.assert_close(step, torch.full((4,), 0.5))


def test_a_learning_rate_of_0_changes_nothing() -> None:
    model, optimizer, _, _ = start(OPTIMIZERS["sign"])
    train(model, optimizer, 0, 20, 100)
    before = model["w"].detach().clone()
    optimizer.param_groups[0]["lr"] = 0.0
    for _ in range(3):
        model["w"].grad = least_squares()(before)
        optimizer.step()
    assert torch.equal(model["w"], before)


def test_the_misfit_shows_an_optimizer_whose_entries_do_not_follow_their_gradients() -> None:
    model, optimizer, _, attachment = start(partial(Whole, lr=0.01))
    assert math.isnan(attachment.misfit())
    train(model, optimizer, 0, 50, 1000)
    assert attachment.misfit() > 0.5


def test_a_decay_that_is_set_later_is_refused_at_the_step() -> None:
    model, optimizer, _, _ = start(partial(Sign, lr=0.1))
    model["w"].grad = torch.ones(10).double()
    optimizer.step()
    before = model["w"].clone()
    optimizer.param_groups[0]["weight_decay"] = 0.5
    with pytest.raises(ValueError, match=r"weight_decay=0\.5, which would count"):
        optimizer.step()
    assert torch.equal(model["w"], before)


def test_it_is_refused_beside_weight_decay_and_sparse_gradients() -> None:
    with pytest.raises(
        ValueError, match=r"weight_decay=0.1, which would count .*from_weight_decay"
    ):
        start(partial(Sign, lr=0.1, weight_decay=0.1))
    model = nn.Embedding(4, 2, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Regularizer(model, LASSO).attach(optimizer, how="proximal", metric="measured")
    model(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match="measured for dense gradients"):
        optimizer.step()


@pytest.mark.parametrize("name", ["LBFGS", "Rprop"])
def test_what_has_no_own_step_is_not_measured_either(name: str) -> None:
    with pytest.raises(ValueError, match=f"proximal does not work with {name}"):
        start(partial(getattr(torch.optim, name), lr=0.1))
