"""Optimizers of timm, pytorch_optimizer and transformers rest at scikit-learn's Lasso."""

import importlib

import pytest
import torch
from torch import nn

from other_optimizers import CLASSES, TIMM, distance
from shrinkage import L1
from shrinkage.torch import Regularizer

pytestmark = pytest.mark.frameworks

LR, STEPS = 0.1, 150
# Signs make steps of one size until lr is small; own steps that still grow are followed late, those
# of torch's Adafactor for longest; Adan goes around the minimum at a large lr.
SLOWER: dict[str, tuple[float, int]] = {
    **dict.fromkeys(("pytorch_optimizer.Lion", "lion", "clion"), (0.02, 600)),
    **dict.fromkeys(("pytorch_optimizer.SignSGD", "pytorch_optimizer.Tiger"), (0.02, 800)),
    **dict.fromkeys(("adan", "adanw"), (0.02, 250)),
    "radamlegacy": (LR, 300),
    "pytorch_optimizer.Lamb": (LR, 300),
    "novograd": (0.02, 1000),
    "torch.optim.Adafactor": (LR, 600),
}


def import_or_skip(name: str) -> None:
    module = "timm.optim" if name in TIMM else name.rpartition(".")[0]
    try:
        importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # torchvision beside another torch
        pytest.skip(f"{module} cannot be imported: {error}")


@pytest.mark.parametrize("name", [*TIMM, *CLASSES])
def test_it_comes_to_scikit_learns_lasso(name: str) -> None:
    import_or_skip(name)
    lr, steps = SLOWER.get(name, (LR, STEPS))
    away, right = distance(name, steps, lr=lr)
    assert away < 1e-2
    assert right


@pytest.mark.parametrize("name", ["muon", "nmuon", "adamuon"])
def test_muon_is_refused_for_matrices_and_served_for_what_it_leaves_to_adamw(name: str) -> None:
    import_or_skip("lamb")
    timm = importlib.import_module("timm.optim")
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)).double()
    optimizer = timm.create_optimizer_v2(model.parameters(), opt=name, lr=0.01, weight_decay=0.0)
    with pytest.raises(ValueError, match="it orthogonalizes whole matrices"):
        Regularizer(model, L1(0.1)).attach(optimizer, how="proximal")
    regularizer = Regularizer(model, {"1.weight": L1(10.0)})
    regularizer.attach(optimizer, how="proximal")
    for _ in range(200):
        optimizer.zero_grad()
        model(torch.ones(1, 3).double()).square().sum().backward()
        optimizer.step()
    assert regularizer.sparsity().zeros == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("madgrad", "its weights come from a sum of all its moves"),
        ("kron", "its metric is a dense matrix"),
    ],
)
def test_what_has_no_rest_is_refused(name: str, reason: str) -> None:
    import_or_skip("lamb")
    timm = importlib.import_module("timm.optim")
    model = nn.Linear(3, 2)
    optimizer = timm.create_optimizer_v2(model.parameters(), opt=name, lr=0.01, weight_decay=0.0)
    for metric in (None, "measured"):
        with pytest.raises(ValueError, match=reason):
            Regularizer(model, L1(0.1)).attach(optimizer, how="proximal", metric=metric)


def test_only_coupled_is_offered_where_a_change_of_the_weights_is_undone() -> None:
    library = pytest.importorskip("pytorch_optimizer")
    for name in ("MADGRAD", "ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD"):
        model = nn.Linear(3, 2)
        optimizer = getattr(library, name)(model.parameters(), lr=0.01)
        regularizer = Regularizer(model, L1(0.1))
        for how, metric in (("decoupled", None), ("proximal", len), ("proximal", "measured")):
            with pytest.raises(ValueError, match=f'{how} does not work with {name}.*"coupled"'):
                regularizer.attach(optimizer, how, metric=metric)
        regularizer.attach(optimizer, "coupled")
        assert "RDA" in repr(regularizer)
