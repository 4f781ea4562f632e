"""The two rules."""

import math

import pytest

from shrinkage.study.choosing import choose
from shrinkage.study.scores import METRICS

ACCURACY = METRICS["accuracy"]


def records_from(record_of, table, method="l1@proximal", **changes):
    return [
        record_of(method, strength, seed, score, **changes)
        for strength, scores in table.items()
        for seed, score in enumerate(scores)
    ]


def pick(records, seeds=3, metric=ACCURACY):
    return {choice.rule: choice for choice in choose(records, seeds, metric)}


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
    assert (
        choose(records_from(record_of, {1e-3: [0.9, None], 1e-2: [None, None]}), 2, ACCURACY) == []
    )


def test_a_strength_whose_seeds_are_not_all_there_is_not_chosen_yet(record_of):
    table = {1e-3: [0.7, 0.7, 0.7], 1e-2: [0.99, 0.99]}
    assert pick(records_from(record_of, table))["best"].strength == 1e-3


def test_none_has_one_choice_and_one_seed_has_no_standard_error(record_of):
    choices = choose(records_from(record_of, {0.0: [0.9]}, method="none"), 1, ACCURACY)
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


def test_of_an_error_the_least_is_best(record_of):
    # the best mean is 2.0 and its standard error 0.2/√3 = 0.115: the ceiling is 2.115
    table = {1e-4: [3.0] * 3, 1e-3: [1.8, 2.0, 2.2], 1e-2: [2.11] * 3, 1e-1: [2.12] * 3}
    choices = pick(records_from(record_of, table), metric=METRICS["mae"])
    assert choices["best"].strength == 1e-3
    assert choices["one-se"].strength == 1e-2


def test_a_score_that_is_not_finite_disqualifies_its_strength(record_of):
    table = {1e-3: [0.7, 0.7, 0.7], 1e-2: [0.9, -math.inf, 0.9], 1e-1: [0.9, math.nan, 0.9]}
    choices = pick(records_from(record_of, table))
    assert {choice.strength for choice in choices.values()} == {1e-3}
