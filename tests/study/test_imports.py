"""A study imports no library that it can do without: an import takes longer than many trials."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from shrinkage.cli import app
question = "--penalty l1 --penalty group_lasso --strengths 1e-3 --epochs 3 --seeds 1 --jobs 1"
for _ in range(2):  # anew, and when all trials are recorded
    app(["compare", *question.split(), "--out", sys.argv[1]], standalone_mode=False)
    print("imported", sorted({"torch", "sklearn"} & set(sys.modules)))
"""


@pytest.mark.slow  # groups inside Adam compile
def test_the_default_study_imports_neither_torch_nor_scikit_learn(tmp_path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "study")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.count("imported []") == 2, result.stdout
