"""The two rules, and the sentence."""

import math
from dataclasses import replace

import pytest

from shrinkage.study.choose import choose
from shrinkage.study.verdict import verdict


def records_from(record_of, table, method="l1@proximal", **changes):
    return [
        record_of(method, strength, seed, score, **changes)
        for strength, scores in table.items()
        for seed, score in enumerate(scores)
    ]


def pick(records, seeds=3):
    return {choice.rule: choice for choice in choose(records, seeds)}


def test_best_has_the_highest_mean_and_one_se_is_the_strongest_within_its_standard_error(record_of):
    # the best mean is 0.90 and its standard error 0.02/√3 = 0.0115: the floor is 0.8885
    table = {
        1e-4: [0.80, 0.80, 0.80],
        1e-3: [0.88, 0.90, 0.92],
        1e-2: [0.889, 0.889, 0.889],
        1e-1: [0.888, 0.888, 0.888],
    }
    choices = pick(records_from(record_of, table))
    assert choices["best"].strength == 1e-3
    assert choices["best"].validation_mean == pytest.approx(0.90)
    assert choices["best"].validation_se == pytest.approx(0.02 / math.sqrt(3))
    assert choices["one-se"].strength == 1e-2
    assert choices["one-se"].validation_mean == pytest.approx(0.889)
    assert choices["one-se"].validation_se == 0.0


def test_of_equal_means_the_strongest(record_of):
    table = {1e-3: [0.9, 0.9, 0.9], 1e-2: [0.9, 0.9, 0.9], 1e-1: [0.5, 0.5, 0.5]}
    assert pick(records_from(record_of, table))["best"].strength == 1e-2


def test_one_se_looks_at_all_strengths_not_only_at_neighbours(record_of):
    table = {1e-3: [0.88, 0.90, 0.92], 1e-2: [0.5, 0.5, 0.5], 1e-1: [0.895, 0.895, 0.895]}
    assert pick(records_from(record_of, table))["one-se"].strength == 1e-1


@pytest.mark.parametrize(("best", "edge"), [(1e-4, "lowest"), (1e-3, ""), (1e-2, "highest")])
def test_a_choice_at_the_edge_of_the_grid_is_said(record_of, best, edge):
    table = {s: [0.9 if s == best else 0.5] * 3 for s in (1e-4, 1e-3, 1e-2)}
    assert pick(records_from(record_of, table))["best"].edge == edge


def test_a_single_strength_has_no_edge(record_of):
    assert pick(records_from(record_of, {1e-3: [0.9, 0.9, 0.9]}))["best"].edge == ""


def test_a_diverged_seed_disqualifies_its_strength(record_of):
    table = {1e-4: [0.7, 0.7, 0.7], 1e-3: [0.9, 0.9, 0.9], 1e-2: [0.99, None, 0.99]}
    choices = pick(records_from(record_of, table))
    assert {choice.strength for choice in choices.values()} == {1e-3}
    assert choices["best"].edge == ""  # the grid goes on beyond, though it diverged


def test_a_method_that_always_diverged_has_no_choice(record_of):
    assert choose(records_from(record_of, {1e-3: [0.9, None], 1e-2: [None, None]}), 2) == []


def test_a_strength_whose_seeds_are_not_all_there_is_not_chosen_yet(record_of):
    table = {1e-3: [0.7, 0.7, 0.7], 1e-2: [0.99, 0.99]}
    assert pick(records_from(record_of, table))["best"].strength == 1e-3


def test_none_has_one_choice_and_one_seed_has_no_standard_error(record_of):
    choices = choose(records_from(record_of, {0.0: [0.9]}, method="none"), 1)
    assert [(choice.rule, choice.edge) for choice in choices] == [("best", "")]
    assert math.isnan(choices[0].validation_se)
    table = {1e-3: [0.9], 1e-2: [0.8999]}
    assert pick(records_from(record_of, table), 1)["one-se"].strength == 1e-3


def test_a_choice_holds_the_means_over_seeds(record_of):
    records = [
        record_of("l1@proximal", 1e-3, seed, 0.9, zeros=seed / 10, dead_neurons=seed, seconds=seed)
        for seed in range(3)
    ]
    choice = pick(records)["best"]
    assert choice.zeros == pytest.approx(0.1)
    assert (choice.dead_neurons, choice.neurons, choice.seconds) == (1.0, 4, 1.0)
    assert choice.test_scores == []


