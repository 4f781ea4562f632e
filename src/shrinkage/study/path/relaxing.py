"""Train copies of the networks on without a penalty, on the inputs that each of them keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from shrinkage.study.path.descent import Descent
from shrinkage.study.path.networks import Parameters
from shrinkage.study.path.walking import LINEAR_STEPS, Walk

CHECKPOINTS = (15, 30, 60)  # steps after which a copy is scored


def relax(walk: Walk, parameters: Parameters, step: Tensor) -> Iterator[tuple[int, Parameters]]:
    """Copies after 15, 30 and 60 steps without a penalty, each with that number.

    What the penalty dropped stays exactly 0; the weights on what is kept grow to what the data
    alone ask for (Meinshausen 2007, *Relaxed lasso*). Networks overfit without a penalty, so the
    caller chooses among the checkpoints. A linear model has one: where it converges.

    Parameters
    ----------
    parameters : Parameters
        Where the copies begin; they stay as they are.
    step : Tensor
        (S, 1): the first step of each network.
    """
    first = parameters[0]
    mask = (first != 0).any(dim=2, keepdim=True)
    columns = mask.any(dim=0)[:, 0]  # that some network keeps: a few are faster than all
    batch = walk.batch.drop_inputs(mask)
    plain = replace(walk, batch=replace(batch, X=batch.X[:, :, columns]))
    copy = Descent([first[:, columns], *parameters[1:]])
    copy.step = step
    for done, steps in pairwise((0, *((LINEAR_STEPS,) if walk.is_linear else CHECKPOINTS))):
        plain.settle(copy, 0.0, steps - done)
        whole = torch.zeros_like(first)
        whole[:, columns] = copy.x[0]
        yield steps, [whole, *copy.x[1:]]
