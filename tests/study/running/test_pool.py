"""What threads, Dask and Ray have in common, on a pool of no machine at all."""

from itertools import count

import pytest

from shrinkage.study.errors import StoppedError
from shrinkage.study.running.pool import MOST_LOSSES, run_in_pool


class Pool:
    """Ends the latest trial first; `losses` says how often each seed's trials are lost."""

    def __init__(self, losses=()):
        self.losses = dict(losses)
        self.numbers, self.trials = count(), {}
        self.sent, self.cancelled, self.most = [], None, 0

    def count_slots(self):
        return 2

    def send(self, parts):
        self.sent.append(parts)
        return parts

    def submit(self, study, trial, sent):
        number = next(self.numbers)
        self.trials[number] = trial, sent
        return number

    def wait(self, handles):
        self.most = max(self.most, len(handles))
        return [max(handles)]

    def fetch(self, handle):
        trial, sent = self.trials[handle]
        if self.losses.get(trial.seed, 0) > 0:
            self.losses[trial.seed] -= 1
            return None
        return trial, sent

    def cancel(self, handles):
        self.cancelled = list(handles)


def test_every_trial_comes_once_and_each_seed_is_sent_once(small):
    pool = Pool()
    came = list(run_in_pool(pool, small, small.trials(), ["first", "second"], None))
    assert sorted(came, key=repr) == sorted(
        ((trial, ["first", "second"][trial.seed]) for trial in small.trials()), key=repr
    )
    assert pool.sent == ["first", "second"]
    assert pool.most == 4  # two for each slot
    assert pool.cancelled == []


def test_no_more_at_a_time_than_asked_for(small):
    pool = Pool()
    assert len(list(run_in_pool(pool, small, small.trials(), "ab", 3))) == len(small.trials())
    assert pool.most == 3


def test_a_lost_trial_runs_again_with_its_data(small):
    pool = Pool({1: MOST_LOSSES})
    came = list(run_in_pool(pool, small, small.trials(), "ab", 1))
    assert [trial for trial, _ in came] == small.trials()
    assert pool.sent == ["a", *"b" * (1 + MOST_LOSSES)]


def test_a_trial_that_is_lost_again_and_again_stops_the_study(small):
    pool = Pool({1: MOST_LOSSES + 1})
    with pytest.raises(StoppedError, match=f"lost its worker more than {MOST_LOSSES} times"):
        list(run_in_pool(pool, small, small.trials(), "ab", 1))


def test_what_still_runs_is_given_up_when_nobody_wants_more(small):
    pool = Pool()
    records = run_in_pool(pool, small, small.trials(), "ab", None)
    next(records)
    records.close()
    assert pool.cancelled == [0, 1, 2]


def test_a_trial_that_ended_in_an_error_is_not_given_up(small, monkeypatch):
    def fail(handle):
        raise StoppedError("it cannot be trained")

    pool = Pool()
    monkeypatch.setattr(pool, "fetch", fail)
    with pytest.raises(StoppedError, match="cannot be trained"):
        list(run_in_pool(pool, small, small.trials(), "ab", None))
    assert pool.cancelled == [0, 1, 2]  # and not 3, which has ended
