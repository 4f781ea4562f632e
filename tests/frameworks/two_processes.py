"""Train with Lightning in two processes: ``python two_processes.py FOLDER STRATEGY:SEED ...``.

Trains with each strategy twice, in FOLDER/STRATEGY: until it is killed in the second epoch, and on
from the checkpoint of the first, at whose end it saves the whole weights. The processes are forks
of this one, which has imported what they need.
"""

from __future__ import annotations

import importlib
import os
import socket
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
KILLED = 9  # the code of a process that is killed


def prepare() -> None:
    """Import what the processes need."""
    register_operators()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in ("shrinkage.lightning", "shrinkage.kernels.launch", "torch._dynamo"):
        importlib.import_module(name)


def train(strategy: str, folder: Path, seed: int) -> None:
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
                os._exit(KILLED)
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


def train_in_forks(strategy: str, folder: Path, seed: int) -> list[int]:
    """Train as where a launcher has started the processes; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forks = []
    for rank in range(PROCESSES):
        forks.append(os.fork())
        if not forks[-1]:
            os.environ.update(
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port),
                NODE_RANK="0",
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(PROCESSES),
            )
            train(strategy, folder, seed)
            os._exit(0)  # what both have imported is cleared away once, by the process they share
    return [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]


if __name__ == "__main__":
    prepare()
    for given in sys.argv[2:]:
        name, _, number = given.partition(":")
        for code in (KILLED, 0):
            codes = train_in_forks(name, Path(sys.argv[1]) / name, int(number))
            assert codes == [code] * PROCESSES, f"{name}: {codes}"
