"""References and weights of entries, from other models and by the names of parameters."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, L2, Penalty, Toward, Weighted
from shrinkage.torch import Adam, Regularizer


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    made = [nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)) for _ in range(2)]
    return made[0], made[1]


def distance(one: nn.Module, other: nn.Module, weights: Any = None) -> float:
    """Σ weights·(w − w₀)², by hand."""
    total = 0.0
    for (name, w), origin in zip(one.named_parameters(), other.parameters(), strict=True):
        times = 1.0 if weights is None else weights[name]
        total += float((times * (w - origin) ** 2).sum().detach())
    return total


def fisher(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.rand_like(w) for name, w in model.state_dict().items()}


def test_toward_another_model() -> None:
    old, new = pair()
    parameters = dict(old.named_parameters())
    for reference in (old, old.state_dict(), parameters, nn.DataParallel(old)):
        regularizer = Regularizer(new, Toward(reference, L2(0.5)), on="all")
        assert regularizer.value() == pytest.approx(0.5 * distance(new, old))
    assert "Toward(<Sequential>, L2(lam=0.5))" in repr(Regularizer(new, Toward(old, L2(0.5))))


def test_elastic_weight_consolidation() -> None:
    old, new = pair()
    weights = fisher(old)
    penalty = Toward(old.state_dict(), Weighted(weights, L2(0.5)))
    regularizer = Regularizer(new, penalty, on="all")
    assert regularizer.value() == pytest.approx(0.5 * distance(new, old, weights))
    before = {name: w.detach().clone() for name, w in new.named_parameters()}
    optimizer = torch.optim.SGD(new.parameters(), lr=0.1)
    regularizer.attach(optimizer, how="coupled")
    new(torch.ones(1, 3)).sum().mul(0.0).backward()
    optimizer.step()
    origins = old.state_dict()
    for name, w in new.named_parameters():
        moved = before[name] - 0.1 * weights[name] * (before[name] - origins[name])
        torch.testing.assert_close(w.detach(), moved)


def test_weights_by_name_under_a_prox() -> None:
    _, new = pair()
    weights = fisher(new)
    before = new[0].weight.detach().clone()
    optimizer = torch.optim.SGD(new.parameters(), lr=0.1)
    regularizer = Regularizer(new, Weighted(weights, L1(0.5)))
    regularizer.attach(optimizer, how="proximal")
    new(torch.ones(1, 3)).sum().mul(0.0).backward()
    optimizer.step()
    size = (before.abs() - 0.05 * weights["0.weight"]).clamp(min=0.0)
    torch.testing.assert_close(new[0].weight.detach(), before.sign() * size)


def test_another_model_may_go_on() -> None:
    old, new = pair()
    regularizer = Regularizer(new, Toward(old, L2(0.5)), on="all")
    value = regularizer.value()
    with torch.no_grad():
        old[0].weight.add_(1.0)
    assert regularizer.value() == value


def test_the_model_itself_is_its_start() -> None:
    _, new = pair()
    for reference in (new, new.state_dict()):
        regularizer = Regularizer(new, Toward(reference, L2(0.5)))
        assert sorted(regularizer.state_dict()["starts"]) == ["0.weight", "2.weight"]
        with torch.no_grad():
            new[0].weight.add_(1.0)
        new.append(nn.ReLU())  # the model has changed: penalties are bound anew
        assert regularizer.value() == pytest.approx(0.5 * new[0].weight.numel())


OLD, NEW = pair()
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: {"0.weight": Toward(OLD[0].weight, L2(1.0))}, ValueError, r"write \.detach\(\) behin"),
    (lambda: Toward({"0.wieght": torch.ones(2, 3)}, L2(1.0)), ValueError, "reference holds no 0.w"),
    (lambda: Weighted({"0.wieght": torch.ones(2, 3)}, L2(1.0)), ValueError, "did you mean '0.wieg"),
    (lambda: Weighted(torch.ones(2), L2(1.0)), ValueError, "weights must have the parameter's sha"),
    (lambda: Toward(nn.Linear(2, 2), L2(1.0)), ValueError, "reference holds no 0.weight"),
    (lambda: Weighted({"a": -torch.ones(2)}, L2(1.0)), ValueError, "weights of a must be >= 0"),
    (
        lambda: Weighted(torch.ones(2), Toward(OLD, L2(1.0))),
        ValueError,
        "write Toward.reference, W",
    ),
    (lambda: Toward("strat", L2(1.0)), ValueError, 'reference must be an array or "start", got'),
    (lambda: Toward(2.0, L2(1.0)), TypeError, "reference must be an array"),
]


@pytest.mark.parametrize(("make", "error", "said"), REFUSED)
def test_what_is_not_meant_is_refused(make: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Regularizer(NEW, make())


@pytest.mark.parametrize(
    "penalty", [Toward(OLD, L2(1.0)), Weighted({"0.weight": torch.ones(2, 3)}, L2(1.0))]
)
def test_names_are_for_a_regularizer(penalty: Penalty) -> None:
    with pytest.raises(ValueError, match=r"which only a shrinkage.torch.Regularizer takes"):
        penalty(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"which only a shrinkage.torch.Regularizer takes"):
        Adam(NEW.parameters(), penalty=penalty)
