"""A schedule returns numbers; what makes schedules is not taken for one."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shrinkage import L1
from shrinkage.torch import Regularizer, schedules


@pytest.mark.parametrize(
    "number",
    [torch.tensor(0.5), np.float32(0.5), np.array(0.5), torch.tensor([0.5]), 0.5, np.int64(1)],
)
def test_any_number_is_a_factor(number: Any) -> None:
    regularizer = Regularizer(nn.Linear(2, 1), L1(1.0), schedule=lambda step: number)
    regularizer.step()
    assert type(regularizer.factor) is float
    assert regularizer.factor == float(number)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (
        schedules.warmup,
        TypeError,
        "warmup makes one: call it, as in schedule=schedules.warmup(1000)",
    ),
    (schedules.cosine, TypeError, "schedule=schedules.cosine(1.0, 0.1, 1000)"),
    (schedules.linear, TypeError, "schedule=schedules.linear(1.0, 0.1, 1000)"),
    (schedules.constant, TypeError, "schedule=schedules.constant(0.5)"),
    (lambda step: schedules.warmup(3), TypeError, "factor must be a number, got the function"),
    (lambda step: float("nan"), ValueError, "at step 0 the schedule's factor must be >= 0 and"),
    (lambda step: -1.0, ValueError, "at step 0 the schedule's factor must be >= 0"),
    (lambda step: "0.5", TypeError, "at step 0 the schedule's factor must be a"),
    (lambda step: None, TypeError, "at step 0 the schedule's factor must be a"),
    (lambda step: torch.ones(2), TypeError, "at step 0 the schedule's factor must be a"),
]


@pytest.mark.parametrize(("schedule", "kind", "said"), REFUSED)
def test_what_is_no_schedule_is_refused(schedule: Any, kind: Any, said: str) -> None:
    model = nn.Linear(2, 1)
    with pytest.raises(kind, match=re.escape(said)):
        Regularizer(model, L1(1.0), schedule=schedule)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(1.0))
    with pytest.raises(kind, match=re.escape(said)):
        regularizer.attach(optimizer, how="proximal", schedule=schedule)
    regularizer.attach(optimizer, how="proximal")  # nothing stayed attached


def test_the_step_of_a_bad_number_is_named() -> None:
    regularizer = Regularizer(nn.Linear(2, 1), L1(1.0), schedule=lambda step: 1.0 - step)
    regularizer.step()
    with pytest.raises(ValueError, match="at step 2 the schedule's factor must be >= 0"):
        regularizer.step()


def test_what_comes_after_a_warmup_is_a_schedule() -> None:
    with pytest.raises(TypeError, match=r"after=schedules.cosine\(1.0, 0.1, 1000\)"):
        schedules.warmup(4, after=schedules.cosine)
    assert schedules.warmup(np.int64(2))(1) == 0.5
