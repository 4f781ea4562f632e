"""One line in transformers: `shrinkage.transformers.RegularizerCallback`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frameworks.by_hand import PULL, WARMUP, same_weights, train_by_hand
from frameworks.test_transformers import labels_of, language_model, next_token_loss
from shrinkage import L1, L2, GroupLasso, Toward
from shrinkage.torch import Regularizer, schedules

pytestmark = pytest.mark.frameworks

ACCUMULATE, STEPS, LR = 4, 6, 0.05
SPARSE, ANCHORED = "transformer.h.*", "transformer.wte.weight"


@pytest.fixture(scope="module")
def callback_of(transformers: Any) -> Any:
    from shrinkage.transformers import RegularizerCallback

    return RegularizerCallback


def texts(seed: int) -> Tensor:
    return torch.randint(11, (STEPS * ACCUMULATE, 8), generator=torch.Generator().manual_seed(seed))


def trainer_of(
    transformers: Any, model: Any, folder: Path, callbacks: list[Any], seed: int = 0, **given: Any
) -> Any:
    """One text in each of four micro-batches a step."""
    arguments: dict[str, Any] = {
        "max_steps": STEPS,
        "max_grad_norm": 1.0,
        "gradient_accumulation_steps": ACCUMULATE,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        **given,
    }
    return transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            learning_rate=LR,
            per_device_train_batch_size=1,
            train_sampling_strategy="sequential",
            disable_tqdm=True,
            use_cpu=True,
            **arguments,
        ),
        train_dataset=[{"input_ids": text, "labels": labels_of(text)} for text in texts(seed)],
        callbacks=callbacks,
    )


def kill_at(transformers: Any, step: int | None) -> Any:
    class Kill(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == step:
                raise SystemError("killed")

    return Kill()


@pytest.mark.parametrize("seed", [0, 1])
def test_it_equals_a_loop_by_hand_and_resumes_where_it_was_killed(
    transformers: Any, callback_of: Any, seed: int, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    how = "coupled" if seed == 0 else "proximal"
    lam, max_norm = draw.uniform(0.001, 0.01), draw.choice([0.2, 0.5])
    expected = language_model(transformers, seed)
    shares = train_by_hand(
        expected,
        torch.optim.AdamW(expected.parameters(), lr=LR, weight_decay=0.0),
        texts(seed).split(1),
        next_token_loss,
        how=how,
        sparse=[p for name, p in expected.named_parameters() if ".h." in name and p.ndim == 2],
        anchored=[expected.transformer.wte.weight],
        lam=lam,
        lr=lambda step: LR * (1 - step / STEPS),
        accumulate=ACCUMULATE,
        max_norm=max_norm,
    )
    assert min(shares) < 0.9
    callback = callback_of(
        {SPARSE: f"l1:{lam!r}", ANCHORED: Toward("start", L2(PULL))},
        how=how,
        schedule=schedules.warmup(WARMUP),
    )
    options = {"max_grad_norm": max_norm, "save_strategy": "steps", "save_steps": STEPS // 2}
    killed = trainer_of(
        transformers,
        language_model(transformers, seed),
        tmp_path,
        [callback, kill_at(transformers, STEPS - 1)],
        seed,
        **options,
    )
    with pytest.raises(SystemError, match="killed"):
        killed.train()
    model = language_model(transformers, seed + 100)
    trainer = trainer_of(transformers, model, tmp_path, [callback], seed, **options)
    trainer.train(resume_from_checkpoint=True)
    assert same_weights(model, expected)
    assert callback.regularizer.bound.steps == STEPS
    assert trainer.args.max_grad_norm == killed.args.max_grad_norm == max_norm


def test_the_logs_reach_the_history_and_the_reporters(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    seen = []

    class Reporter(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **others: Any) -> None:
            seen.append(dict(logs))

    model = language_model(transformers, 0)
    callback = callback_of({"neurons": "group_lasso:0.003", "transformer.h.*": "l1:0.001"})
    trainer = trainer_of(
        transformers,
        model,
        tmp_path,
        [Reporter(), callback],
        logging_strategy="steps",
        logging_steps=STEPS // 2,
    )
    trainer.train()
    for logs in (seen[1], trainer.state.log_history[1]):
        assert {"loss", "grad_norm"} < logs.keys()
        assert logs["regularizer_penalty"] == callback.regularizer.value()
        assert logs["regularizer_zeros"] == callback.regularizer.sparsity().share > 0
        assert logs["regularizer_factor"] == 1.0
        dead = [row.dead_groups for row in callback.regularizer.sparsity().parameters.values()]
        assert 0 < logs["regularizer_dead_groups"] == sum(dead) <= 32
    assert "regularizer_zeros" not in seen[-1]  # the summary of the training


def test_a_bare_penalty_reaches_no_biases_and_no_norms_and_units_come_by_their_names(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    model = language_model(transformers, 0)
    plain, units = callback_of(L1(1e-3)), callback_of(GroupLasso(1e-3), on=["heads", "neurons"])
    for callback in (plain, units):
        trainer_of(transformers, model, tmp_path, [callback], max_steps=1).train()
    names = {name for name, _ in plain.regularizer.named_parameters()}
    weights = {name for name, p in model.named_parameters() if p.ndim == 2}
    assert names == weights
    groups = [row.groups for row in units.regularizer.sparsity().parameters.values()]
    assert groups == [2, 32]  # n_head, and n_inner = 4·n_embd


def test_a_second_training_is_as_the_first(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    callback = callback_of("l0:1", target=0.5)
    shares = []
    for _ in range(2):
        model = language_model(transformers, 0)
        trainer = trainer_of(transformers, model, tmp_path, [callback])
        trainer.train()
        assert callback.regularizer.bound.host is None
        assert callback.regularizer.bound.held is None
        assert "shrinkage" not in trainer.optimizer.param_groups[0]
        shares.append(callback.regularizer.sparsity().share)
    assert shares[0] == shares[1] == pytest.approx(0.5, abs=1e-3)
    trainer.train()  # the same Trainer goes on with its optimizer
    assert callback.regularizer.sparsity().share == shares[0]


def test_zeros_are_held_from_a_step_on(transformers: Any, callback_of: Any, tmp_path: Path) -> None:
    counts = []

    class Count(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            counts.append(callback.regularizer.sparsity().zeros)

    callback = callback_of("l1:0.1", hold_zeros_at=2)
    trainer_of(transformers, language_model(transformers, 0), tmp_path, [callback, Count()]).train()
    assert 0 < counts[0] != counts[1]
    assert len(set(counts[1:])) == 1


def test_a_training_that_was_too_short_is_told_and_zeros_outlast_the_callback(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    model = language_model(transformers, 0)
    callback = callback_of("l0:1", target=0.5, target_steps=2)
    with pytest.warns(UserWarning, match="after 1 steps .*ends at step 2"):
        trainer_of(transformers, model, tmp_path, [callback], max_steps=1).train()
    trainer_of(transformers, model, tmp_path, [callback], max_steps=2).train()
    callback.regularizer.hold_zeros()
    zeros = callback.regularizer.sparsity().zeros
    trainer_of(transformers, model, tmp_path, [], max_steps=1).train()
    assert callback.regularizer.sparsity().zeros == zeros > 0


def test_another_penalty_on_the_same_optimizer_is_refused(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    model: nn.Module = language_model(transformers, 0)
    trainer = trainer_of(transformers, model, tmp_path, [callback_of("l1:1e-3")])
    trainer.create_optimizer()
    Regularizer(model, L1(1e-3)).attach(trainer.optimizer, how="proximal")
    with pytest.raises(ValueError, match=r"already has .* attached to this optimizer"):
        trainer.train()
    assert trainer.args.max_grad_norm == 1.0


def test_a_checkpoint_of_another_penalty_is_told(
    transformers: Any, callback_of: Any, tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": STEPS // 2}
    model = language_model(transformers, 0)
    trainer_of(transformers, model, tmp_path, [callback_of("l1:1e-3")], **saving).train()
    trainer = trainer_of(transformers, model, tmp_path, [callback_of("l1:1e-4")], **saving)
    start = str(tmp_path / f"checkpoint-{STEPS // 2}")
    with pytest.warns(UserWarning, match=r"other penalties.*l1:0\.001 then, l1:0\.0001 now"):
        trainer.train(resume_from_checkpoint=start)
