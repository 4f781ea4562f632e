"""What a running study says."""

import io
import itertools

import pytest
from rich.console import Console

from shrinkage.study.progress import Progress, describe_expected, show_progress
from shrinkage.study.scores import METRICS


def lines_of(record_of, total, earlier=()):
    console = Console(file=io.StringIO(), width=200)
    seconds = itertools.count(step=0.5)
    progress = Progress(console, None, clock=lambda: next(seconds))
    progress.start(
        total, [record_of("none", 0.0, seed, 0.5) for seed in earlier], METRICS["accuracy"]
    )
    for index in range(len(earlier), total):
        score = None if index == 3 else index / total
        progress.advance(record_of("l1@proximal", 1e-3 * (index + 1), 0, score))
    return console.file.getvalue().splitlines()


def test_plain_lines_are_about_ten_and_name_the_best_so_far(record_of):
    lines = lines_of(record_of, 40)
    assert lines[0] == "40 trials to run"
    assert lines[1] == "diverged: l1@proximal at 0.004, seed 0, step 3: the loss is nan"
    assert lines[2].startswith("4/40 trials, best so far l1@proximal at 0.003: 0.050, ")
    assert lines[-1].startswith("40/40 trials, best so far l1@proximal at 0.04: 0.975, ")
    assert len(lines) == 2 + 10


def test_how_long_it_will_take_is_said_before_the_first_trial(record_of):
    console = Console(file=io.StringIO(), width=200)
    progress = Progress(console, None)
    progress.start(183, [], METRICS["r2"], expected=describe_expected(41.0, 2))
    assert console.file.getvalue() == (
        "183 trials to run, about 40 s with 2 at a time, without compiling and the fit of the "
        "recommended model\n"
    )


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (0.25, "4.0 trials/s, about 40 s left"),
        (4.0, "4.0 s a trial, about 11 min left"),
        (0.0, "best so far none: 0.500"),  # no clock is that coarse, but it divides by no 0
    ],
)
def test_the_rate_and_the_time_left_are_those_of_this_run(record_of, step, said):
    """What an earlier run recorded took no time of this one."""
    console, now = Console(file=io.StringIO(), width=200), [0.0]
    progress = Progress(console, None, clock=lambda: now[0])
    progress.start(200, [record_of("none", 0.0, seed, 0.5) for seed in range(20)], METRICS["r2"])
    for seed in range(20, 40):
        now[0] += step
        progress.advance(record_of("none", 0.0, seed, 0.5))
    assert console.file.getvalue().splitlines()[-1].endswith(said)


def test_a_fold_is_named(record_of):
    console = Console(file=io.StringIO(), width=200)
    progress = Progress(console, None)
    progress.start(20, [], METRICS["r2"], folds=5)
    progress.advance(record_of("l1@proximal", 1e-3, 7, None))
    assert "diverged: l1@proximal at 0.001, seed 1, fold 3, step 3" in console.file.getvalue()


def test_what_an_earlier_run_recorded_counts(record_of):
    lines = lines_of(record_of, 3, earlier=(0, 1))
    assert lines[:2] == ["2 of 3 trials already recorded", "1 trial to run"]
    # two seeds are believed before one, whatever its score
    assert lines[-1].startswith("3/3 trials, best so far none: 0.500, ")


def test_a_bar_in_a_terminal(record_of, monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with show_progress(quiet=False) as progress:
        progress.start(2, [], METRICS["accuracy"])
        progress.advance(record_of("l1@proximal", 1e-3, 0, 0.9))
        progress.advance(record_of("l1@proximal", 1e-3, 1, 0.7))
    said = capsys.readouterr().err
    assert "2/2" in said
    assert "trials/s" in said
    assert "best so far l1@proximal at 0.001: 0.800" in said


def test_quiet_says_nothing(record_of, capsys):
    with show_progress(quiet=True) as progress:
        progress.say("a note")
        progress.start(1, [], METRICS["accuracy"])
        progress.advance(record_of("none", 0.0, 0, 0.5))
    assert capsys.readouterr().err == ""
