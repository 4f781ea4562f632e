"""One line in Lightning: `shrinkage.lightning.RegularizerCallback`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frameworks.by_hand import loss_of, same_weights
from frameworks.random_runs import Run, draw_run

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
]

KILLED = 3  # steps into the second epoch


@pytest.fixture(scope="module")
def lightning() -> Any:
    return pytest.importorskip("lightning.pytorch", reason="lightning is not installed")


@pytest.fixture(scope="module")
def callback_of(lightning: Any) -> Any:
    from shrinkage.lightning import RegularizerCallback

    return RegularizerCallback


def module_of(lightning: Any, net: nn.Module, make: Any, *, killed_at: int | None = None) -> Any:
    """A module without a word on penalties, which fails at one of its batches."""

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net
            self.count = 0

        def training_step(self, batch: Tensor, number: int) -> Tensor:
            self.count += 1
            if self.count == killed_at:
                raise SystemError("killed")
            return loss_of(self.net, batch)

        def configure_optimizers(self) -> Optimizer:
            return make(self.parameters())

    return Module()


def trainer_of(lightning: Any, callbacks: list[Any], **options: Any) -> Any:
    return lightning.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 2,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "callbacks": callbacks,
            **options,
        }
    )


def loader_of(batches: list[Tensor]) -> Any:
    return torch.utils.data.DataLoader(batches, batch_size=None)


def fit(
    lightning: Any, callback: Any, run: Run, folder: Path, *, killed_at: int | None, start: Any
) -> nn.Module:
    net = run.network(other=start is not None)
    saver = lightning.callbacks.ModelCheckpoint(folder, "{epoch}", save_top_k=-1)
    trainer = trainer_of(
        lightning,
        [callback, saver],
        enable_checkpointing=True,
        accumulate_grad_batches=run.accumulate,
        gradient_clip_val=run.max_norm,
    )
    module = module_of(lightning, net, run.make_optimizer, killed_at=killed_at)
    trainer.fit(module, loader_of(run.batches()), ckpt_path=start)
    assert trainer.gradient_clip_val == run.max_norm
    return net


@pytest.mark.parametrize("seed", range(6))
def test_it_equals_a_loop_by_hand_and_resumes_where_it_was_killed(
    lightning: Any, callback_of: Any, seed: int, tmp_path: Path
) -> None:
    run = draw_run(seed)
    expected = run.by_hand()
    callback = callback_of(**run.arguments("net."))
    killed_at = (run.steps + KILLED) * run.accumulate
    with pytest.raises(SystemError, match="killed"):
        fit(lightning, callback, run, tmp_path, killed_at=killed_at, start=None)
    assert callback.regularizer.bound.host is None
    start = str(tmp_path / "epoch=0.ckpt")
    net = fit(lightning, callback, run, tmp_path, killed_at=None, start=start)
    assert same_weights(net, expected)
    assert callback.regularizer.bound.steps == 2 * run.steps
