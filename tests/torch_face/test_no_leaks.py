"""Nothing leaks from one use of a regularizer into the next, and nothing is taken unseen."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import L1, L2, GroupLasso
from shrinkage.torch import SGDW, Regularizer, schedules


def one(value: float = 10.0, *, lr: float = 0.1, momentum: float = 0.0) -> tuple[nn.Module, Any]:
    """A model of one weight whose data gradient is 0, and SGD on it."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, value)
    model.weight.grad = torch.zeros_like(model.weight)
    return model, torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


@pytest.mark.parametrize("renew", ["backward", "new tensor", "through .data"])
def test_a_renewed_gradient_gets_its_coupled_penalty_once(renew: str) -> None:
    model, optimizer = one(1.0)
    Regularizer(model, L1(1.0)).attach(optimizer, how="coupled")
    for _ in range(3):
        if renew == "backward":
            optimizer.zero_grad(set_to_none=False)
            (0.0 * model.weight.sum()).backward()
        elif renew == "new tensor":
            model.weight.grad = torch.zeros_like(model.weight)
        else:
            model.weight.grad.data.copy_(torch.zeros_like(model.weight))
        optimizer.step()
    assert model.weight.item() == pytest.approx(0.7)


@pytest.mark.parametrize("story", ["re-attached", "another's state", "filled before"])
def test_a_full_momentum_buffer_is_known_as_full(story: str) -> None:
    model, optimizer = one(momentum=0.9)
    regularizer = Regularizer(model, L1(1.0))
    if story == "filled before":
        for _ in range(200):
            optimizer.step()
        regularizer.attach(optimizer, how="proximal")
    else:
        attachment = regularizer.attach(optimizer, how="proximal")
        optimizer.step()
        if story == "re-attached":
            attachment.detach()
            for _ in range(200):
                optimizer.step()
            regularizer.attach(optimizer, how="proximal")
        else:
            saved = optimizer.state_dict()
            del saved["param_groups"][0]["shrinkage"]
            with pytest.warns(UserWarning, match="momentum buffers count as full"):
                optimizer.load_state_dict(saved)
    before = model.weight.item()
    optimizer.step()
    assert before - model.weight.item() == pytest.approx(0.1 * 1.0 / (1 - 0.9))


def test_a_restored_buffer_count_survives_loading_the_optimizer_in_either_order() -> None:
    for first in ("optimizer", "regularizer"):
        model, optimizer = one(momentum=0.9)
        regularizer = Regularizer(model, L1(1.0))
        regularizer.attach(optimizer, how="proximal")
        optimizer.step()
        saved = optimizer.state_dict(), regularizer.state_dict()
        if first == "optimizer":
            optimizer.load_state_dict(saved[0])
        regularizer.load_state_dict(saved[1])
        if first == "regularizer":
            optimizer.load_state_dict(saved[0])
        before = model.weight.item()
        optimizer.step()  # b = 0.9·1 + 1
        assert before - model.weight.item() == pytest.approx(0.1 * 1.9)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (-0.5, "metric, for weight: step must be >= 0"),
        (float("nan"), "metric, for weight: step must be >= 0"),
        (torch.ones(3), "metric, for weight: step must be a number or an array of w's shape"),
        ("1", "metric, for weight: step must be a number or an array"),
    ],
)
def test_a_users_metric_is_checked(step: object, message: str) -> None:
    model, optimizer = one()
    regularizer = Regularizer(model, L1(1.0))
    regularizer.attach(optimizer, how="proximal", metric=lambda o, g, p: step)  # type: ignore[arg-type,return-value]
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.step()


def test_penalty_of_given_parameters_is_theirs_alone() -> None:
    model = nn.Linear(2, 1)
    regularizer = Regularizer(model, L1(1.0))
    model.requires_grad_(False)
    given = {"weight": torch.tensor([[1.0, -2.0]], dtype=torch.float64)}
    value = regularizer.penalty(given)
    assert value.item() == 3.0
    assert value.dtype == torch.float64


def test_a_penalty_beyond_float16_is_said() -> None:
    model = nn.Linear(10, 10).half()
    nn.init.constant_(model.weight, 1000.0)
    regularizer = Regularizer(model, L1(1.0))
    with pytest.raises(FloatingPointError, match="16-bit floats end at 65504"):
        regularizer.penalty()
    assert regularizer.penalty(like=torch.zeros(())).item() == 1e5


@pytest.mark.parametrize(
    ("make", "objective"),
    [
        (lambda p: torch.optim.Adam(p, weight_decay=0.1), "minimum of J = data loss + Ω + ½·0.1·"),
        (lambda p: torch.optim.AdamW(p, weight_decay=0.1), "no objective is claimed"),
        (lambda p: SGDW(p, lr=0.1, weight_decay=0.1), "no objective is claimed"),
    ],
)
def test_the_objective_beside_weight_decay(make: Any, objective: str) -> None:
    model, _ = one()
    with pytest.warns(UserWarning, match="has weight_decay=0.1 beside the attached penalty"):
        attachment = Regularizer(model, L1(0.1)).attach(make(model.parameters()), how="coupled")
    assert objective in repr(attachment)


