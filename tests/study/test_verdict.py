"""What is recommended, and that the sentences name what it must beat."""

from dataclasses import replace

import numpy as np
import pytest

from shrinkage.study.choosing import choose
from shrinkage.study.results import Results
from shrinkage.study.scores import find_metric
from shrinkage.study.verdict import write_verdict

EMPTY = {"0.weight": np.zeros((4, 3), np.float32), "2.weight": np.ones((2, 4), np.float32)}


@pytest.fixture
def told(record_of):
    """The verdict on (method, scores, zeros) rows and the trivial model's score in validation."""

    def make(*rows, bar=0.5, task="classes", prefer="score", metric=None, states=None, **changes):
        records, seeds = [], len(rows[0][1])
        for method, scores, zeros in rows:
            state = {"0.weight": np.ones((4, 3)), "2.weight": np.ones((2, 4))}
            state = (states or {}).get(method, state)
            for seed, score in enumerate(scores):
                strength = 0.0 if method == "none" else 0.01
                own = {"zeros": zeros, "state": state, "train_score": 0.99, **changes}
                records.append(record_of(method, strength, seed, score, **own))
        trivial = {
            "name": "the mean" if task == "numbers" else "the majority class",
            "answer": "" if task == "numbers" else "No",
            "validation_scores": [bar] * seeds,
            "test_scores": [bar] * seeds,
            "test_error": 0.02,
        }
        choices = [
            replace(choice, test_scores=[0.7, 0.8], test_error=0.041)
            for choice in choose(records, seeds, find_metric(metric, task))
        ]
        data = {"task": task, "train": 200, "validation": 100, "test": 100, "trivial": trivial}
        question = {"model": "mlp:4", "prefer": prefer, "metric": metric, "lr": 0.3}
        return write_verdict(Results(question, {}, data, records, choices, ""))

    return make


def test_the_best_score_is_recommended_beside_no_penalty_and_the_majority_class(told):
    said = told(("none", [0.79, 0.8, 0.81], 0.0), ("l2@coupled", [0.89, 0.9, 0.91], 0.0))
    assert said.startswith("Use l2@coupled at 0.01: its accuracy in validation is 0.900, against ")
    assert "0.800 without a penalty and 0.500 for the majority class, 'No'." in said
    assert (
        "On the 100 test rows, which played no part in the choice, its 2 models have on average"
        in said
    )
    assert "on average 0.750 ± 0.041; the majority class has 0.500." in said
    # equal differences of 0.1 with 100 rows: t = 0.1/(√(1/3 + 1/2)·0.01) = 10.95 > 4.30
    assert "The lead over no penalty (0.100) and over the majority class (0.400) is more" in said


def test_a_test_score_no_better_than_the_trivial_one_is_said_to_be(told):
    rows = ("none", [0.79, 0.8, 0.81], 0.0), ("l2@coupled", [0.89, 0.9, 0.91], 0.0)
    warning = "which is no worse: try this model on more rows before you rely on it."
    assert f"the majority class has 0.760, {warning}" in told(*rows, bar=0.76)
    assert "no worse" not in told(*rows, bar=0.74)


def test_a_lead_that_the_seeds_cannot_tell_from_chance_is_a_best_guess(told):
    # differences 0.00, 0.02, 0.04: s = 0.02, t = 0.02/(√(5/6)·0.02) = 1.10 < 4.30
    said = told(("none", [0.8, 0.8, 0.8], 0.0), ("l2@coupled", [0.80, 0.82, 0.84], 0.0))
    assert said.startswith("Use l2@coupled at 0.01")
    assert "3 seeds with 200 rows to train on and 100 to validate are too few to tell" in said
    assert "the lead over no penalty (0.020) from chance" in said
    assert "over the majority class" not in said


def test_one_seed_tells_nothing_from_chance(told):
    said = told(("none", [0.8], 0.0), ("l2@coupled", [0.95], 0.0))
    assert said.startswith("Use l2@coupled")
    assert "One seed cannot tell such a lead from chance" in said
    assert "more --seeds" in said


