"""A study of a million rows: the seconds and the memory of every process that it starts.

    python benchmarks/million.py                  # 1,000,000 rows × 50 inputs, two seeds
    python benchmarks/million.py --rows 100000    # a shorter run
    python benchmarks/million.py -- --model linear --jobs 1    # options of shrinkage compare

The file has 50 standard normal inputs in float64, of which three matter. What is resident is added
up over the processes every 50 ms; memory that they share, such as a mapped file, counts in each, so
that the sum is an upper bound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from pyarrow import parquet

COMMAND = "from shrinkage.cli import main; main()"
INPUTS = 50
METHODS = ("--penalty", "l1@proximal", "--penalty", "l2@coupled", "--strengths", "1e-4,1e-3")


def write_table(path: Path, rows: int) -> None:
    generator = np.random.default_rng(0)
    X = generator.standard_normal((INPUTS, rows))
    y = X[0] + 0.5 * X[1] ** 2 + X[2] + 0.5 * generator.standard_normal(rows)
    columns = {f"x{index}": values for index, values in enumerate(X)}
    parquet.write_table(pa.table({**columns, "y": y}), path)


def watch(command: list[str]) -> tuple[float, float]:
    """Run a command to its end: its seconds, and the most bytes resident in all its processes."""
    started, most = time.perf_counter(), 0.0
    process = psutil.Popen(command)
    while process.poll() is None:
        resident = 0
        try:
            for each in [process, *process.children(recursive=True)]:
                resident += each.memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended
            continue
        most = max(most, resident)
        time.sleep(0.05)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - started, most


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("options", nargs="*", help="options of shrinkage compare, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "million.parquet")
        write_table(data, given.rows)
        size = data.stat().st_size
        question = [str(data), "--target", "y", "--seeds", str(given.seeds), *METHODS]
        command = [sys.executable, "-c", COMMAND, "compare", *question]
        seconds, most = watch([*command, "--out", str(Path(folder, "study")), *given.options])
    print(
        f"\n{given.rows:,} rows × {INPUTS} inputs, {size / 1e9:.2f} GB of parquet: "
        f"{seconds:.0f} s, at most {most / 1e9:.2f} GB resident"
    )


if __name__ == "__main__":
    main()