def test_the_first_learning_rate_is_the_schedulers_and_travels() -> None:
    model, optimizer = one(1.0)
    regularizer = Regularizer(model, L2(0.05))
    regularizer.attach(optimizer, how="decoupled", scale="schedule")
    optimizer.param_groups[0]["lr"] = 0.05  # by hand: lr₀ stays 0.1
    state = regularizer.state_dict()
    regularizer.detach()
    again = Regularizer(model, L2(0.05))
    again.load_state_dict(state)
    again.attach(optimizer, how="decoupled", scale="schedule")
    optimizer.step()
    assert model.weight.item() == pytest.approx(1 - 0.5 * 0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.05
    optimizer.step()
    assert model.weight.item() == pytest.approx((1 - 0.5 * 0.1) * (1 - 0.1))


def test_momentum_of_one_is_refused_before_anything_moves() -> None:
    model, optimizer = one(momentum=0.9)
    Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    model.weight.grad = torch.ones_like(model.weight)
    optimizer.param_groups[0]["momentum"] = 1.0
    with pytest.raises(ValueError, match="momentum must be < 1"):
        optimizer.step()
    assert model.weight.item() == 10.0


def test_lbfgs_decays_from_its_first_step_on() -> None:
    model, _ = one(1.0)
    model.weight.grad = None
    optimizer = torch.optim.LBFGS(model.parameters())
    Regularizer(model, L2(0.05)).attach(optimizer, how="decoupled", scale="none")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = 0.0 * model.weight.sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert model.weight.item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_norm": 3}, "weight_norm must be 1 or 2, got 3"),
        ({"scale": "bogus"}, 'scale must be "none" or "lr"'),
        ({"lr": float("inf")}, "lr must be >= 0 and finite"),
    ],
)
def test_sgdw_checks_the_options_of_its_groups(options: dict[str, Any], message: str) -> None:
    group = {"params": [nn.Parameter(torch.ones(1))], **options}
    with pytest.raises(ValueError, match=message):
        SGDW([group], lr=0.1)


def test_an_attached_optimizers_defaults_still_build_optimizers() -> None:
    model, optimizer = one()
    regularizer = Regularizer(model, L1(0.1))
    regularizer.attach(optimizer, how="proximal")
    torch.optim.SGD(model.parameters(), **optimizer.defaults)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    plain = torch.optim.SGD(model.parameters(), lr=0.1).param_groups[0]
    assert optimizer.param_groups[1].keys() == plain.keys()
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        with pytest.warns(UserWarning, match="copies lose their hooks"):
            copied.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regularizer.detach()
        optimizer.step()
    assert type(optimizer.defaults) is dict


def test_a_schedule_of_attach_ends_with_it() -> None:
    model, optimizer = one()
    regularizer = Regularizer(model, L1(0.1))
    with regularizer.attach(optimizer, how="coupled", schedule=schedules.linear(1.0, 0.0, 2)):
        optimizer.step()
        optimizer.step()
        assert regularizer.factor == 0.0
        with pytest.warns(UserWarning, match="step\\(\\) counts one twice"):
            regularizer.step()
    assert (regularizer.factor, regularizer.schedule) == (1.0, None)


class Subclass(nn.LSTM):
    pass


def test_a_subclass_of_an_lstm_has_its_units() -> None:
    regularizer = Regularizer(Subclass(3, 5), GroupLasso(0.1))
    assert {row.groups for row in regularizer.sparsity().parameters.values()} == {5}


def test_adagrad_can_be_shown_before_its_first_step() -> None:
    model, _ = one()
    regularizer = Regularizer(model, L1(0.1))
    regularizer.attach(torch.optim.Adagrad(model.parameters()), how="proximal")
    assert "known after its first" in str(regularizer)


def test_a_group_limit_takes_a_whole_learning_rate() -> None:
    model = nn.Linear(3, 2)
    model.weight.grad = torch.ones_like(model.weight)
    optimizer = torch.optim.Adamax(model.parameters(), lr=1)
    Regularizer(model, GroupLasso(0.1)).attach(optimizer, how="proximal")
    optimizer.step()
    assert torch.isfinite(model.weight).all()


def test_a_state_that_is_none_of_ours_is_refused() -> None:
    model, _ = one()
    with pytest.raises(ValueError, match="state has no 'factor'"):
        Regularizer(model, L1(0.1)).load_state_dict({})


def test_a_word_that_holds_bias_names_no_bias() -> None:
    model = nn.ModuleDict({"unbiased": nn.Linear(2, 2)})
    names = [name for name, _ in Regularizer(model, {"unbiased*": L1(1.0)}).named_parameters()]
    assert names == ["unbiased.weight"]


def test_a_list_is_a_union() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    regularizer = Regularizer(model, L1(1.0), on=["weights", nn.Linear])
    assert [name for name, _ in regularizer.named_parameters()] == ["0.weight", "0.bias"]
