"""Relaxed copies against a plain training on the kept columns alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shrinkage.study.path.descent import Descent
from shrinkage.study.path.inputs import arrange_inputs
from shrinkage.study.path.networks import gather_rows, initialize
from shrinkage.study.path.relaxing import CHECKPOINTS, relax
from shrinkage.study.path.shrinking import Shrinker, parse_path_penalty
from shrinkage.study.path.walking import Walk, find_kept

ROWS, COLUMNS = 60, 7


def make_walk(rows: list[np.ndarray], columns: np.ndarray, model: str = "mlp:5") -> Walk:
    generator = np.random.default_rng(2)
    X = generator.normal(size=(ROWS, COLUMNS))
    y = X[:, 0] - np.abs(X[:, 2]) + generator.normal(size=ROWS) / 4
    inputs = arrange_inputs({f"x{place}": slice(place, place + 1) for place in range(len(columns))})
    return Walk(
        batch=gather_rows(X[:, columns], y, rows, "numbers", torch.float64),
        shrinker=Shrinker(parse_path_penalty("group_lasso:groups=in"), inputs),
        initial=initialize(model, inputs.order, 1, range(len(rows)), torch.float64),
        factors=torch.ones(len(rows), len(columns), dtype=torch.float64),
    )


@pytest.fixture
def rows() -> list[np.ndarray]:
    return [np.arange(ROWS), np.arange(0, ROWS, 2)]


def shrink(walk: Walk, lam: float) -> Descent:
    descent = Descent(walk.initial)
    walk.settle(descent, lam, 150)
    return descent


def test_a_copy_is_a_plain_training_on_the_kept_columns_alone(rows: list[np.ndarray]) -> None:
    walk = make_walk(rows, np.arange(COLUMNS))
    descent = shrink(walk, 0.05)
    before = [parameter.clone() for parameter in descent.x]
    kept, _ = find_kept(descent.x, walk)
    assert 0 < int(kept.sum()) < kept.numel()
    copies = list(relax(walk, descent.x, descent.step))
    assert [steps for steps, _ in copies] == list(CHECKPOINTS)
    for network in range(len(rows)):
        columns = kept[network].nonzero()[:, 0]
        inside = slice(network, network + 1)
        first, *others = (parameter[inside] for parameter in before)
        alone = Descent([first[:, columns], *others])
        alone.step = descent.step[inside]
        plain = make_walk([rows[network]], columns.numpy())
        done = 0
        for steps, copy in copies:
            plain.settle(alone, 0.0, steps - done)
            done = steps
            first, *others = (parameter[inside] for parameter in copy)
            assert torch.allclose(first[:, columns], alone.x[0], atol=1e-10)
            for mine, theirs in zip(others, alone.x[1:], strict=True):
                assert torch.allclose(mine, theirs, atol=1e-10)
    assert not torch.allclose(copies[0][1][0], before[0], atol=1e-2)  # it moved
    for mine, theirs in zip(descent.x, before, strict=True):
        assert torch.equal(mine, theirs)  # the walk goes on from its own weights


def test_dropped_inputs_stay_exactly_0(rows: list[np.ndarray]) -> None:
    walk = make_walk(rows, np.arange(COLUMNS))
    descent = shrink(walk, 0.05)
    kept, _ = find_kept(descent.x, walk)
    for _, copy in relax(walk, descent.x, descent.step):
        assert torch.equal(find_kept(copy, walk)[0], kept)


def test_a_relaxed_linear_model_is_least_squares_on_the_kept_columns() -> None:
    walk = make_walk([np.arange(ROWS)], np.arange(COLUMNS), "linear")
    descent = shrink(walk, 0.3)
    columns = find_kept(descent.x, walk)[0][0].numpy()
    assert 0 < columns.sum() < COLUMNS
    [(_, copy)] = relax(walk, descent.x, descent.step)
    X = np.column_stack([walk.batch.X[0].numpy()[:, columns], np.ones(ROWS)])
    solution = np.linalg.lstsq(X, walk.batch.y[0].numpy(), rcond=None)[0]
    assert np.allclose(copy[0][0, columns, 0], solution[:-1], atol=1e-5)  # it ends near there
