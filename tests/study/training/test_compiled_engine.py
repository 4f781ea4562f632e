"""The compiled engine of a study against torch's, its slow twin."""

from dataclasses import replace

import numpy as np
import pytest

from fused_twins import torch_operations
from grid import covering
from shrinkage.study.records import Trial
from shrinkage.study.training import compiled_engine, engines, fit_trial

STEPS = 50
EVERY = ["none", "l2@coupled", "l2@decoupled", "l1@proximal", "l1@loss", "elastic_net@proximal"]
GROUPS = ["group_lasso@proximal", "group_lasso:groups=in@proximal"]
SGD = "sgd,momentum=0.9,nesterov=true"


def compare(study, parts, method, tolerance=2e-5):
    """Both engines after the same steps: weights to rounding, zeros and curves alike."""
    trial = Trial(method, 0.0 if method == "none" else 1e-2, 3)
    assert compiled_engine.serves(study, method, parts.outputs)
    with torch_operations():
        slow = fit_trial.run_trial(study, trial, parts)
    fast = engines.run_trial(study, trial, parts)
    assert (slow.engine, fast.engine) == ("torch", "compiled")
    assert slow.status == fast.status == "ok"
    assert list(slow.state) == list(fast.state)
    for name, expected in slow.state.items():
        assert fast.state[name].dtype == np.float32
        np.testing.assert_allclose(fast.state[name], expected, atol=tolerance)
        if method.endswith("@proximal"):
            np.testing.assert_array_equal(fast.state[name] == 0, expected == 0)
    for key, curve in slow.history.items():
        np.testing.assert_allclose(fast.history[key], curve, atol=1e-3, rtol=1e-4)
    assert (fast.dead_neurons, fast.neurons) == (slow.dead_neurons, slow.neurons)


@pytest.mark.quick_where(method=["none", "l1@proximal", "l2@decoupled"])
@pytest.mark.parametrize("method", EVERY)
def test_weights_are_those_of_torch_to_rounding(ready, method):
    study, parts = ready(data="friedman", model="mlp:24", epochs=STEPS, methods=(method,))
    compare(study, parts, method)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "method"), [*covering(["adam", SGD], GROUPS), (SGD, "group_lasso@coupled")]
)
def test_so_they_are_with_groups(ready, method, optimizer):
    study, parts = ready(
        data="friedman", model="mlp:16,12", epochs=STEPS, methods=(method,), optimizer=optimizer
    )
    compare(replace(study, lr=0.02), parts, method)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "method"),
    [
        *covering(["sgd", SGD], ["l1@proximal", "none"]),
        ("sgd", "mcp@proximal"),
        (SGD, "l2@decoupled"),
    ],
)
def test_so_they_are_under_sgd(ready, method, optimizer):
    study, parts = ready(
        data="friedman", model="mlp:9", epochs=STEPS, methods=(method,), optimizer=optimizer
    )
    compare(replace(study, lr=0.02), parts, method)


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        ("digits", {"batch": 200, "epochs": 8}),
        ("breast_cancer", {"balanced": True, "epochs": STEPS}),
        ("iris", {"balanced": True, "model": "mlp:13,8", "epochs": STEPS}),
        ("friedman", {"model": "mlp:8,8,8,4,8,4", "batch": 64, "epochs": 12}),
    ],
)
def test_so_they_are_on_classes_in_batches_and_in_depth(ready, data, changes):
    study, parts = ready(data=data, methods=("l1@proximal",), **changes)
    compare(study, parts, "l1@proximal")


@pytest.mark.slow
def test_scores_after_a_whole_training_are_as_good(ready):
    study, parts = ready(data="friedman", model="mlp:64", methods=("l1@proximal",), epochs=400)
    trials = [Trial("l1@proximal", 3e-3, seed) for seed in range(2)]
    scores = [
        np.mean([engine.run_trial(study, trial, parts).validation_score for trial in trials])
        for engine in (fit_trial, compiled_engine)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.03)


def test_the_order_of_many_epochs_is_drawn_in_parts(ready, monkeypatch):
    """Of 4 epochs from point to point of the curve, of which 3 are drawn at once."""
    study, parts = ready(data="friedman", model="mlp:8", epochs=170, batch=100)
    trial, rows, drawn = Trial("none", 0.0, 0), len(parts.train.X), []
    whole = engines.run_trial(study, trial, parts)
    permute = compiled_engine.TorchGenerator.permutations

    def note_and_permute(self, times, count):
        drawn.append(times)
        return permute(self, times, count)

    monkeypatch.setattr(compiled_engine.TorchGenerator, "permutations", note_and_permute)
    monkeypatch.setattr(compiled_engine, "MOST_ORDER", 3 * rows)
    parted = engines.run_trial(study, trial, parts)
    assert (max(drawn), sum(drawn)) == (3, 170)
    assert parted.history == whole.history
    for name, values in whole.state.items():
        np.testing.assert_array_equal(parted.state[name], values)


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"model": "tests.study.conftest:make"}, "none"),
        ({"optimizer": "rmsprop"}, "l1@proximal"),
        ({"optimizer": "adam,amsgrad=true"}, "l1@proximal"),
        ({"optimizer": "adam,eps=-1"}, "l1@proximal"),  # which it refuses
        ({"model": "mlp:8,8,8,8,8,8"}, "nuclear_norm@proximal"),
        ({"model": "mlp:8"}, "non_negative@coupled"),
    ],
)
def test_what_has_no_loop_is_left_to_torch(changes, method):
    from shrinkage.study.spec import Study

    assert engines.choose_engine(Study(**changes), method, 1) == "torch"


def test_a_strength_whose_derivative_overflows_diverges(ready):
    study, parts = ready(data="friedman", model="mlp:8", epochs=5)
    record = engines.run_trial(study, Trial("l2@coupled", 3e38, 0), parts)
    assert (record.status, record.engine) == ("diverged", "compiled")


def test_a_divergence_names_the_step_and_the_parameter(ready):
    study, parts = ready(data="friedman", model="mlp:8", lr=1e38, epochs=60)
    record = engines.run_trial(study, Trial("none", 0.0, 0), parts)
    assert (record.status, record.engine, record.state) == ("diverged", "compiled", {})
    assert record.reason.startswith("step ")
    assert "0.weight" in record.reason or "2." in record.reason


def test_a_penalty_without_a_loop_on_these_features_is_left_to_torch(ready):
    method = "group_lasso:groups=in:heads:8@proximal"
    study, parts = ready(model="mlp:8", epochs=2, methods=(method,))
    assert engines.choose_engine(study, method, parts.outputs) == "compiled"
    with pytest.raises(ValueError, match="4"):
        engines.run_trial(study, Trial(method, 1e-2, 0), parts)


@pytest.mark.parametrize("fault", [ValueError, ImportError])
def test_a_fault_of_this_engine_is_an_error_and_no_reason_to_take_another(
    ready, monkeypatch, fault
):
    def fail(*_):
        raise fault("of a loop")

    study, parts = ready(model="mlp:8", epochs=2)
    monkeypatch.setattr(compiled_engine, "Architecture", fail)
    with pytest.raises(fault, match="of a loop"):
        engines.run_trial(study, Trial("none", 0.0, 0), parts)