def test_what_does_not_beat_the_majority_class_is_never_recommended(told):
    rows = (("none", [0.93, 0.93, 0.93], 0.0), ("l1@proximal", [0.94, 0.94, 0.94], 1.0))
    for prefer in ("score", "sparse"):
        said = told(*rows, bar=0.94, prefer=prefer, states={"l1@proximal": EMPTY})
        assert said.startswith("Nothing is recommended")
        assert "the majority class, 'No', which has 0.940" in said
        assert "l1@proximal at 0.01, has 0.940, and predicts the same for every row" in said


def test_a_model_that_predicts_one_thing_is_not_recommended_though_it_scores_higher(told):
    rows = (("none", [-0.5, -0.5, -0.5], 0.0), ("l1@proximal", [0.001, 0.001, 0.001], 0.6))
    said = told(*rows, bar=-0.01, task="numbers", states={"l1@proximal": EMPTY})
    assert said.startswith("Nothing is recommended")


def test_an_r2_below_0_is_of_no_use_though_the_mean_of_other_rows_is_worse(told):
    said = told(("none", [-0.5, -0.6, -0.7], 0.0), bar=-0.9, task="numbers")
    assert said.startswith("Nothing is recommended: no model has an R² above 0")
    assert "the mean has -0.900" in said


@pytest.mark.parametrize(
    ("fitted", "why"), [(0.99, "memorizes its training rows"), (0.52, "hardly learned")]
)
def test_why_nothing_beats_the_majority_class(told, fitted, why):
    assert why in told(("none", [0.5, 0.5], 0.0), bar=0.51, train_score=fitted)


def test_what_was_solved_is_not_told_to_train_longer(told):
    rows = ("none", [1e6, 1e6], 0.0)
    said = told(rows, bar=2e4, task="numbers", metric="mae", train_score=2e6, engine="solved")
    assert "a linear model may be too simple: try --model mlp:64." in said
    assert "--epochs" not in said
    assert "may dominate the squared error that training minimizes" in said
    assert "predict the logarithm of the target" in said


def test_where_no_penalty_scores_higher_regularization_does_not_help(told):
    said = told(("none", [0.94, 0.95, 0.96], 0.0), ("l1@proximal", [0.8, 0.8, 0.8], 0.9))
    assert said.startswith("Use no penalty: its accuracy in validation is 0.950, against 0.500 for")
    assert "l1@proximal at 0.01, has 0.800" in said
    assert "regularization does not help here" in said


SPARSE = (
    ("none", [0.80, 0.80, 0.80], 0.0),
    ("l2@coupled", [0.90, 0.90, 0.90], 0.0),
    ("l1@proximal", [0.89, 0.89, 0.89], 0.7),  # costs 0.01 of a lead of 0.4: less than 10 %
    ("group_lasso@proximal", [0.85, 0.85, 0.85], 0.9),  # costs 0.05: more
)


def test_a_sparser_model_is_named_with_its_cost_and_gain(told):
    said = told(*SPARSE)
    assert said.startswith("Use l2@coupled at 0.01")
    assert "l1@proximal at 0.01, costs 0.010 of accuracy: 70.0% of its weights are" in said
    assert "1 of 4 hidden units" in said
    assert "group_lasso" not in said


def test_a_sparser_model_is_recommended_where_it_is_preferred(told):
    said = told(*SPARSE, prefer="sparse")
    assert said.startswith("Use l1@proximal at 0.01")
    assert "0.900 by l2@coupled at 0.01, and costs 0.010 of accuracy" in said
    assert "No sparser model comes near" in told(*SPARSE[:2], prefer="sparse")


def test_of_equal_scores_the_sparse_one_and_then_no_penalty(told):
    plain, l2, l1 = ((m, [0.9, 0.9], z) for m, z in (("none", 0), ("l2@coupled", 0), ("l1", 0.5)))
    assert told(plain, l2).startswith("Use no penalty")
    assert told(plain, l2, l1).startswith("Use l1 ")
    assert "It is level with no penalty: it is sparser, and preferred" in told(plain, l1)


