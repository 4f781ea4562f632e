"""One line in Lightning: `shrinkage.lightning.RegularizerCallback`."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frameworks.by_hand import loss_of, same_weights
from frameworks.random_runs import Run, draw_run
from shrinkage import L1, GroupL0
from shrinkage.torch import Regularizer, neurons

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


@pytest.mark.parametrize("seed", [0, 1, 5])
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


def simple(lightning: Any, *callbacks: Any, module: Any = None, **options: Any) -> tuple[Any, Any]:
    """A trainer and a module, fitted for two epochs of five steps."""
    run = draw_run(1, accumulate=1)
    module = module or module_of(lightning, run.network(), run.make_optimizer)
    trainer = trainer_of(lightning, list(callbacks), **options)
    trainer.fit(module, loader_of(run.batches()[:5]))
    return trainer, module


def test_the_numbers_are_logged(lightning: Any, callback_of: Any, tmp_path: Path) -> None:
    logger = lightning.loggers.CSVLogger(tmp_path)
    callback = callback_of("group_lasso:0.3")
    trainer, _ = simple(lightning, callback, logger=logger, log_every_n_steps=2)
    logger.save()
    path = Path(logger.log_dir) / "metrics.csv"
    with path.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    logged = [line for line in lines if line["regularizer/penalty"]]
    assert [line["step"] for line in logged] == ["1", "3", "4", "5", "7", "9", "9"]
    sparsity = callback.regularizer.sparsity()
    last = {key: float(x) for key, x in trainer.callback_metrics.items()}
    assert last["regularizer/zeros"] == pytest.approx(sparsity.share)
    assert last["regularizer/zeros"] > 0
    assert last["regularizer/dead_groups"] > 0
    assert last["regularizer/penalty"] == pytest.approx(callback.regularizer.value())
    assert last["regularizer/factor"] == 1.0


def test_a_second_fit_begins_anew_and_nothing_is_left(lightning: Any, callback_of: Any) -> None:
    callback, nets = callback_of("l0:1", target=0.5), []
    for _ in range(2):
        trainer, module = simple(lightning, callback, gradient_clip_val=1.0)
        regularizer = callback.regularizer
        assert regularizer.bound.host is None
        assert regularizer.bound.held is None
        assert trainer.gradient_clip_val == 1.0
        assert regularizer.sparsity().share == pytest.approx(0.5, abs=0.05)
        nets.append(module.net)
    assert same_weights(*nets)
    trainer.fit_loop.max_epochs = 3
    trainer.fit(module, loader_of(draw_run(1).batches()[:5]))  # the same trainer goes on
    assert callback.regularizer.bound.steps == 5
    assert callback.regularizer.sparsity().share == pytest.approx(0.5, abs=0.05)


def test_learning_rate_finders_leave_no_trace(
    lightning: Any, callback_of: Any, tmp_path: Path
) -> None:
    class InTheMiddle(lightning.callbacks.LearningRateFinder):
        def on_fit_start(self, *given: Any) -> None: ...

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                self.lr_find(trainer, pl_module)

    run = draw_run(1, accumulate=1)
    options = {"gradient_clip_val": run.max_norm, "default_root_dir": tmp_path}
    settings = {"num_training_steps": 4, "early_stop_threshold": None, "update_attr": False}
    for finder in (InTheMiddle(**settings), None):
        callback = callback_of(**run.arguments("net."))
        module = module_of(lightning, run.network(), run.make_optimizer)
        trainer = trainer_of(lightning, [callback, *([finder] if finder else [])], **options)
        if finder is None:
            tuner = lightning.tuner.Tuner(trainer)
            tuner.lr_find(module, loader_of(run.batches()), num_training=4, update_attr=False)
            assert callback.regularizer is None
        trainer.fit(module, loader_of(run.batches()))
        assert same_weights(module.net, run.by_hand())


def test_a_checkpoint_after_the_end_goes_on(
    lightning: Any, callback_of: Any, tmp_path: Path
) -> None:
    run, path = draw_run(2, accumulate=1), tmp_path / "end.ckpt"
    for start in (None, path):
        callback = callback_of(**run.arguments("net."))
        net = run.network(other=start is not None)
        module = module_of(lightning, net, run.make_optimizer)
        trainer = trainer_of(
            lightning,
            [callback],
            max_epochs=2 if start else 1,
            gradient_clip_val=run.max_norm,
        )
        trainer.fit(module, loader_of(run.batches()), ckpt_path=start)
        trainer.save_checkpoint(path)
    assert same_weights(net, run.by_hand())
    assert callback.regularizer.bound.steps == 2 * run.steps


def two_optimizers(lightning: Any) -> Any:
    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            torch.manual_seed(0)
            self.generator, self.critic = nn.Linear(3, 2).double(), nn.Linear(2, 1).double()

        def training_step(self, batch: Tensor, number: int) -> None:
            for optimizer, sign in zip(self.optimizers(), (1, -1), strict=True):
                loss = sign * self.critic(self.generator(batch[:, :3])).square().mean()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()

        def configure_optimizers(self) -> list[Optimizer]:
            generator = torch.optim.Adam(self.generator.parameters(), lr=0.1)
            return [generator, torch.optim.SGD(self.critic.parameters(), lr=0.001)]

    return Module()


def test_two_optimizers_take_one_callback_each(lightning: Any, callback_of: Any) -> None:
    class Look(lightning.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            hosts = [callback.regularizer.bound.host for callback in callbacks]
            assert [host.optimizer for host in hosts] == trainer.optimizers

    callbacks = [
        callback_of("l1:10", on="generator.*", optimizer=0),
        callback_of("l1:300", on="critic.*", optimizer="SGD", name="critic"),
    ]
    trainer = trainer_of(lightning, [*callbacks, Look()])
    module = two_optimizers(lightning)
    trainer.fit(module, loader_of(draw_run(0).batches()))
    for layer, name in ((module.generator, "regularizer"), (module.critic, "critic")):
        assert not layer.weight.any()
        assert layer.bias.all()
        assert trainer.callback_metrics[f"{name}/zeros"] == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"several optimizers \(0: Adam, 1: SGD\): say which by optimizer=0"),
        ({"optimizer": 2}, r"optimizer=2 is none of the module's optimizers \(0: Adam, 1: SGD\)"),
        ({"optimizer": "AdamW"}, r"optimizer='AdamW' is none of"),
        ({"optimizer": 0}, r"Adam does not hold critic.weight: .* leave them out with on="),
    ],
)
def test_the_optimizer_must_be_said(
    lightning: Any, callback_of: Any, given: Any, message: str
) -> None:
    trainer = trainer_of(lightning, [callback_of("l1:1", **given)])
    with pytest.raises(ValueError, match=message):
        trainer.fit(two_optimizers(lightning), loader_of(draw_run(0).batches()))


def test_what_cannot_be_is_refused_with_a_sentence(lightning: Any, callback_of: Any) -> None:
    for given, message in (
        ({"penalty": "l7:1"}, "unknown penalty 'l7'"),
        ({"penalty": "l1:1", "how": "loss"}, "a callback cannot"),
        ({"penalty": "l1:1", "hold_zeros_at": -1}, "hold_zeros_at must be a whole number"),
        ({"penalty": "l1:1", "hold_zeros_at": 1, "target": 0.5}, "leave out hold_zeros_at"),
        ({"penalty": "l0:1", "target": 90}, "target must be a share of zeros.*90 % is 0.9"),
        ({"penalty": "l0:1", "target_steps": 9}, "target_steps goes with target="),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            callback_of(**given)
    options = {"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}
    with pytest.raises(ValueError, match='"value" turns the gradient'):
        simple(lightning, callback_of("l1:1"), **options)
    simple(lightning, callback_of("l2:1", "decoupled"), **options)

    run = draw_run(1)
    module = module_of(lightning, net := run.network(), run.make_optimizer)

    def attached() -> Optimizer:
        optimizer = run.make_optimizer(net.parameters())
        Regularizer(net, L1(1.0)).attach(optimizer, how="proximal")
        return optimizer

    module.configure_optimizers = attached
    with pytest.raises(ValueError, match=r"already has .* attached to this optimizer"):
        simple(lightning, callback_of("l1:1"), module=module)


def test_a_checkpoint_of_another_penalty_is_told(
    lightning: Any, callback_of: Any, tmp_path: Path
) -> None:
    trainer, module = simple(lightning, callback_of("l1:1"))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    trainer = trainer_of(lightning, [callback_of("l1:2")])
    with pytest.warns(UserWarning, match=r"other penalties.*l1:1 then, l1:2 now"):
        trainer.fit(module, loader_of(draw_run(1).batches()), ckpt_path=tmp_path / "last.ckpt")


def test_units_come_from_a_function_of_the_module_and_zeros_are_held(
    lightning: Any, callback_of: Any
) -> None:
    def units(module: nn.Module) -> dict[Any, Any]:
        return {unit: GroupL0(1.0) for unit in neurons(module)}

    aimed = callback_of(units, target=0.4, target_steps=3)
    simple(lightning, aimed)
    assert [row.dead_groups for row in aimed.regularizer.sparsity().parameters.values()] == [2]

    class Count(lightning.Callback):
        def on_train_batch_end(self, *given: Any) -> None:
            counts.append(held.regularizer.sparsity().zeros)

    counts: list[int] = []
    held = callback_of("l1:0.3", on=["net.2.weight"], hold_zeros_at=3)
    simple(lightning, held, Count())
    assert counts[2] > 0
    assert len(set(counts[2:])) == 1


def test_a_fit_that_was_too_short_is_told_and_zeros_outlast_the_callback(
    lightning: Any, callback_of: Any
) -> None:
    with pytest.warns(UserWarning, match="after 10 steps .*hold_zeros_at=11 was never reached"):
        simple(lightning, callback_of("l1:0.3", hold_zeros_at=11))
    callback = callback_of("l0:1", target=0.5)
    _, module = simple(lightning, callback)
    callback.regularizer.hold_zeros()
    zeros = callback.regularizer.sparsity().zeros
    simple(lightning, module=module)  # without the callback
    optimizer = torch.optim.Adam(module.net.parameters())
    loss_of(module.net, draw_run(1).batches()[0]).backward()
    optimizer.step()
    assert callback.regularizer.sparsity().zeros == zeros > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jsonargparse, of Lightning
def test_a_command_line_takes_the_penalty_as_text(
    lightning: Any, callback_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonargparse", reason="jsonargparse is not installed")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    run = draw_run(1, accumulate=1)

    class Module(type(module_of(lightning, run.network(), run.make_optimizer))):  # type: ignore[misc]
        pass

    command_line = importlib.import_module("lightning.pytorch.cli").LightningCLI
    monkeypatch.setattr("sys.argv", ["train.py", "--config", str(config)])
    cli = command_line(Module, run=False, save_config_callback=None)
    (callback,) = (c for c in cli.trainer.callbacks if isinstance(c, callback_of))
    assert callback.penalty == {"net.0.weight": "l1:1e-3", "net.2.*": "group_lasso"}
    assert (callback.lam, callback.how, callback.target) == (1e-4, "coupled", None)
    cli.trainer.fit(cli.model, loader_of(run.batches()))
    assert len(callback.regularizer.named_parameters()) == 2


CONFIG = """
seed_everything: 0
trainer:
  accelerator: cpu
  max_epochs: 1
  logger: false
  enable_progress_bar: false
  enable_model_summary: false
  enable_checkpointing: false
  callbacks:
    - class_path: shrinkage.lightning.RegularizerCallback
      init_args:
        penalty:
          net.0.weight: l1:1e-3
          net.2.*: group_lasso
        lam: 1e-4
        how: coupled
