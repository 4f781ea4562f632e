"""No prox wipes weights whose gradients have not begun; dead weights still go to zero in time."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from grid import covering
from optimizer_cases import STEADY
from shrinkage import L1, GroupLasso, Penalty
from shrinkage.torch import Regularizer

pytestmark = pytest.mark.usefixtures("torch_operations")

PENALTIES = [L1(1e-3), GroupLasso(1e-3), L1(1e-3) + GroupLasso(1e-3)]
ADAPTIVE = [name for name in STEADY if not name.startswith("SGD")]


def train(
    model: nn.Module, optimizer: Optimizer, penalty: Penalty, x: Tensor, steps: int
) -> Regularizer:
    regularizer = Regularizer(model, penalty)
    regularizer.attach(optimizer, how="proximal")
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()
    return regularizer


def make(name: str, parameters: Any) -> Optimizer:
    kind, options = STEADY[name]
    return kind(parameters, **{**options, "lr": min(options["lr"], 1e-3)})


@pytest.mark.parametrize(("optimizer", "penalty"), covering(STEADY, PENALTIES), ids=str)
def test_a_zero_initialized_head_does_not_wipe_the_layer_below(
    optimizer: str, penalty: Penalty
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    nn.init.zeros_(model[2].weight)
    nn.init.uniform_(model[0].weight, 0.2, 0.5)  # no weight that a step of 1e-3 could reach
    train(model, make(optimizer, model.parameters()), penalty, torch.randn(16, 8), steps=1)
    assert (model[0].weight != 0).all()


@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    covering(
        ["Adam", "RMSprop", "Adagrad", "Adadelta"],
        [L1(1e-3), GroupLasso(1e-3), GroupLasso(1e-3, "in")],
    ),
    ids=str,
)
def test_an_embeddings_unseen_rows_stay(optimizer: str, penalty: Penalty) -> None:
    torch.manual_seed(0)
    model = nn.Embedding(10, 4)
    nn.init.uniform_(model.weight, 0.2, 0.5)
    regularizer = train(
        model, make(optimizer, model.parameters()), penalty, torch.tensor([0, 1]), steps=3
    )
    assert regularizer.sparsity().zeros == 0


def test_a_lora_factor_of_zeros_does_not_wipe_the_other() -> None:
    class LoRA(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.A = nn.Parameter(torch.full((2, 8), 0.3))
            self.B = nn.Parameter(torch.zeros(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.A.T @ self.B.T

    model = LoRA()
    torch.manual_seed(0)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    train(model, adam, L1(1e-4), torch.randn(16, 8), steps=5)
    assert (model.A != 0).all()
    assert (model.B != 0).any()


@pytest.mark.quick_where(optimizer=["Adam"])
@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    covering(
        ["Adam", "AdamW", "NAdam", "Adamax", "RMSprop", "Adam fused"],
        [L1(1e-3), GroupLasso(1e-3, "in")],
    ),
    ids=str,
)
def test_a_dead_inputs_weights_go_to_zero_in_a_few_hundred_steps(
    optimizer: str, penalty: Penalty
) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    nn.init.uniform_(model.weight, 0.2, 0.5)
    x = torch.randn(16, 4)
    x[:, 3] = 0.0
    adam = make(optimizer, model.parameters())
    train(model, adam, penalty, x, steps=20)
    assert (model.weight[:, 3] != 0).all()
    Regularizer(model, penalty)  # a second one, unattached, changes nothing
    for _ in range(250):
        adam.zero_grad()
        (model(x) - 1).square().mean().backward()
        adam.step()
    assert (model.weight[:, 3] == 0).all()
    assert (model.weight[:, :3] != 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ADAPTIVE)
def test_no_entry_moves_farther_than_twice_the_largest_steady_move(optimizer: str) -> None:
    """An overwhelming strength: what the prox moves is its limit, and groups keep direction."""
    kind, options = STEADY[optimizer]
    for penalty in (L1(1e9), GroupLasso(1e9)):
        model = nn.ParameterDict({"w": nn.Parameter(torch.tensor([[30.0, 40.0]]).double())})
        plain = nn.ParameterDict({"w": nn.Parameter(torch.tensor([[30.0, 40.0]]).double())})
        ours, theirs = kind(model.parameters(), **options), kind(plain.parameters(), **options)
        Regularizer(model, penalty).attach(ours, how="proximal")
        if optimizer == "RAdam":
            for count in range(6):  # its first steps are plain momentum steps, with lr alone
                for one, weights in ((ours, model), (theirs, plain)):
                    weights["w"].grad = torch.ones(1, 2).double()
                    one.param_groups[0]["lr"] = 0.0 if count < 5 else options["lr"]
                    one.step()
        else:
            for one, weights in ((ours, model), (theirs, plain)):
                weights["w"].grad = torch.ones(1, 2).double()
                one.step()
        moved = (plain["w"] - model["w"]).detach()[0]
        usual = (30.0 - plain["w"][0, 0]).item()
        assert moved.max() > 0
        assert moved.max() <= 2.05 * usual / (1 - options.get("momentum", 0.0))
        if isinstance(penalty, GroupLasso):
            assert moved[0] / moved[1] == pytest.approx(
                (plain["w"][0, 0] / plain["w"][0, 1]).item()
            )


def test_adams_first_step_has_its_bias_correction() -> None:
    """Without it the threshold would be 31.6 times too large: lr·lam/(√((1 − β2)·g²) + eps)."""
    model = nn.ParameterDict({"w": nn.Parameter(torch.ones(1, 1).double())})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    Regularizer(model, L1(0.05)).attach(optimizer, how="proximal")
    model["w"].grad = torch.full((1, 1), 0.5).double()
    optimizer.step()
    step = 0.01 / (0.5 + 1e-8)
    assert model["w"].item() == pytest.approx(1.0 - step * 0.5 - step * 0.05, rel=1e-12)