def test_scores_that_read_the_same_are_no_lead(told):
    said = told(("none", [0.9730, 0.9730], 0.0), ("l2@coupled", [0.9731, 0.9734], 0.0), bar=0.3)
    assert "is 0.973, against 0.973 without a penalty" in said
    assert "It is level with no penalty: no penalty is simpler, and as good." in said
    assert "over no penalty" not in said


def test_almost_all_is_not_all(told):
    rows = (("none", [0.8, 0.8], 0.0), ("l1@proximal", [0.9996, 0.9996], 0.997))
    said = told(*rows, dead_neurons=3.9)
    assert "0.9996" in said
    assert "99.7% of its weights are exactly 0, and 3 of 4 hidden units" in said


def test_divergence_has_its_sentences(told):
    lower = "lower the learning rate (--lr 0.03 in place of 0.3, into another --out)"
    assert f"every trial diverged; {lower}." in told(("none", [None, None], 0.0))
    said = told(("none", [None, None], 0.0), ("l2@coupled", [0.9, 0.9], 0.0))
    assert "Without a penalty the training diverges." in said


def test_a_method_with_a_strength_of_its_own_is_named_by_it(told):
    said = told(("none", [0.8, 0.8], 0.0), ("l1:0.01@proximal", [0.9, 0.9], 0.0))
    assert said.startswith("Use l1:0.01@proximal:")


def test_a_lead_of_less_than_a_validation_row_is_none(told):
    # 100 validation rows: one row more at one of three seeds, then at each of them
    said = told(
        ("none", [0.94, 0.94, 0.94], 0.0), ("l1@proximal", [0.94, 0.94, 0.95], 0.8), bar=0.94
    )
    assert said.startswith("Nothing is recommended: no model beats the majority class")
    said = told(
        ("none", [0.94, 0.94, 0.94], 0.0), ("l1@proximal", [0.95, 0.95, 0.95], 0.8), bar=0.94
    )
    assert said.startswith("Use l1@proximal at 0.01")


def test_two_rows_more_than_the_majority_are_not_memorized(told):
    # 0.98 on 200 training rows is one per cent, two rows, above 0.97; on new rows 0.97
    said = told(("none", [0.97, 0.97, 0.97], 0.0), bar=0.97, train_score=0.98)
    assert "it has hardly learned" in said
    said = told(("none", [0.97, 0.97, 0.97], 0.0), bar=0.97, train_score=1.0)
    assert "it memorizes its training rows" in said


def test_an_error_is_better_where_it_is_lower(told):
    rows = (
        ("none", [30e3, 31e3, 29e3], 0.0),
        ("l2@coupled", [20e3, 20.5e3, 19.5e3], 0.0),
        ("l1@proximal", [21e3, 21.5e3, 20.5e3], 0.7),  # adds 1000 to a lead of 60 000
    )
    said = told(*rows, bar=80e3, task="numbers", metric="mae", train_score=15e3)
    assert said.startswith("Use l2@coupled at 0.01: its MAE in validation is 20,000, against ")
    assert "30,000 without a penalty and 80,000 for the mean." in said
    assert "The lead over no penalty (10,000) and over the mean (60,000) is more" in said
    assert "l1@proximal at 0.01, costs 1,000 more MAE: 70.0% of its weights" in said
    said = told(*rows[:1], bar=29e3, task="numbers", metric="mae", train_score=10e3)
    assert said.startswith("Nothing is recommended: no model beats the mean, which has 29,000 MAE")
    assert "it memorizes its training rows" in said
    tiny = [(method, [score * 1e-18 for score in scores], zeros) for method, scores, zeros in rows]
    said = told(*tiny, bar=80e-15, task="numbers", metric="rmse", train_score=15e-15)
    assert said.startswith("Use l2@coupled")
