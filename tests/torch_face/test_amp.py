"""Under torch.amp.GradScaler: scaled gradients, skipped steps, plain and fused optimizers."""

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from shrinkage import L1, ElasticNet, GroupLasso, Penalty
from shrinkage.torch import Regularizer

HOWS = ["coupled", "decoupled", "proximal"]
MAKES: dict[str, Any] = {
    f"{kind.__name__} {'fused' if fused else 'plain'}": partial(kind, fused=fused, **options)
    for kind, options in (
        (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
        (torch.optim.Adam, {"lr": 0.02}),
        (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.0}),
        (torch.optim.Adagrad, {"lr": 0.1}),
    )
    for fused in (False, True)
}
# With momentum, a first step that is skipped leaves torch's buffer without values.
MAKES["SGD fused"] = partial(torch.optim.SGD, fused=True, lr=0.05)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def train(
    make: Any, penalty: Penalty, how: str, scaler: GradScaler | None, *, clip: float | None = None
) -> tuple[list[Tensor], Regularizer]:
    model = network()
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, penalty)
    regularizer.attach(optimizer, how=how)
    x = torch.linspace(-1, 1, 12).view(4, 3).double()
    for _ in range(5):
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        if scaler is None:
            loss.backward()
        else:
            scaler.scale(loss).backward()
        if clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)
            regularizer.clip_grad_norm_(model.parameters(), clip)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
    return [parameter.detach() for parameter in model.parameters()], regularizer


def apart(first: list[Tensor], second: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(first, second, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_scaled_run_gives_the_numbers_of_an_unscaled_one(make: Any) -> None:
    penalties = [(ElasticNet(0.2), None), (L1(0.05) + GroupLasso(0.05), 0.1)]
    for how, (penalty, clip) in product(HOWS, penalties):
        scaler = GradScaler("cpu", init_scale=2.0**10)
        scaled, _ = train(make, penalty, how, scaler, clip=clip)
        plain, _ = train(make, penalty, how, None, clip=clip)
        free, _ = train(make, L1(0.0), how, None, clip=clip)
        assert apart(scaled, plain) < 1e-12
        assert apart(scaled, free) > 1e-3


@pytest.mark.quick_where(bad=[float("inf")], make=[MAKES["SGD fused"], MAKES["Adam plain"]])
@pytest.mark.parametrize(
    ("bad", "how"), [(float("inf"), how) for how in HOWS] + [(float("nan"), "proximal")]
)
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_skipped_step_moves_no_weight(make: Any, how: str, bad: float) -> None:
    model = network()
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, ElasticNet(0.5) + GroupLasso(0.1))
    regularizer.attach(optimizer, how=how, schedule=lambda step: 1.0 + step)
    scaler = GradScaler("cpu", init_scale=8.0)

    def step(spoil: bool) -> None:
        optimizer.zero_grad()
        loss = (model(torch.ones(2, 3).double())).square().mean()
        scaler.scale(loss).backward()
        if spoil:
            model[2].bias.grad[0] = bad
        scaler.step(optimizer)
        scaler.update()

    for _ in range(2):  # before the first step that counts, and after it
        before = [parameter.detach().clone() for parameter in model.parameters()]
        factor = regularizer.factor
        step(spoil=True)
        assert apart(before, list(model.parameters())) == 0.0
        assert regularizer.factor == factor  # the step does not count for a schedule either
        step(spoil=False)
        assert apart(before, list(model.parameters())) > 1e-3
        assert regularizer.factor == factor + 1
