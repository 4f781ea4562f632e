"""Trials on real clusters of Dask and Ray, which run on this machine for as long as a test."""

import dataclasses
import importlib
import os
import runpy
import sys

import pytest

from shrinkage.study import StoppedError, compare
from shrinkage.study.data.examples import Parts
from shrinkage.study.merging import is_same
from shrinkage.study.running.backends import open_backend

pytestmark = pytest.mark.frameworks

# A model that writes down which process builds it, and one that kills the first that does.
MODELS = f"""
import os, pathlib, signal
import torch
here = pathlib.Path(__file__).parent

def build(features, outputs):
    with open(here / "processes", "a") as file:
        file.write(f"{{os.getpid()}}\\n")
    return torch.nn.Linear(features, outputs)

def fragile(features, outputs):
    if os.getpid() != {os.getpid()}:
        try:
            os.close(os.open(here / "killed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.Linear(features, outputs)

def deadly(features, outputs):
    os.kill(os.getpid(), signal.SIGKILL)

class Heavy:
    # Data that kill the first worker they arrive at, as a lack of memory does.
    def __init__(self, parts):
        self.parts = parts

    def __reduce__(self):
        arrive = f"__import__('runpy').run_path({{__file__!r}})['arrive'](parts)"
        return eval, (arrive, {{"parts": self.parts}})

def arrive(parts):
    if os.getpid() == {os.getpid()}:  # the scheduler's process
        return Heavy(parts)
    with open(here / "arrivals", "a") as file:
        file.write(f"{{os.getpid()}}\\n")
    if len((here / "arrivals").read_text().split()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return parts
"""


def start_dask():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    # A trial is given up when it has lost two workers: as many as there are.
    with importlib.import_module("dask").config.set(distributed__scheduler__allowed_failures=1):
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, memory_limit="1GiB", dashboard_address=":0"
        )
    return cluster.scheduler_address, cluster.close


def start_ray(patch):
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_AUTH_MODE", "disabled")
    patch.setattr("builtins.print", print)  # Ray puts its own there
    ray = pytest.importorskip("ray", reason="ray is not installed")
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    return None, ray.shutdown


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request, tmp_path_factory):
    """The name of a backend, the address of its cluster with two workers, and their folder."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "cluster_models.py").write_text(MODELS)
    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the workers import the models from where the study is run
        address, stop = start_dask() if request.param == "dask" else start_ray(patch)
        yield request.param, address, folder
        stop()
    sys.modules.pop("cluster_models", None)


def count_sends(name, monkeypatch):
    """The data that are sent to the workers, in a list that grows."""
    module, sender = ("distributed", "submit") if name == "dask" else ("ray", "put")
    sends = []
    owner = importlib.import_module(module)
    owner = owner.Client if name == "dask" else owner
    send = getattr(owner, sender)

    def counted(*values, **options):
        bound = [inner for value in values for inner in getattr(value, "args", ())]
        sends.extend(value for value in [*values, *bound] if isinstance(value, Parts))
        return send(*values, **options)

    monkeypatch.setattr(owner, sender, counted)
    return sends


@pytest.mark.filterwarnings("ignore")
def test_the_workers_run_the_trials_and_get_the_data_once(cluster, monkeypatch):
    name, address, folder = cluster
    sends = count_sends(name, monkeypatch)
    settings = {
        "penalty": "l2@coupled",
        "strengths": [1e-3, 1e-2, 1e-1],
        "seeds": 2,
        "epochs": 2,
        "model": "cluster_models:build",
        "refit": None,
        "quiet": True,
    }
    there = compare("iris", backend=name, scheduler=address, out="there", **settings)
    processes = (folder / "processes").read_text().split()
    away = [process for process in processes if process != str(os.getpid())]
    assert len(away) == len(there.records) == 8  # each trial once, and none of them here
    assert len(sends) == 2  # one for each seed
    here = compare("iris", jobs=1, out="here", **settings)
    assert all(map(is_same, here.records, there.records))


@pytest.mark.filterwarnings("ignore")
def test_an_error_in_a_trial_is_a_sentence_with_the_machine(cluster, ready):
    name, address, _ = cluster
    study, parts = ready(epochs=2)
    study = dataclasses.replace(study, model="mlp:wide")
    with (
        open_backend(name, address) as backend,
        pytest.raises(StoppedError, match=r"on .*: model 'mlp:wide': after mlp: come"),
    ):
        list(backend.run(study, study.trials()[:1], [parts, parts]))


@pytest.mark.filterwarnings("ignore")
def test_a_lost_worker_costs_its_trial_and_not_the_study(cluster, ready):
    name, address, folder = cluster
    study, parts = ready(model="cluster_models:fragile", epochs=2)
    with open_backend(name, address) as backend:
        assert backend.count(100) == (4 if name == "dask" else 2)
        trials = [trial for trial in study.trials() if trial.seed == 0]  # whose data are there
        records = list(backend.run(study, trials, [parts]))
    assert (folder / "killed").exists()
    assert sorted(map(repr, trials)) == sorted(repr(record.trial) for record in records)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_a_worker_that_dies_while_the_data_are_sent_costs_no_trial(cluster, ready):
    name, address, folder = cluster
    study, parts = ready(epochs=2)
    wait_for_both_workers(address)
    heavy = runpy.run_path(str(folder / "cluster_models.py"))["Heavy"](parts)
    trials = [trial for trial in study.trials() if trial.seed == 0]
    with open_backend(name, address) as backend:
        records = list(backend.run(study, trials, [heavy]))
    arrivals = (folder / "arrivals").read_text().split()
    assert len(set(arrivals)) == len(arrivals) == 2  # the first has died of them
    assert sorted(map(repr, trials)) == sorted(repr(record.trial) for record in records)


def wait_for_both_workers(address):
    with importlib.import_module("distributed").Client(address, set_as_default=False) as client:
        client.wait_for_workers(2)  # one that was lost is back


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cluster", ["dask"], indirect=True)  # Ray starts workers for longer
def test_a_model_that_kills_every_worker_stops_the_study(cluster, ready):
    """Comes last: its workers do not all come back."""
    name, address, _ = cluster
    study, parts = ready(model="cluster_models:deadly", epochs=2)
    wait_for_both_workers(address)
    with (
        open_backend(name, address, 1) as backend,
        pytest.raises(StoppedError, match="a trial lost its worker more than 3 times"),
    ):
        list(backend.run(study, study.trials(), [parts, parts]))
