"""One trial, one record."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.metrics import r2_score
from torch import nn

from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.records import Trial
from shrinkage.study.scores import METRICS
from shrinkage.study.training import fit_trial, models
from shrinkage.study.training.rehearsal import rehearse

L1 = Trial("l1@proximal", 0.03, 0)


def same(one, other):
    """Equal but for the seconds."""
    first, second = asdict(replace(one, seconds=0.0)), asdict(replace(other, seconds=0.0))
    states = first.pop("state"), second.pop("state")
    assert states[0].keys() == states[1].keys()
    return first == second and all(np.array_equal(states[0][k], states[1][k]) for k in states[0])


@pytest.mark.quick_where(batch=[16])
@pytest.mark.parametrize("batch", [1024, 16])
def test_the_same_question_gives_the_same_record_and_no_seed_leaks(ready, batch):
    study, parts = ready(batch=batch)
    torch.manual_seed(1)
    first = fit_trial.run_trial(study, L1, parts)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert same(first, fit_trial.run_trial(study, L1, parts))
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(first, fit_trial.run_trial(study, replace(L1, seed=1), parts))
    assert not same(first, fit_trial.run_trial(study, replace(L1, strength=0.04), parts))


def test_the_number_of_threads_is_left_as_it_was(ready, monkeypatch):
    seen = []
    build = models.build_model

    def spy(*arguments):
        seen.append(torch.get_num_threads())
        return build(*arguments)

    monkeypatch.setattr(models, "build_model", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        study, parts = ready()
        fit_trial.run_trial(study, L1, parts)
        assert torch.get_num_threads() == 2
        assert set(seen) == {1}
    finally:
        torch.set_num_threads(before)


def test_a_record_counts_what_is_in_its_model(ready):
    study, parts = ready(epochs=300)
    record = fit_trial.run_trial(study, L1, parts)
    weights = [record.state["0.weight"], record.state["2.weight"]]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    assert record.weights == 8 * 4 + 3 * 8
    assert record.zeros == zeros / record.weights
    assert 0.2 < record.zeros < 1
    silent = (weights[0] == 0).all(axis=1) | (weights[1] == 0).all(axis=0)
    assert (record.dead_neurons, record.neurons) == (silent.sum(), 8)
    assert record.dead_neurons > 0
    model = fit_trial.restore_model(
        study.model, record.state, parts.train.X.shape[1], parts.outputs
    )
    assert (
        fit_trial.score_model(model, parts.validation, METRICS["accuracy"])
        == record.validation_score
    )
    assert fit_trial.score_model(model, parts.train, METRICS["accuracy"]) == record.train_score


def test_without_a_penalty_there_are_no_zeros_and_the_weights_are_counted(ready):
    study, parts = ready()
    record = fit_trial.run_trial(study, Trial("none", 0.0, 0), parts)
    assert (record.zeros, record.weights) == (0.0, 56)
    assert set(record.history["penalty"]) == {0.0}


def test_the_history_ends_with_the_record(ready):
    study, parts = ready(epochs=100)
    record = fit_trial.run_trial(study, L1, parts)
    history = record.history
    assert len({len(values) for values in history.values()}) == 1
    assert 40 <= len(history["epoch"]) <= 60
    assert (history["epoch"][0], history["epoch"][-1]) == (1, 100)
    assert history["validation_score"][-1] == record.validation_score
    assert history["data_loss"][0] > 2 * history["data_loss"][-1]
    absolute = sum(np.abs(record.state[name]).sum() for name in ("0.weight", "2.weight"))
    assert history["penalty"][-1] == pytest.approx(0.03 * absolute, rel=1e-5)


@pytest.mark.parametrize("how", ["loss", "coupled", "decoupled", "proximal"])
def test_every_way_bites(ready, how):
    study, parts = ready(epochs=50)
    free = fit_trial.run_trial(study, Trial("none", 0.0, 0), parts)
    strength = 2.0 if how == "decoupled" else 0.1  # a decay is scaled by the learning rate alone
    bound = fit_trial.run_trial(study, Trial(f"l1@{how}", strength, 0), parts)

    def size(record):
        return sum(np.abs(value).sum() for name, value in record.state.items() if "weight" in name)

    assert size(bound) < 0.5 * size(free)


def _numbers(rows=200):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, 3)).astype(np.float32)
    y = (X @ np.array([1.0, -2.0, 0.0]) + generator.normal(size=rows)).astype(np.float32)
    return Parts(Examples(X[:100], y[:100]), Examples(X[100:], y[100:]), "numbers", 1)


@pytest.mark.slow
def test_a_linear_model_with_l2_is_ridge(ready):
    """½·mean squared error + lam·Σw²: scikit-learn's alpha is 2·rows·lam."""
    study, _ = ready(data="diabetes", model="linear", optimizer="sgd", epochs=60, lr=1.0)
    parts = _numbers()
    record = fit_trial.run_trial(study, Trial("l2@proximal", 0.3, 0), parts)
    ridge = Ridge(alpha=2 * 100 * 0.3).fit(parts.train.X, parts.train.y)
    # float32 and a finite number of steps
    np.testing.assert_allclose(record.state["weight"][0], ridge.coef_, atol=1e-4)
    assert record.train_score == pytest.approx(
        r2_score(parts.train.y, ridge.predict(parts.train.X)), abs=1e-4
    )
    assert record.neurons == 0


