"""The blocks of code in docs/compact.md run, and the model there becomes smaller."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # test_result.py has smaller models in the quick layer

PAGE = Path(__file__).parents[2] / "docs/compact.md"


def test_the_blocks_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    small = names["small"]
    assert small.report.parameters.ratio > 1.5  # type: ignore[attr-defined]
    assert small.report.difference <= 1e-10  # type: ignore[attr-defined]
    assert "stored sparsely" in capsys.readouterr().out
