"""The question of a study: what is read, what is refused, what is the same question."""

import dataclasses
import math
from itertools import pairwise

import pytest

from shrinkage.study.errors import UsageError
from shrinkage.study.method import parse_method
from shrinkage.study.spec import METHODS, Study, from_toml, grid_from_text


def test_the_default_grid_has_nine_strengths_two_a_decade():
    strengths = Study().strengths
    assert strengths == grid_from_text("1e-5:1e-1:9")
    assert len(strengths) == 9
    assert strengths[0] == 1e-5
    assert strengths[-1] == 0.1
    ratios = [b / a for a, b in pairwise(strengths)]
    assert ratios == pytest.approx([math.sqrt(10)] * 8, rel=1e-5)


def test_the_default_methods_are_eight():
    assert Study().methods == METHODS
    assert len(METHODS) == 8
    assert len(Study().trials()) == 3 * (1 + 7 * 9)


def test_the_ends_of_a_grid_are_the_numbers_that_were_written():
    assert grid_from_text("0.12345678:0.98765432:3") == (0.12345678, 0.349189, 0.98765432)


def test_a_large_grid_is_no_fault():
    assert len(grid_from_text("1e-5:1e-1:10000")) == 10_000


def test_a_list_of_strengths_is_sorted_and_each_is_there_once():
    assert Study(strengths=grid_from_text("1e-2, 1e-4,1e-2")).strengths == (1e-4, 1e-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1e-5:1e-1", "low:high:count"),
        ("a,b", "low:high:count"),
        ("1e-5:1e-1:x", "low:high:count"),
        ("", "low:high:count"),
        ("1e-1:1e-5:9", "must rise"),
        ("1e-5:1e-1:1", "must rise"),
        ("-1e-3", "above 0 and finite, got -0.001"),
        ("nan", "above 0 and finite, got nan"),
        ("1e-3:inf:4", "above 0 and finite, got inf"),
        ("0", "above 0 and finite, got 0.0"),
        ("1e-4:1e-1:1000000000", "strengths must be at most 10,000, got 1000000000"),
        ("1e39", r"between 1.2e-38 and 3.4e\+38, what float32 holds, got 1e\+39"),
        ("1e-3,1e-50", "what float32 holds, got 1e-50"),
        ("1e-4:1e300:3", r"what float32 holds, got 1e\+300"),
        ("1:1.0000001:9", "are too close together"),
    ],
)
def test_strengths_that_cannot_be_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        grid_from_text(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("l3@proximal",)}, "did you mean lp"),
        ({"methods": ("l1@prox",)}, "loss, coupled, decoupled, proximal"),
        ({"methods": ("l1:-1",)}, "got -1"),
        ({"methods": ("l1:nan",)}, "got nan"),
        ({"strengths": (math.inf,)}, "finite, got inf"),
        ({"strengths": (True,)}, "got True"),
        ({"seeds": 0}, "seeds must be a whole number from 1 up, got 0"),
        ({"seeds": 2.5}, "got 2.5"),
        ({"sample": 5}, "sample must be a whole number from 6 up, got 5"),
        ({"sample": "many"}, "sample must be a whole number from 6 up, got 'many'"),
        ({"folds": 1}, "folds must be a whole number from 2 up, got 1"),
        ({"folds": 2.0}, "folds must be a whole number from 2 up, got 2.0"),
        ({"balanced": 1}, "balanced must be True or False, got 1"),
        ({"balanced": True, "task": "regression"}, "balanced weighs classes, and the task is reg"),
        ({"metric": "f1"}, "metric 'f1' is unknown"),
        ({"task": "regression", "metric": "accuracy"}, "regression has r2, mae, rmse"),
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"batch": 0}, "batch must be a whole number"),
        ({"lr": -0.1}, "lr must be a number above 0, got -0.1"),
        ({"lr": math.nan}, "got nan"),
        ({"task": "ranking"}, "task must be regression or classification, got 'ranking'"),
        ({"test": 0.6, "validation": 0.5}, "sum below 1"),
        ({"seeds": 10**20}, "seeds must be at most 10,000, got 100000000000000000000"),
        ({"epochs": 10**12}, "epochs must be at most 100,000,000, got 1000000000000"),
        ({"batch": 10**20}, "batch must be at most 1,000,000,000, got 1000"),
        (
            {"seeds": 10_000, "strengths": range(1, 20)},
            "make 1,340,000 trials: a study runs at most 1,0",
        ),
        ({"lr": 1e-50}, "lr must be at least 1.2e-38, as float32 holds no less, got 1e-50"),
        ({"strengths": (1e39,)}, r"what float32 holds, got 1e\+39"),
        ({"methods": ("l1:1e39",)}, r"penalty 'l1:1e\+39@proximal': .* float32 holds, got 1e\+39"),
        ({"methods": ("l1 + l2:1e-50@coupled",)}, "float32 holds, got 1e-50"),
        ({"methods": ("max_norm:1e39",)}, r"float32 holds, got 1e\+39"),
        ({"model": 3}, "model must be text, got 3"),
        ({"optimizer": None}, "optimizer must be text, got None"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_construction(changes, message):
    with pytest.raises(UsageError, match=message):
        Study(**changes)


def test_none_is_always_compared_and_proximal_is_the_way_where_none_is_said():
    study = Study(methods=("l1", "l1@proximal", "l2@coupled"))
    assert study.methods == ("none", "l1@proximal", "l2@coupled")
    assert Study(methods=("None",)).methods == ("none",)


def test_a_method_that_states_its_strength_has_one_trial_a_seed():
    study = Study(methods=("l1:0.5@proximal", "l1 + l2:0.1@coupled"), strengths=(1e-3, 1e-2))
    assert study.strengths_of("l1:0.5@proximal") == (0.5,)
    assert study.strengths_of("l1 + l2:0.1@coupled") == (1e-3, 1e-2)
    assert study.strengths_of("none") == (0.0,)
    assert parse_method("elastic_net:0.2,l1_ratio=0.3@proximal").strength == 0.2
    assert len(study.trials()) == len(set(study.trials())) == 3 * (1 + 1 + 2)


def test_folds_multiply_the_trials():
    study = Study(methods=("l1",), strengths=(1e-2,), seeds=2, folds=5)
    assert study.splits == 10
    assert len(set(study.trials())) == 2 * 5 * 2
    assert from_toml(study.to_toml()) == study
    assert "folds" not in Study().to_toml()


@pytest.mark.parametrize(
    ("said", "kept"), [("regression", "numbers"), ("classification", "classes")]
)
def test_a_task_has_two_names(said, kept):
    study = Study(task=said)
    assert study == Study(task=kept)
    assert study.task == kept
    assert f'task = "{said}"' in study.to_toml()
    assert from_toml(f'task = "{kept}"') == from_toml(study.to_toml()) == study


def test_toml_comes_back_the_same():
    study = Study(
        data='a "quoted" näme.csv',
        target="y\\z",
        task="numbers",
        methods=("l1@proximal", "l2:0.1@coupled"),
        strengths=(1e-5, 0.1),
        seeds=4,
        lr=0.1,
        epochs=7,
        metric="rmse",
    )
    assert from_toml(study.to_toml()) == study
    assert from_toml(Study().to_toml()) == Study()
    assert from_toml(Study(balanced=True).to_toml()) == Study(balanced=True)
    assert from_toml('strengths = "1e-4:1e-2:3"').strengths == (1e-4, 1e-3, 1e-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seedz = 3", "unknown key 'seedz'; did you mean 'seeds'"),
        ("seeds = ", "not TOML"),
        ("methods = 3", "methods must be a list"),
        ("model = 3", "model must be text"),
        ('seeds = "3"', "seeds must be a whole number"),
        ("strengths = []", "strengths is empty: leave it out"),
    ],
)
def test_a_study_file_that_cannot_be_read_says_why(text, message):
    with pytest.raises(UsageError, match=message):
        from_toml(text)


def test_a_study_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Study().seeds = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "method"),
    [
        ("group_lasso:groups=in@proximal", "group_lasso:groups=in@proximal"),
        ("Elastic-Net:l1_ratio=.9 @ coupled", "elastic_net:l1_ratio=0.9@coupled"),
        ("mcp:gamma=2", "mcp:gamma=2@proximal"),
        ("lasso", "l1@proximal"),
        ("ridge@decoupled", "l2@decoupled"),
    ],
)
def test_a_grid_over_a_penalty_with_arguments(written: str, method: str) -> None:
    study = Study(methods=(written,), strengths=(0.1, 0.01))
    assert study.methods == ("none", method)
    assert study.strengths_of(method) == (0.01, 0.1)
    assert from_toml(study.to_toml()) == study


def test_a_batch_suits_the_rows_unless_it_is_given():
    """200 rows, more where 400 steps would not see each row 10 times, at most 1024."""
    batches = {rows: Study().choose_batch(rows) for rows in (50, 8_000, 20_000, 1_000_000)}
    assert batches == {50: 200, 8_000: 200, 20_000: 500, 1_000_000: 1024}
    assert Study(batch=7).choose_batch(20_000) == 7
