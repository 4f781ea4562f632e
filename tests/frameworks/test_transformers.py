"""transformers' Trainer steps regularized weights as a loop written by hand does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from frameworks.by_hand import MAX_NORM, WARMUP, penalties, same_weights, train_by_hand
from shrinkage import L1
from shrinkage.torch import Regularizer, schedules

pytestmark = pytest.mark.frameworks

STEPS, LR, LAM = 6, 0.02, 0.003
SPARSE, ANCHORED = "transformer.h.*", "transformer.wte.weight"


def language_model(transformers: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 11, "n_positions": 8}
    drops = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = transformers.GPT2Config(**shape, **drops, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config).double()


def texts() -> Tensor:
    return torch.randint(11, (STEPS * 4, 8), generator=torch.Generator().manual_seed(0))


def labels_of(text: Tensor) -> Tensor:
    """No token predicts the first: the Trainer divides by the number of labels other than −100."""
    return torch.cat([torch.tensor([-100]), text[1:]])


def next_token_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    scores = model(input_ids=tokens).logits[:, :-1].float()  # as transformers calculates a loss
    return cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten())


def adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)


def trainer_of(transformers: Any, model: Any, folder: Path, **options: Any) -> Any:
    """Two micro-batches of two texts a step, a checkpoint at half; `options` are the Trainer's."""
    arguments = {"max_grad_norm": 0.0, **options.pop("arguments", {})}
    return transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=STEPS,
            learning_rate=LR,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            train_sampling_strategy="sequential",
            save_steps=STEPS // 2,
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **arguments,
        ),
        train_dataset=[{"input_ids": text, "labels": labels_of(text)} for text in texts()],
        **options,
    )


def by_hand(transformers: Any, how: str) -> Any:
    model = language_model(transformers, seed=0)
    shares = train_by_hand(
        model,
        adamw(model),
        texts().split(2),
        next_token_loss,
        how=how,
        sparse=[p for name, p in model.named_parameters() if ".h." in name and p.ndim == 2],
        anchored=[model.transformer.wte.weight],
        lam=LAM,
        lr=lambda step: LR * (1 - step / STEPS),  # the Trainer's own schedule
    )
    assert min(shares) < 0.9  # clipping binds
    return model


@pytest.mark.parametrize("how", ["proximal", "coupled"])
def test_the_trainer_equals_a_loop_by_hand_and_resumes(
    transformers: Any, how: str, tmp_path: Path
) -> None:
    expected = by_hand(transformers, how)
    if how == "proximal":
        assert (expected.transformer.h[0].mlp.c_fc.weight == 0).any()
    for seed, start in ((0, None), (1, str(tmp_path / f"checkpoint-{STEPS // 2}"))):
        model = language_model(transformers, seed)
        optimizer = adamw(model)
        regularizer = Regularizer(
            model, penalties(SPARSE, ANCHORED, LAM), schedule=schedules.warmup(WARMUP)
        )
        regularizer.attach(optimizer, how=how, max_norm=MAX_NORM)
        trainer = trainer_of(transformers, model, tmp_path, optimizers=(optimizer, None))
        trainer.train(resume_from_checkpoint=start)
        assert same_weights(model, expected)


def test_an_optimizer_that_the_trainer_makes_is_attached_to_as_training_begins(
    transformers: Any, tmp_path: Path
) -> None:
    class Attach(transformers.TrainerCallback):
        def on_train_begin(
            self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **rest: Any
        ) -> None:
            regularizer = Regularizer(
                model, penalties(SPARSE, ANCHORED, LAM), schedule=schedules.warmup(WARMUP)
            )
            regularizer.attach(optimizer, how="proximal", max_norm=MAX_NORM)

    expected = by_hand(transformers, "proximal")
    for seed, start in ((0, None), (1, str(tmp_path / f"checkpoint-{STEPS // 2}"))):
        model = language_model(transformers, seed)
        trainer = trainer_of(transformers, model, tmp_path, callbacks=[Attach()])
        trainer.train(resume_from_checkpoint=start)
        assert same_weights(model, expected)


def test_a_clipping_by_the_trainer_itself_is_told(transformers: Any, tmp_path: Path) -> None:
    model = language_model(transformers, seed=0)
    optimizer = adamw(model)
    Regularizer(model, {SPARSE: L1(1e-3)}).attach(optimizer, how="proximal")
    trainer = trainer_of(
        transformers,
        model,
        tmp_path,
        optimizers=(optimizer, None),
        arguments={"max_grad_norm": 0.01, "save_strategy": "no"},
    )
    with pytest.warns(UserWarning, match=r"AdamW had the norm 0\.01 at 5 steps in a row"):
        trainer.train()
