"""The page on computed weights does what it says."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "effective.md"


def test_its_code_acts_on_the_computed_weight() -> None:
    names: dict[str, Any] = {}
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(first, names)
    table = repr(names["regularizer"])
    assert "on effective 0.weight" in table
    assert "0.parametrizations.weight.original1" in table
    names["regularizer"].detach()
    exec(second, names)
    assert all(w.grad is not None for w in names["pair"].parameters())
