"""Where trials run, by name; the clusters themselves are in test_clusters.py."""

import sys

import pytest

from shrinkage.study import UsageError, compare
from shrinkage.study.running.backends import open_backend


def test_local_is_the_default_and_runs_no_more_than_there_is():
    for name in (None, "local"):
        with open_backend(name, jobs=3) as backend:
            assert [backend.count(trials) for trials in (0, 2, 100)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"backend": "dusk"},
            "backend must be local, dask or ray, got 'dusk'; did you mean 'dask'",
        ),
        ({"scheduler": "tcp://here:1"}, "scheduler 'tcp://here:1' is for a cluster: name its back"),
        ({"backend": "local", "scheduler": "x"}, "scheduler 'x' is for a cluster"),
        ({"backend": "dask", "jobs": 0}, "jobs must be a whole number from 1 up, got 0"),
        (
            {"backend": "dask"},
            r"needs dask, which is not installed: pip install 'dask\[distributed",
        ),
        ({"backend": "ray"}, r"needs ray, which is not installed: pip install 'ray\[client\]'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tmp_path, monkeypatch, changes, said):
    for package in ("dask", "ray"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(sys.modules, f"shrinkage.study.running.{package}_pool", raising=False)
    with pytest.raises(UsageError, match=said):
        compare("iris", out=tmp_path / "out", quiet=True, **changes)
    assert not (tmp_path / "out").exists()
