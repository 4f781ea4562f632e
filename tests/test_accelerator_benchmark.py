"""The benchmark for accelerators runs where there is none."""

import runpy
from pathlib import Path

import pytest

from fused_twins import torch_operations

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_it_runs_on_the_cpu_at_a_small_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.md"
    script = str(ROOT / "benchmarks" / "accelerator.py")
    options = ["--device", "cpu", "--entries", "1e4", "--rounds", "2", "--no-compile"]
    monkeypatch.setattr("sys.argv", [script, *options, "--out", str(table)])
    # As on an accelerator, for which no loop is compiled.
    with torch_operations(), pytest.raises(SystemExit) as stop:
        runpy.run_path(script, run_name="__main__")
    assert not stop.value.code
    text = table.read_text(encoding="utf-8")
    assert text.startswith("# On ")
    parity = [
        line.split("|") for line in text.split("## Accuracy")[0].splitlines() if "loat" in line
    ]
    assert len(parity) == 24
    assert all(float(cells[4]) == 0.0 for cells in parity)  # the CPU is its own twin
    assert "4 of 4 infinite steps moved nothing, 16 of 16 moved" in text
    assert "Cost at 10,000 entries" in text
