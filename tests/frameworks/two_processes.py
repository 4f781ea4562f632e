"""Train with Lightning in two processes: ``python two_processes.py STRATEGY FOLDER SEED``.

Trains until it is killed in the second epoch, or on from FOLDER's checkpoint of the first, and
then saves the whole weights there.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

sys.path.insert(0, str(Path(__file__).parents[1]))

from frameworks.by_hand import loss_of
from frameworks.conftest import register_operators
from frameworks.random_runs import draw_run

PROCESSES, ACCUMULATE = 2, 4


def main(strategy: str, folder: Path, seed: int) -> None:
    register_operators()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    import lightning.pytorch as lightning
    from lightning.pytorch.strategies import ModelParallelStrategy

    from shrinkage.lightning import RegularizerCallback

    run = draw_run(seed, accumulate=PROCESSES * ACCUMULATE)
    start = folder / "epoch=0.ckpt"
    is_resumed = start.exists()

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = run.network(other=is_resumed)
            self.count = 0

        def configure_model(self) -> None:
            if strategy == "fsdp2":
                fully_shard(self.net, mesh=self.device_mesh["data_parallel"])

        def training_step(self, batch: Tensor, number: int) -> Tensor:
            self.count += 1
            if not is_resumed and self.count == (run.steps + 2) * ACCUMULATE:
                os._exit(9)
            return loss_of(self.net, batch)

        def train_dataloader(self) -> Any:
            own = run.batches()[self.trainer.global_rank :: PROCESSES]
            return torch.utils.data.DataLoader(own, batch_size=None)

        def configure_optimizers(self) -> Optimizer:
            return run.make_optimizer(self.parameters())

    callback = RegularizerCallback(**run.arguments("net."))
    saver = lightning.callbacks.ModelCheckpoint(folder, "{epoch}", save_top_k=-1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=PROCESSES,
        strategy=ModelParallelStrategy(PROCESSES, 1) if strategy == "fsdp2" else strategy,
        use_distributed_sampler=False,
        max_epochs=2,
        accumulate_grad_batches=ACCUMULATE,
        gradient_clip_val=run.max_norm,
        callbacks=[callback, saver],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, ckpt_path=start if is_resumed else None)
    weights = {
        name: p.full_tensor() if hasattr(p, "full_tensor") else p
        for name, p in module.net.named_parameters()
    }
    zeros, steps = callback.regularizer.sparsity().zeros, callback.regularizer.bound.steps
    if trainer.global_rank == 0:
        torch.save({"weights": weights, "zeros": zeros, "steps": steps}, folder / "end.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