"""


STRATEGIES = {"ddp": 8, "fsdp2": 2}  # and the seed of a run


@pytest.fixture(scope="module")
def two_processes(lightning: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have trained with each strategy."""
    script = str(Path(__file__).with_name("two_processes.py"))
    folder = tmp_path_factory.mktemp("two_processes")
    given = [f"{strategy}:{seed}" for strategy, seed in STRATEGIES.items()]
    subprocess.run([sys.executable, script, str(folder), *given], check=True, timeout=1200)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_equal_a_loop_by_hand_and_resume_where_they_were_killed(
    two_processes: Path, strategy: str
) -> None:
    end = torch.load(two_processes / strategy / "end.pt", weights_only=True)
    run = draw_run(STRATEGIES[strategy], accumulate=8)
    expected, net = run.by_hand(), run.network()
    net.load_state_dict(end["weights"])
    assert same_weights(net, expected)
    assert end["steps"] == 2 * run.steps
    assert end["zeros"] == int((expected[0].weight == 0).sum())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_trainer_may_be_that_of_the_older_package(callback_of: Any) -> None:
    older = pytest.importorskip("pytorch_lightning", reason="pytorch_lightning is not installed")
    callback = callback_of("l1:10")
    trainer, module = simple(older, callback, gradient_clip_val=1.0)
    assert not module.net[0].weight.any()
    assert callback.regularizer.bound.host is None
    assert trainer.callback_metrics["regularizer/zeros"] == 1.0
