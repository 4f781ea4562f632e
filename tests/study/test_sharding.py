"""The deal of a study's trials to several machines."""

from collections import Counter
from dataclasses import replace

import pytest

from shrinkage.study import Study, UsageError
from shrinkage.study.sharding import deal_trials


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 20])
@pytest.mark.parametrize("study", [Study(), Study(seeds=10), Study(methods=("l1",), folds=5)])
def test_every_trial_is_dealt_once_and_all_kinds_evenly(study, count):
    trials = study.trials()
    places = {trial: place for place, trial in enumerate(trials)}
    shards = [deal_trials(study, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(places[trial] for shard in shards for trial in shard) == [*range(len(trials))]
    for shard in shards:
        assert shard == sorted(shard, key=places.__getitem__)  # the first seed comes first here too
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    for kind in ("method", "strength", "seed"):
        shares = [Counter(getattr(trial, kind) for trial in shard) for shard in shards]
        for value in {getattr(trial, kind) for trial in places}:
            dealt = [share[value] for share in shares]
            assert max(dealt) - min(dealt) <= 4


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "2/", "a/b", "-1/2", "1/2/3", "1.5/2", ""])
def test_what_is_no_shard_is_refused(small, shard):
    with pytest.raises(UsageError, match=rf"shard must be .*, as 2/8 .*, got '{shard}'"):
        deal_trials(small, shard)


def test_there_are_no_more_shards_than_trials_nor_than_a_thousand(small):
    with pytest.raises(UsageError, match="shard '1/11': of 10 trials there are at most 10 shards"):
        deal_trials(small, "1/11")
    with pytest.raises(UsageError, match="at most 1000 shards"):
        deal_trials(replace(small, seeds=1000), "1/1001")
