"""Deal the trials of a study to several machines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study

MOST_SHARDS = 1000


def deal_trials(study: Study, shard: str | None) -> list[Trial]:
    """The trials of one shard, or all without one.

    Trials are dealt in rounds, one to each shard. A trial goes to the shard, of those that still
    wait in this round, with the fewest trials of the same method, of the same strength and of the
    same seed.

    Parameters
    ----------
    shard : str, optional
        "2/8", the second of eight.

    Raises
    ------
    UsageError
        If `shard` cannot be read, or there are fewer trials than shards.

    Examples
    --------
    >>> study = Study(methods=("l1@proximal",), strengths=(1e-3, 1e-2), seeds=2)
    >>> [[trial.strength for trial in deal_trials(study, shard)] for shard in ("1/2", "2/2")]
    [[0.0, 0.01, 0.001], [0.001, 0.0, 0.01]]
    """
    trials = study.trials()
    if shard is None:
        return trials
    number, count = _parse_shard(shard)
    if count > min(len(trials), MOST_SHARDS):
        most = f"of {pluralize(len(trials), 'trial')} there are at most"
        raise UsageError(f"shard {shard!r}: {most} {min(len(trials), MOST_SHARDS)} shards")
    dealt: set[Trial] = set()
    counts: defaultdict[tuple[str, object], np.ndarray] = defaultdict(lambda: np.zeros(count, int))
    waiting = np.zeros(count, bool)
    for trial in sorted(trials, key=lambda trial: (trial.strength, trial.method, trial.seed)):
        if not waiting.any():
            waiting[:] = True
        kinds = vars(trial).items()
        squares = sum(counts[kind] ** 2 for kind in kinds)
        receiver = int(np.where(waiting, squares, np.inf).argmin())
        waiting[receiver] = False
        for kind in kinds:
            counts[kind][receiver] += 1
        if receiver == number - 1:
            dealt.add(trial)
    return [trial for trial in trials if trial in dealt]


def find_missing(study: Study, records: Sequence[Record]) -> list[Trial]:
    """The trials of the whole study that have no record."""
    done = {record.trial for record in records}
    return [trial for trial in study.trials() if trial not in done]


def _parse_shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", str(text).strip())
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(
            f"shard must be the number of a share and their count, as 2/8 is the second of "
            f"eight, got {text!r}"
        )
    return number, count