@pytest.fixture
def choices_of(record_of):
    """Choices from (method, mean, spread, zeros): scores mean − spread, mean, mean + spread."""

    def make(*rows):
        chosen = []
        for method, mean, spread, zeros in rows:
            strength = 0.0 if method == "none" else 0.01
            table = {strength: [mean - spread, mean, mean + spread]}
            chosen += choose(records_from(record_of, table, method, zeros=zeros), 3)
        return [replace(choice, test_scores=[0.7, 0.8, 0.9]) for choice in chosen]

    return make


def test_a_penalty_that_is_clearly_better_is_recommended(choices_of):
    sentence = verdict(
        choices_of(("none", 0.80, 0.01, 0.0), ("l2@coupled", 0.90, 0.01, 0.0)), "accuracy"
    )
    assert sentence == (
        "Use l2@coupled at 0.01 (0.900 ± 0.006 accuracy in validation, 0.800 in test), against "
        "0.800 ± 0.006 without a penalty, 0.800 in test: the best in validation."
    )


def test_of_what_is_as_good_the_sparsest_is_recommended(choices_of):
    rows = (
        ("none", 0.80, 0.01, 0.0),
        ("l2@coupled", 0.90, 0.01, 0.0),
        ("l1@proximal", 0.896, 0.01, 0.7),
        ("group_lasso@proximal", 0.85, 0.01, 0.9),
    )
    sentence = verdict(choices_of(*rows), "accuracy")
    assert sentence.startswith("Use l1@proximal at 0.01 ")
    assert "within one standard error of the best, l2@coupled" in sentence
    assert "70% of the weights exactly 0" in sentence


def test_no_penalty_is_recommended_where_none_does_better(choices_of):
    rows = (("none", 0.895, 0.02, 0.0), ("l2@coupled", 0.90, 0.02, 0.0))
    assert verdict(choices_of(*rows), "R²").startswith("Use no penalty (0.895 ± 0.012 R²")
    rows = (("none", 0.95, 0.02, 0.0), ("l1@proximal", 0.90, 0.02, 0.9))
    assert verdict(choices_of(*rows), "R²") == (
        "Use no penalty (0.950 ± 0.012 R² in validation, 0.800 in test): "
        "none that was tried scores better."
    )


def test_a_lead_within_the_noise_of_both_is_no_lead(choices_of):
    rows = (("none", 0.885, 0.02, 0.0), ("l2@coupled", 0.90, 0.02, 0.0))
    assert "is within the noise" in verdict(choices_of(*rows), "accuracy")


def test_sparsity_at_no_cost_is_worth_a_penalty(choices_of):
    rows = (("none", 0.90, 0.02, 0.0), ("l1@proximal", 0.899, 0.02, 0.9))
    sentence = verdict(choices_of(*rows), "accuracy")
    assert sentence.startswith("Use l1@proximal")
    assert "no penalty scores clearly better than none" in sentence


def test_one_seed_is_not_enough_to_be_sure(record_of):
    records = [record_of("none", 0.0, 0, 0.8), record_of("l1@proximal", 0.01, 0, 0.9)]
    assert "this may be chance; run more --seeds" in verdict(choose(records, 1), "accuracy")
    records = [record_of("none", 0.0, 0, 0.9), record_of("l1@proximal", 0.01, 0, 0.8)]
    assert verdict(choose(records, 1), "accuracy").startswith("Use no penalty (0.900 accuracy")


def test_divergence_has_its_sentences(record_of, choices_of):
    assert "every trial diverged" in verdict([], "accuracy")
    rows = (("l2@coupled", 0.90, 0.02, 0.0),)
    assert "without a penalty the training diverges" in verdict(choices_of(*rows), "accuracy")


def test_the_test_scores_choose_nothing(choices_of):
    choices = choices_of(("none", 0.80, 0.01, 0.0), ("l2@coupled", 0.90, 0.01, 0.0))
    worse = [replace(c, test_scores=[0.0 if c.method != "none" else 1.0]) for c in choices]
    assert verdict(worse, "accuracy").startswith("Use l2@coupled")
