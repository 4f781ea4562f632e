"""Clusters of Dask and Ray that are not there.

In a file of its own: where none is named, one that this process has would be taken.
"""

import importlib

import pytest

from shrinkage.study import UsageError, compare

pytestmark = pytest.mark.frameworks


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("dask", "tcp://127.0.0.1:9", "Timed out"),
        ("dask", "tpc://127.0.0.1:9", "unknown address scheme"),
        ("dask", None, "no scheduler of Dask is known: name it as --scheduler tcp://HOST:8786"),
        ("ray", "127.0.0.1:9", "refused"),
        ("ray", "ray://127.0.0.1:9", "refused"),
        ("ray", None, "refused"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_cannot_be_reached_is_said_before_anything_is_done(
    name, address, said, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    pytest.importorskip({"dask": "distributed"}.get(name, name), reason=f"{name} is not installed")
    pool = importlib.import_module(f"shrinkage.study.running.{name}_pool")
    monkeypatch.setattr(pool, "PATIENCE", 0.5)  # Dask asks again and again for as long
    with pytest.raises(UsageError, match=said):
        compare("iris", backend=name, scheduler=address, out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
