"""Compiled loops are kept on disk: a second process compiles none of them again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STEPS = """
import torch
from numba.core.caching import IndexDataCacheFile
from shrinkage import L1, GroupLasso, LogSum
from shrinkage.torch import SGD, Adam

saved, save = [], IndexDataCacheFile.save
IndexDataCacheFile.save = lambda self, key, data: (saved.append(key), save(self, key, data))
for kind, penalty in ((SGD, L1(0.1)), (Adam, LogSum(0.1)), (Adam, GroupLasso(0.1))):
    w = torch.nn.Parameter(torch.ones(4, 4))
    w.grad = torch.ones(4, 4)
    kind([w], lr=0.1, penalty=penalty).step()
print(len(saved))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    compiled = [
        subprocess.run(
            [sys.executable, "-c", STEPS],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        for _ in range(2)
    ]
    assert [int(count) for count in compiled] == [4, 0]  # three loops, and Adam's counts of steps
