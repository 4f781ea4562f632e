"""The figures of the source documents, through the public face."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, L2
from shrinkage.torch import SGDW, Regularizer


def exact(expected: float, tolerance: float = 1e-6) -> object:
    return pytest.approx(expected, rel=tolerance, abs=0)


# L1 and L2 by hand


@pytest.mark.parametrize(
    ("penalty", "weights", "value"),
    [
        (L1(0.5), [1, -2, 3, -4], 5.0),
        (L1(1.0), [1, -2, 3, -4], 10.0),
        (L2(0.5), [0.5, -1, 1.5, -2], 3.75),
        (L2(1.0), [0.5, -1, 1.5, -2], 7.5),
    ],
)
def test_a_penalty_of_a_tensor(penalty: L1 | L2, weights: list[float], value: float) -> None:
    assert penalty(torch.tensor(weights)).item() == value


@pytest.mark.parametrize(
    ("penalty", "value"), [(L1(1.0), 8.0), (L1(0.5), 4.0), (L2(1.0), 16.0), (L2(0.25), 4.0)]
)
def test_a_penalty_over_a_model(penalty: L1 | L2, value: float) -> None:
    model = nn.Linear(4, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    assert Regularizer(model, penalty).value() == value
    assert Regularizer(model, penalty).penalty().item() == value


# What people ask and get wrong


def test_the_penalty_is_part_of_the_graph() -> None:
    model = nn.Linear(3, 2)
    Regularizer(model, L1(0.5)).penalty().backward()
    assert torch.equal(model.weight.grad, 0.5 * model.weight.sign())


def test_l2_is_the_sum_of_squares_not_its_root() -> None:
    assert L2(1.0)(torch.tensor([3.0, 4.0])).item() == 25.0


def test_penalty_in_a_loop_goes_backward_each_time() -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L1(0.5) + L2(0.1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = regularizer.value()
    for _ in range(3):
        optimizer.zero_grad()
        regularizer.penalty().backward()
        optimizer.step()
    assert regularizer.value() < before


def document_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 1))


def document_run(way: str, *, zero_grad: bool = True, lam: float = 0.9) -> list[Tensor]:
    """100 steps of the document's model, with λ·½·Σw² in one of three ways."""
    model = document_model()
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(10, 5, generator=random), torch.randn(10, 1, generator=random)
    decay = lam if way == "weight_decay" else 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, weight_decay=decay)
    regularizer = Regularizer(model, L2.from_weight_decay(lam), on="all")
    if way == "coupled":
        regularizer.attach(optimizer, how="coupled")
    for _ in range(100):
        if zero_grad:
            optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        if way == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()
        optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


