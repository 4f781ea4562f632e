"""A study that is still running: its choices so far, and how far it is."""

from collections.abc import Callable

import pytest

from shrinkage.study.records import Record, Trial
from shrinkage.study.scores import METRICS
from shrinkage.study.unfinished import (
    choose_so_far,
    count_trials,
    describe_unfinished,
    find_complete,
)

QUESTION = {
    "methods": ["none", "l1@proximal", "l2:0.5@coupled"],
    "strengths": [1e-3, 1e-2, 1e-1],
    "seeds": 3,
}
CELLS = [("none", 0.0), *[("l1@proximal", s) for s in (1e-3, 1e-2, 1e-1)], ("l2:0.5@coupled", 0.5)]


@pytest.fixture
def first(record_of: Callable[..., Record]) -> Callable[..., list[Record]]:
    """The first trials of the question, with scores of their own."""

    def make(count: int, diverged: tuple[Trial, ...] = ()) -> list[Record]:
        trials = [Trial(*cell, seed) for seed in range(3) for cell in CELLS][:count]
        return [
            record_of(*vars(t).values(), None if t in diverged else 0.5 + t.strength + t.seed / 10)
            for t in trials
        ]

    return make


def chosen(records):
    return [
        (choice.method, choice.rule, choice.strength, choice.edge, round(choice.validation_mean, 6))
        for choice in choose_so_far(records, QUESTION, METRICS["accuracy"])
    ]


def test_before_a_seed_is_complete_all_trials_count_and_no_edge_is_known(first):
    assert count_trials(QUESTION) == 15
    assert chosen(first(3)) == [
        ("none", "best", 0.0, "", 0.5),
        ("l1@proximal", "best", 1e-2, "", 0.51),
        ("l1@proximal", "one-se", 1e-2, "", 0.51),
    ]
    said = describe_unfinished(first(3), QUESTION)
    assert said.startswith("This study is not finished: 3 of 15 trials are recorded. ")
    assert "based on the trials that there are, as no seed is complete;" in said


def test_then_the_complete_seeds_count_alone(first):
    for count, complete, mean in ((5, 1, 0.6), (9, 1, 0.6), (10, 2, 0.65), (14, 2, 0.65)):
        assert find_complete(first(count), QUESTION) == list(range(complete))
        assert ("l1@proximal", "best", 1e-1, "highest", mean) in chosen(first(count))
        said = describe_unfinished(first(count), QUESTION)
        assert f"based on {complete} of 3 seeds, of which every trial is recorded" in said


def test_a_strength_with_a_diverged_trial_is_not_chosen(first):
    diverged = (Trial("l1@proximal", 1e-1, 0), Trial("l1@proximal", 1e-2, 1))
    for count in (4, 10):
        assert {row[2] for row in chosen(first(count, diverged)) if row[0] == "l1@proximal"} == {
            1e-2 if count == 4 else 1e-3
        }


def test_what_else_there_is_to_say(first):
    assert describe_unfinished([], QUESTION) == "This study has no trials yet."
    every = tuple(record.trial for record in first(4))
    assert describe_unfinished(first(4, every), QUESTION).endswith(
        "Every trial so far has diverged; trials.csv has the reasons."
    )
    assert "all 15 trials are recorded, and the chosen models are not" in describe_unfinished(
        first(15), QUESTION
    )
    folds = {**QUESTION, "seeds": 1, "folds": 3}
    assert "2 of 3 folds, of which every" in describe_unfinished(first(10), folds)
