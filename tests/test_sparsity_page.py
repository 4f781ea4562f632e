"""The page on wanted zeros does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "sparsity.md"


def test_its_recipes_make_the_zeros_and_hold_them() -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(first, names)
    regularizer, model = names["regularizer"], names["model"]
    assert regularizer.sparsity().zeros == round(0.9 * regularizer.sparsity().entries)
    regularizer.detach()
    model(names["x"]).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert abs(regularizer.sparsity().share - 0.9) < 1e-3
    regularizer.release()
    exec(second, names)
    dead = (names["model"][0].weight == 0).all(1)
    assert int(dead.sum()) == 48
    assert not names["model"][0].bias[dead].any()
    names["regularizer"].release()
