"""Lightning's Trainer steps regularized weights as a loop written by hand does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from frameworks.by_hand import (
    ANCHORED,
    MAX_NORM,
    SPARSE,
    WARMUP,
    adamw,
    loss_of,
    micro_batches,
    network,
    network_by_hand,
    penalties,
    same_weights,
    sgd,
)
from shrinkage import L1
from shrinkage.torch import Regularizer, schedules

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
]

Make = Callable[..., Optimizer]


@pytest.fixture(scope="module")
def lightning() -> Any:
    return pytest.importorskip("lightning.pytorch", reason="lightning is not installed")


def attach(module: Any, optimizer: Any, how: str) -> None:
    net = {f"net.{name}": penalty for name, penalty in penalties(SPARSE, ANCHORED).items()}
    regularizer = Regularizer(module, net, schedule=schedules.warmup(WARMUP))
    regularizer.attach(optimizer, how=how, max_norm=MAX_NORM)


def automatic(lightning: Any, make: Make, how: str, seed: int) -> Any:
    """Lightning itself accumulates and steps."""

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(seed)

        def training_step(self, batch: Tensor, number: int) -> Tensor:
            return loss_of(self.net, batch)

        def configure_optimizers(self) -> Optimizer:
            optimizer = make(self.parameters())
            attach(self, optimizer, how)
            return optimizer

    return Module()


def manual(lightning: Any, make: Make, how: str, seed: int) -> Any:
    """The module steps Lightning's wrapper of its optimizer, which `attach` gets."""

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.net = network(seed)

        def configure_optimizers(self) -> Optimizer:
            return make(self.parameters())

        def on_train_start(self) -> None:
            optimizer = self.optimizers()
            assert isinstance(optimizer, lightning.core.optimizer.LightningOptimizer)
            attach(self, optimizer, how)

        def training_step(self, batch: Tensor, number: int) -> None:
            self.manual_backward(loss_of(self.net, batch) / 2)
            if number % 2 == 1:
                self.optimizers().step()
                self.optimizers().zero_grad()

    return Module()


def fit(lightning: Any, module: Any, folder: Path, start: str | None, **options: Any) -> None:
    """Two epochs over the same half of the micro-batches each, and a checkpoint after each."""
    batches = micro_batches()
    loader = torch.utils.data.DataLoader(batches[: len(batches) // 2], batch_size=None)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[lightning.callbacks.ModelCheckpoint(folder, "{epoch}", save_top_k=-1)],
        **options,
    )
    trainer.fit(module, loader, ckpt_path=start)


@pytest.mark.parametrize(
    ("loop", "how", "make"),
    [
        (automatic, "proximal", adamw),
        (automatic, "coupled", sgd),
        (manual, "proximal", sgd),
        (manual, "coupled", adamw),
    ],
)
def test_the_trainer_equals_a_loop_by_hand_and_resumes(
    lightning: Any, loop: Callable[..., Any], how: str, make: Make, tmp_path: Path
) -> None:
    half = micro_batches()[: len(micro_batches()) // 2]
    expected = network_by_hand(make, how, [*half, *half])
    options = {"accumulate_grad_batches": 2} if loop is automatic else {}
    for seed, start in ((0, None), (1, str(tmp_path / "epoch=0.ckpt"))):
        module = loop(lightning, make, how, seed)
        fit(lightning, module, tmp_path, start, **options)
        assert same_weights(module.net, expected)


def test_a_module_may_clip_by_the_method_in_lightnings_hook(lightning: Any, tmp_path: Path) -> None:
    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(0)
            self.regularizer = Regularizer(
                self.net, penalties(SPARSE, ANCHORED), schedule=schedules.warmup(WARMUP)
            )

        def training_step(self, batch: Tensor, number: int) -> Tensor:
            return loss_of(self.net, batch)

        def configure_optimizers(self) -> Optimizer:
            optimizer = adamw(self.parameters())
            self.regularizer.attach(optimizer, how="proximal")
            return optimizer

        def configure_gradient_clipping(self, optimizer: Any, *given: Any, **named: Any) -> None:
            self.regularizer.clip_grad_norm_(self.parameters(), MAX_NORM)

    half = micro_batches()[: len(micro_batches()) // 2]
    module = Module()
    fit(lightning, module, tmp_path, None, accumulate_grad_batches=2)
    assert same_weights(module.net, network_by_hand(adamw, "proximal", [*half, *half]))


def test_a_clipping_by_the_trainer_itself_is_told(lightning: Any, tmp_path: Path) -> None:
    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(0)

        def training_step(self, batch: Tensor, number: int) -> Tensor:
            return loss_of(self.net, batch)

        def configure_optimizers(self) -> Optimizer:
            optimizer = adamw(self.parameters())
            Regularizer(self, L1(1e-3)).attach(optimizer, how="proximal")
            return optimizer

    with pytest.warns(UserWarning, match=r"AdamW had the norm 0\.01 at 5 steps in a row"):
        fit(lightning, Module(), tmp_path, None, gradient_clip_val=0.01)
