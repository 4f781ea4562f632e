"""Networks from scratch need NumPy, and nothing else that is heavy."""

from __future__ import annotations

import subprocess
import sys

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


def test_no_heavy_import(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "network.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
