"""A loop of accelerate steps regularized weights as a loop written by hand does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

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
)
from shrinkage.torch import Regularizer, schedules

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def accelerate() -> Any:
    return pytest.importorskip("accelerate", reason="accelerate is not installed")


def train(
    accelerator: Any, model: nn.Module, optimizer: Any, batches: Sequence[Tensor], clip: Any
) -> None:
    for batch in batches:
        with accelerator.accumulate(model):
            accelerator.backward(loss_of(model, batch))
            if accelerator.sync_gradients and clip is not None:
                clip(model.parameters(), MAX_NORM)
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize(
    ("how", "clips"), [("proximal", "by max_norm"), ("coupled", "by the method")]
)
def test_a_loop_of_accelerate_equals_one_by_hand_and_resumes(
    accelerate: Any, how: str, clips: str, tmp_path: Path
) -> None:
    expected = network_by_hand(adamw, how)
    batches = micro_batches()
    half = len(batches) // 2
    for seed, first in ((0, 0), (1, half)):
        accelerator = accelerate.Accelerator(gradient_accumulation_steps=2, cpu=True)
        model = network(seed)
        model, optimizer = accelerator.prepare(model, adamw(model.parameters()))
        regularizer = Regularizer(
            model, penalties(SPARSE, ANCHORED), schedule=schedules.warmup(WARMUP)
        )
        by_option = clips == "by max_norm"
        regularizer.attach(optimizer, how=how, max_norm=MAX_NORM if by_option else None)
        clip = None if by_option else regularizer.clip_grad_norm_
        if first:
            accelerator.load_state(str(tmp_path))
        else:
            train(accelerator, model, optimizer, batches[:half], clip)
            accelerator.save_state(str(tmp_path))
        train(accelerator, model, optimizer, batches[half:], clip)
        assert same_weights(model, expected)
        accelerator.free_memory()
