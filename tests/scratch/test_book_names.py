"""The page's table of the book's names: what it names here exists and works."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import shrinkage
import shrinkage.scratch
from shrinkage import L2
from shrinkage.scratch import Adam, Dense, Network, ReLU, SoftmaxCategoricalCrossEntropy, spiral

PAGE = Path(__file__).parents[2] / "docs" / "scratch.md"


def expressions() -> list[str]:
    table = PAGE.read_text("utf-8").partition("| in the book |")[2].partition("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return [code for row in cells for code in re.findall(r"`([^`]+)`", row[1])]


def test_the_table_was_found() -> None:
    assert len(expressions()) > 30


@pytest.mark.parametrize("expression", expressions())
def test_each_name_works(expression: str, tmp_path: Path) -> None:
    X, y = spiral(10)
    dense1, dense2 = Dense(2, 4, weight_penalty=L2(5e-4), rng=0), Dense(4, 3, rng=1)
    loss, optimizer = SoftmaxCategoricalCrossEntropy(), Adam()
    network = Network([dense1, ReLU(), dense2], loss=loss, optimizer=optimizer)
    network.fit(X, y, epochs=1)
    network.save(tmp_path / "network.npz")
    if "update(" in expression and "pre_" not in expression:
        optimizer.pre_update()
    names = {**vars(shrinkage), **vars(shrinkage.scratch), "path": tmp_path / "network.npz"}
    names |= {"X": X, "y": y, "output": np.zeros((30, 3)), "loss": loss, "network": network}
    names |= {"dense1": dense1, "dense2": dense2, "optimizer": optimizer}
    eval(expression, names)