def apart(first: list[Tensor], second: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("way", ["loss", "coupled"])
def test_half_the_squares_in_the_loss_are_torchs_weight_decay(way: str) -> None:
    decayed = document_run("weight_decay")
    assert apart(document_run(way), decayed) < 1e-7
    assert apart(document_run("none"), decayed) > 1e-4


def test_without_zero_grad_the_two_differ() -> None:
    difference = apart(
        document_run("loss", zero_grad=False), document_run("weight_decay", zero_grad=False)
    )
    assert 0.05 < difference < 0.5  # the document's own draw: 0.17


# The sandbox: six ways, one step, data gradient 0, lr 0.1, strength 0.1


class Sandbox(nn.Module):
    """A 1×1 convolution (weight 1) and a linear layer (weights −1.5, −1.5), zero biases."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 1)
        self.linear = nn.Linear(2, 1)
        for parameter, value in zip(self.parameters(), (1.0, 0.0, -1.5, 0.0), strict=True):
            nn.init.constant_(parameter, value)
            parameter.grad = torch.zeros_like(parameter)

    def weights(self) -> list[float]:
        return [self.convolution.weight.item(), *self.linear.weight.flatten().tolist()]


def test_sgd_with_coupled_l2() -> None:
    for attached in (False, True):
        model = Sandbox()
        decay = 0.0 if attached else 0.1
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=decay)
        if attached:
            Regularizer(model, L2.from_weight_decay(0.1)).attach(optimizer, how="coupled")
        optimizer.step()
        assert model.weights() == exact([0.99, -1.485, -1.485])


@pytest.mark.parametrize(
    ("norm", "penalty", "expected"),
    [
        (2, L2.from_weight_decay(0.1), [0.90, -1.35, -1.35]),
        (1, L1(0.1), [0.90, -1.40, -1.40]),
    ],
)
def test_sgdw(norm: int, penalty: L1 | L2, expected: list[float]) -> None:
    model = Sandbox()
    optimizer = SGDW(model.parameters(), lr=0.1, weight_decay=0.1, weight_norm=norm)
    optimizer.step()
    assert model.weights() == exact(expected)
    assert {parameter.grad.abs().max().item() for parameter in model.parameters()} == {0.0}
    attached = Sandbox()
    plain = torch.optim.SGD(attached.parameters(), lr=0.1)
    Regularizer(attached, penalty).attach(plain, how="decoupled", scale="none")
    plain.step()
    assert attached.weights() == model.weights()


@pytest.mark.parametrize(
    ("penalty", "expected", "value", "gradient"),
    [
        (L2(0.1), [0.98, -1.47, -1.47], 0.55, (0.2, -0.3)),
        (L1(0.1), [0.99, -1.49, -1.49], 0.40, (0.1, -0.1)),
    ],
)
def test_an_external_penalty_at_every_call(
    penalty: L1 | L2, expected: list[float], value: float, gradient: tuple[float, float]
) -> None:
    model = Sandbox()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, penalty)
    assert regularizer.penalty().item() == exact(value)
    loss = regularizer.penalty()  # the document's own helper returned 0 from here on
    assert loss.item() == exact(value)
    loss.backward()
    assert model.convolution.weight.grad.item() == exact(gradient[0])
    assert model.linear.weight.grad.flatten().tolist() == exact([gradient[1]] * 2)
    optimizer.step()
    assert model.weights() == exact(expected)


def test_a_constant_taken_whatever_the_sign_is_not_an_l1() -> None:
    """torch_optimizer's SGDW subtracts lr·weight_decay from every entry: −1.5 grows to −1.51."""
    theirs = [w - 0.1 * 0.1 for w in Sandbox().weights()]
    assert theirs == exact([0.99, -1.51, -1.51])
    model = Sandbox()
    SGDW(model.parameters(), lr=0.1, weight_decay=0.1, weight_norm=1, scale="lr").step()
    assert model.weights() == exact([0.99, -1.49, -1.49])


def test_decoupled_l1_stops_at_zero_and_stays() -> None:
    model = Sandbox()
    optimizer = SGDW(model.parameters(), lr=0.1, weight_decay=0.3, weight_norm=1)
    trail = []
    for _ in range(10):
        optimizer.step()
        trail.append(model.weights())
    assert trail[2] == pytest.approx([0.1, -0.6, -0.6], abs=1e-6)
    assert [row[0] for row in trail[3:]] == [0.0] * 7
    assert trail[-1] == [0.0, 0.0, 0.0]


def test_sgdw_is_torchs_sgd_where_nothing_decays() -> None:
    ours, theirs = document_model(), document_model()
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    pairs = [
        (ours, SGDW(ours.parameters(), lr=0.1, momentum=0.9)),
        (theirs, torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)),
    ]
    for model, optimizer in pairs:
        for _ in range(5):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert apart(list(ours.parameters()), list(theirs.parameters())) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "lr must be >= 0 and finite, got -0.1"),
        ({"lr": 0.1, "momentum": 1.0}, "momentum must be >= 0 and < 1, got 1.0"),
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must be >= 0 and finite, got -1.0"),
        ({"lr": 0.1, "weight_decay": -1.0, "weight_norm": 1}, "weight_decay must be >= 0"),
        ({"lr": 0.1, "weight_norm": 3}, "weight_norm must be 1 or 2, got 3"),
        ({"lr": 0.1, "scale": "schedule"}, 'scale must be "none" or "lr", got \'schedule\''),
    ],
)
def test_sgdw_refuses(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SGDW([nn.Parameter(torch.ones(2))], **options)


def test_sgdw_runs_a_closure_and_a_checkpoint() -> None:
    model = document_model()
    optimizer = SGDW(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model(torch.ones(1, 5)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    copy = document_model()
    copy.load_state_dict(model.state_dict())
    resumed = SGDW(copy.parameters(), lr=0.1)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    for one, other in zip(model.parameters(), copy.parameters(), strict=True):
        other.grad = one.grad.clone()
    optimizer.step()
    resumed.step()
    assert apart(list(model.parameters()), list(copy.parameters())) == 0.0