def test_a_strength_of_l1_is_the_alpha_of_lasso(ready):
    study, _ = ready(data="diabetes", model="linear", optimizer="sgd", epochs=60, lr=1.0)
    parts = _numbers()
    record = fit_trial.run_trial(study, Trial("l1@proximal", 0.2, 0), parts)
    lasso = Lasso(alpha=0.2, tol=1e-12).fit(
        *(a.astype(float) for a in (parts.train.X, parts.train.y))
    )
    np.testing.assert_allclose(record.state["weight"][0], lasso.coef_, atol=1e-4)
    assert (record.state["weight"][0] == 0).tolist() == (lasso.coef_ == 0).tolist()
    assert 0 < (lasso.coef_ == 0).sum() < 3


def test_two_classes_have_one_logit_and_a_strength_is_1_by_n_c(ready):
    study, _ = ready(model="linear", optimizer="sgd", epochs=100, lr=4.0)
    parts = _numbers()
    y = (parts.train.y > 0).astype(np.int64)
    parts = Parts(Examples(parts.train.X, y), Examples(parts.train.X, y), "classes", 1)
    record = fit_trial.run_trial(study, Trial("l1@proximal", 0.05, 0), parts)
    twin = LogisticRegression(
        C=1 / (100 * 0.05), l1_ratio=1, solver="saga", tol=1e-10, max_iter=10_000
    ).fit(parts.train.X, y)
    assert record.state["weight"].shape == (1, 3)
    np.testing.assert_allclose(record.state["weight"], twin.coef_, atol=1e-3)
    np.testing.assert_allclose(record.state["bias"], twin.intercept_, atol=1e-3)
    assert record.train_score == twin.score(parts.train.X, y)


@pytest.mark.slow
def test_a_linear_classifier_with_l2_is_logistic_regression(ready):
    study, parts = ready(model="linear", epochs=2000, lr=0.05)
    record = fit_trial.run_trial(study, Trial("l2@coupled", 0.01, 0), parts)
    rows = len(parts.train.X)
    twin = LogisticRegression(C=1 / (2 * 0.01 * rows), tol=1e-10, max_iter=1000)
    twin.fit(parts.train.X, parts.train.y)
    # float32, a finite number of steps, biases known up to a common constant
    np.testing.assert_allclose(record.state["weight"], twin.coef_, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_classes_are_those_of_class_weight(ready, classes):
    study, _ = ready(model="linear", optimizer="sgd", epochs=100, lr=4.0, balanced=True)
    numbers = _numbers().train
    y = np.digitize(numbers.y, [1.5, 2.5][: classes - 1])
    part = Examples(numbers.X, y.astype(np.int64))
    outputs = 1 if classes == 2 else classes
    record = fit_trial.run_trial(
        study, Trial("l2@loss", 0.02, 0), Parts(part, part, "classes", outputs)
    )
    twin = LogisticRegression(C=1 / (2 * 100 * 0.02), class_weight="balanced", tol=1e-10)
    twin.fit(part.X, y)
    np.testing.assert_allclose(record.state["weight"], twin.coef_, atol=2e-3)


def test_r_squared_is_that_of_scikit_learn():
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, 0.5)
    part = _numbers().validation
    predicted = fit_trial.predict(model, part.X)[:, 0].double().numpy()
    expected = r2_score(part.y.astype(np.float64), predicted)
    assert fit_trial.score_model(model, part, METRICS["r2"]) == pytest.approx(expected, rel=1e-10)
    constant = Examples(part.X, np.ones_like(part.y))
    assert fit_trial.score_model(model, constant, METRICS["r2"]) == 0.0


def test_divergence_is_a_record_that_names_step_and_parameter(ready):
    study, parts = ready(optimizer="sgd", lr=1e38, model="linear")
    record = fit_trial.run_trial(study, Trial("l2@coupled", 0.1, 0), parts)
    assert record.status == "diverged"
    assert "step " in record.reason
    assert "weight" in record.reason
    assert record.validation_score is None
    assert record.train_score is None
    assert record.state == {}


def test_divergence_at_the_last_step_is_found(ready):
    study, parts = ready(optimizer="sgd", lr=1e39, epochs=1)
    record = fit_trial.run_trial(study, Trial("none", 0.0, 0), parts)
    assert record.status == "diverged"
    assert "0.weight" in record.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "lbfgs"}, "l1@proximal cannot be trained with optimizer 'lbfgs'"),
        ({"optimizer": "sparseadam"}, "none cannot be trained.*dense gradients"),
        ({"optimizer": "muon"}, "refused by torch"),
        (
            {"methods": ("l1 + group_lasso,groups=in + group_lasso@proximal",)},
            "no prox in closed form",
        ),
    ],
)
def test_what_cannot_be_trained_is_known_before_any_trial(ready, changes, message):
    study, parts = ready(**changes)
    with pytest.raises(UsageError, match=message):
        rehearse(study, parts, study.methods)


@pytest.mark.slow
def test_lbfgs_trains_what_it_can(ready):
    study, parts = ready(optimizer="lbfgs", methods=("l2@coupled", "l2@loss"), epochs=3)
    rehearse(study, parts, study.methods)
    records = [fit_trial.run_trial(study, Trial(m, 1e-3, 0), parts) for m in study.methods[1:]]
    for record in records:
        assert record.validation_score > 0.8
    np.testing.assert_allclose(
        records[0].state["0.weight"], records[1].state["0.weight"], rtol=0.01, atol=0.01
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("torch.nn.Linear(features, outputs + 1)", r"shape \(2, 4\) for 2 rows"),
        ("torch.nn.Linear(features + 1, outputs)", "fails on 4 features"),
        ("torch.nn.ReLU()", "shape"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(ready, tmp_path, monkeypatch, body, message):
    name = f"misfit_{abs(hash(body))}"
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.py").write_text(
        f"import torch\ndef build(features, outputs):\n    return {body}\n"
    )
    study, parts = ready(model=f"{name}:build")
    with pytest.raises(UsageError, match=message):
        rehearse(study, parts, study.methods)
