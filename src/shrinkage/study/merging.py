"""Put the folders of one study together, each of which has some of its trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from shrinkage.study.comparing import run_study
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.identity import describe_differences
from shrinkage.study.model.refit import open_question
from shrinkage.study.progress import Progress, show_progress
from shrinkage.study.records import Record
from shrinkage.study.results import Results
from shrinkage.study.sharding import find_missing
from shrinkage.study.storage.store import open_store, read_metadata, read_share


def merge(
    folders: Sequence[str | Path], *, out: str | Path, data: Any = None, quiet: bool = False
) -> Results:
    """Put the trials of several folders of one study into one, and finish it if none is missing.

    What `compare` does after its trials is done then: the strengths are chosen, the choices are
    scored on the test part, and the recommended model is fitted.

    Parameters
    ----------
    folders : sequence of path
        Folders of one question and one data set, as `compare(..., shard="2/8")` makes them. A
        trial that is in several is kept once, as it is in `out`, or in the first of them.
    out : path
        The folder for all trials. It may be new, or hold the same study, whose `prefer` then stays.
    data : optional
        The study's data, where they were in memory or lie elsewhere. By default they are where
        `out` says, or the first folder where `out` is new.
    quiet : bool
        Whether to print nothing.

    Returns
    -------
    Results
        Without a verdict where trials are missing: `compare(..., out=out)` runs them.

    Raises
    ------
    UsageError
        If a folder is named twice, holds no study or another one; nothing is written then.
    StoppedError
        If all trials are there, but the data are not: the trials are kept in `out`.

    Examples
    --------
    ::

        results = merge(["a", "b"], out="whole")
    """
    if not folders:
        raise UsageError("folders is empty: name those to merge")
    if not str(out):
        raise UsageError("out is empty: name a folder")
    names = [Path(folder) for folder in folders]
    places = [name.resolve() for name in names]
    for name, place in zip(names, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"folder {str(name)!r} is named twice: name each folder once")
    shares = [read_share(name) for name in names]
    metadata = shares[0][0]
    for name, (other, _, _) in zip(names, shares, strict=True):
        if other["identity"] != metadata["identity"]:
            raise UsageError(
                f"folder {str(name)!r} holds another study than {str(names[0])!r}, different in "
                f"{describe_differences(metadata['identity'], other['identity'])}, which is the "
                "first: leave one out"
            )
    with suppress(UsageError):  # `out` is new; if it is damaged, `open_store` says so
        if (stored := read_metadata(Path(out)))["identity"] == metadata["identity"]:
            metadata = stored  # with its own preference and path of the data
    with show_progress(quiet) as progress:
        results = _collect(names, shares, Path(out), metadata, progress)
    study = open_question(dict(metadata["question"]))
    missing = find_missing(study, results.records)
    if missing:
        return results
    if isinstance(data, str | Path):
        study, data = dataclasses.replace(study, data=str(data)), None
    try:
        if data is None and not study.data:
            raise UsageError("its data were in memory")
        return run_study(study, out=Path(out), frame=data, quiet=quiet)
    except UsageError as error:
        raise StoppedError(
            f"{str(out)!r} has all {len(results.records)} trials, but cannot be finished: {error}; "
            "merge once more and name the study's data, --data in the command"
        ) from None


def _collect(
    names: Sequence[Path],
    shares: Sequence[tuple[Mapping[str, Any], Sequence[Record], int]],
    out: Path,
    metadata: Mapping[str, Any],
    progress: Progress,
) -> Results:
    """Write the records of all shares into one folder, each trial once."""
    facts = {key: metadata[key] for key in ("question", "provenance", "data")}
    with open_store(out, metadata["identity"], facts) as store:
        merged = {record.trial: record for record in store.read_results().records}
        for name, (_, records, damaged) in zip(names, shares, strict=True):
            new = [record for record in records if record.trial not in merged]
            known = [record for record in records if record.trial in merged]
            different = sum(not is_same(record, merged[record.trial]) for record in known)
            store.add(*new)
            merged.update((record.trial, record) for record in new)
            progress.say(f"{name}: {pluralize(len(new), 'new trial')} of {len(records)}")
            if damaged:
                progress.say(f"{name}: {pluralize(damaged, 'damaged record')} left out")
            if different:
                progress.say(
                    f"{name}: {pluralize(different, 'trial')} already there with other numbers, "
                    "as another machine may round them: the first is kept"
                )
        return store.read_results()


def is_same(record: Record, other: Record) -> bool:
    """Whether two records of a trial are equal but for the time that it took."""
    return record.state.keys() == other.state.keys() and (
        all(np.array_equal(record.state[name], other.state[name]) for name in record.state)
        and repr(dataclasses.replace(record, state={}, seconds=0.0))
        == repr(dataclasses.replace(other, state={}, seconds=0.0))
    )
