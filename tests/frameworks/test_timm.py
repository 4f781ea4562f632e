"""timm's models, optimizers, averages and checkpoints under an attached penalty."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from frameworks.by_hand import MAX_NORM, WARMUP, penalties, same_weights, train_by_hand
from grid import covering
from shrinkage.torch import Regularizer, schedules

pytestmark = pytest.mark.frameworks

LAM = 0.01
SPARSE, ANCHORED = "blocks.*", "head.weight"
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "momentum": {"opt": "momentum", "lr": 0.1},
    "nesterov": {"opt": "sgd", "lr": 0.1},
    "adamw": {"opt": "adamw", "lr": 0.01},
    "adamw by layers": {"opt": "adamw", "lr": 0.01, "layer_decay": 0.75},
}


@pytest.fixture(scope="module")
def timm() -> Any:
    for needed in ("torchvision", "timm.optim", "timm.utils", "timm.models"):
        pytest.importorskip(needed, reason=f"{needed.partition('.')[0]} is not installed")
    return sys.modules["timm"]


def transformer(timm: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    return timm.models.vision_transformer.VisionTransformer(**sizes, num_classes=3).double()


def micro_batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(12, 4, 3, 16, 16, dtype=torch.float64, generator=generator)
    return list(zip(images, torch.randint(3, (12, 4), generator=generator), strict=True))


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    images, labels = batch
    return cross_entropy(model(images), labels)


def train(
    model: nn.Module, optimizer: Any, batches: list[tuple[Tensor, Tensor]], average: Any
) -> None:
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        optimizer.zero_grad()
        for batch in (first, second):
            (loss_of(model, batch) / 2).backward()
        optimizer.step()
        average.update(model)


@pytest.mark.parametrize(("name", "how"), covering(OPTIMIZERS, ["proximal", "coupled"]))
def test_a_loop_with_timm_equals_one_by_hand_and_resumes(
    timm: Any, name: str, how: str, tmp_path: Path
) -> None:
    def make(model: nn.Module) -> Any:
        optimizer = timm.optim.create_optimizer_v2(model, **OPTIMIZERS[name])
        for group in optimizer.param_groups:
            group["lr"] *= group.get("lr_scale", 1.0)  # as timm's schedulers do
        return optimizer

    expected = transformer(timm, seed=0)
    weights = dict(expected.named_parameters())
    sparse = [p for key, p in weights.items() if key.startswith("blocks.") and p.ndim == 2]
    shares = train_by_hand(
        expected,
        make(expected),
        micro_batches(),
        loss_of,
        how=how,
        sparse=sparse,
        anchored=[weights["head.weight"]],
        lam=LAM,
    )
    assert min(shares) < 0.9
    assert how == "coupled" or any((w == 0).any() for w in sparse)

    batches, half = micro_batches(), 6
    for seed in (0, 1):
        model = transformer(timm, seed)
        optimizer = make(model)
        regularizer = Regularizer(
            model, penalties(SPARSE, ANCHORED, LAM), schedule=schedules.warmup(WARMUP)
        )
        regularizer.attach(optimizer, how=how, max_norm=MAX_NORM)
        average = timm.utils.ModelEmaV3(model, decay=0.5)
        saver = timm.utils.CheckpointSaver(
            model, optimizer, model_ema=average, checkpoint_dir=str(tmp_path)
        )
        if seed == 0:
            train(model, optimizer, batches[:half], average)
            saver.save_checkpoint(epoch=0)
        else:
            saved = torch.load(tmp_path / "last.pth.tar", weights_only=True)
            model.load_state_dict(saved["state_dict"])
            optimizer.load_state_dict(saved["optimizer"])
        train(model, optimizer, batches[half:], average)
        assert same_weights(model, expected)


def test_zeros_are_copied_to_an_average(timm: Any) -> None:
    model = transformer(timm, seed=0)
    optimizer = timm.optim.create_optimizer_v2(model, **OPTIMIZERS["adamw"])
    regularizer = Regularizer(model, penalties(SPARSE, ANCHORED, LAM))
    regularizer.attach(optimizer, how="proximal")
    average = timm.utils.ModelEmaV3(model, decay=0.5)
    train(model, optimizer, micro_batches(), average)
    before = {name: p.detach().clone() for name, p in average.module.named_parameters()}
    regularizer.copy_zeros_to(average)
    gained = 0
    penalized = {name for name, _ in regularizer.named_parameters()}
    for name, parameter in model.named_parameters():
        averaged = average.module.get_parameter(name)
        is_zero = (parameter == 0) if name in penalized else torch.zeros_like(parameter).bool()
        assert torch.equal(averaged, before[name].masked_fill(is_zero, 0.0))
        gained += int(((averaged == 0) & (before[name] != 0)).sum())
    assert gained > 10
