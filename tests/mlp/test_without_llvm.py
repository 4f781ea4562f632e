"""Where LLVM's types are not those that were tried, networks are trained by other engines."""

import json
import os
import subprocess
import sys

import pytest

from shrinkage.kernels import private

ENGINES = """
import json
import numpy as np
from shrinkage.scratch import SGD, Dense, MeanSquaredError
from shrinkage.scratch import training
from shrinkage.study.spec import Study
from shrinkage.study.training.engines import choose_engine

data = np.ones((4, 2)), np.ones((4, 1))
layers, loss = [Dense(2, 1)], MeanSquaredError()
engine = training.choose_engine(layers, loss, SGD(), *data, training.LEAST_WORK)
names = type(engine).__name__, choose_engine(Study(model="mlp:8"), "l1@proximal", 1)
"""


@pytest.mark.slow
def test_networks_are_trained_by_numpy_and_torch() -> None:
    assert private.llvm is not None
    usual: dict[str, tuple[str, str]] = {}
    exec(ENGINES, usual)
    assert usual["names"] == ("CompiledEngine", "compiled")
    done = subprocess.run(
        [sys.executable, "-c", f"{ENGINES}\nprint(json.dumps(names))"],
        env={**os.environ, "SHRINKAGE_PUBLIC_ONLY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["LayerEngine", "torch"]
