"""Networks from scratch need NumPy alone; Numba serves long trainings where it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from shrinkage import L2
from shrinkage.scratch import (Adam, Dense, Network, ReLU, SoftmaxCategoricalCrossEntropy, spiral)
X, y = spiral(20)
network = Network([Dense(2, 4, weight_penalty=L2(1e-3)), ReLU(), Dense(4, 3)],
                  loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam())
network.fit(X, y, epochs=3)
network.save(sys.argv[1])
Network.load(sys.argv[1]).evaluate(X, y)
print(sorted({"torch", "pandas", "sklearn", "scipy", "numba", "plotly"} & set(sys.modules)))
"""


def run(code: str, path: Path) -> str:
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_no_heavy_import(tmp_path: Path) -> None:
    assert run(CODE, tmp_path / "network.npz") == "[]"


WITHOUT_NUMBA = """
import sys

class NoNumba:
    asked = False
    def find_spec(self, name, *_):
        if name == "numba":
            self.asked = True
            raise ImportError(name)

refused = NoNumba()
sys.meta_path.insert(0, refused)
"""


def test_without_numba_long_trainings_go_through_the_layers(tmp_path: Path) -> None:
    any_is_long = "from shrinkage.scratch import training\ntraining.LEAST_WORK = 0.0\n"
    code = f"{WITHOUT_NUMBA}{any_is_long}{CODE}print(refused.asked)"
    printed = run(code, tmp_path / "network.npz")
    assert printed.split() == ["[]", "True"]
