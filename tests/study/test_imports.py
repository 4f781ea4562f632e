"""A study imports no library that it can do without: an import takes longer than many trials."""

from __future__ import annotations

import subprocess
import sys

# Stands for the engines that need no torch: weights from the seed, scores from the strength.
CODE = """
import sys
import numpy as np
from shrinkage.study.records import Record
from shrinkage.study.training import engines

def run_trial(study, trial, parts, stop=None):
    draw = np.random.default_rng(trial.seed).normal
    inputs = parts.train.X.shape[1]
    shapes = {"0.weight": (4, inputs), "0.bias": 4, "2.weight": (1, 4), "2.bias": 1}
    state = {name: draw(size=shape).astype(np.float32) for name, shape in shapes.items()}
    history = {"epoch": [1], "data_loss": [1.0], "penalty": [0.0], "validation_score": [0.5]}
    score = 0.9 - trial.strength
    return Record(trial, "ok", "", score, score, 0.0, 12, 0, 4, 0.001, history, state, "compiled")

engines.choose_engine = lambda *arguments: "compiled"
engines.run_trial = run_trial
from shrinkage.cli import app
for _ in range(2):  # anew, and when all trials are recorded
    app(
        ["compare", "--model", "mlp:4", "--strengths", "1e-3,1e-1", "--jobs", "1", "--out",
        sys.argv[1]], standalone_mode=False
    )
    print("imported", sorted({"torch", "sklearn"} & set(sys.modules)))
"""


def test_a_study_by_engines_without_torch_imports_neither_torch_nor_scikit_learn(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.count("imported []") == 2, result.stdout


REAL = """
import sys
from shrinkage.study import compare
compare(penalty=["l1", "group_lasso"], strengths=[1e-3], epochs=3, seeds=1, out=sys.argv[1])
print("imported", sorted({"torch", "sklearn"} & set(sys.modules)))
"""


def test_nor_do_the_engines_of_the_default_study(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "imported []\n"
