"""What makes two questions the same study."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from shrinkage.study.errors import UsageError
from shrinkage.study.spec import Study

FORMAT = 4  # of the meaning of a record; another number makes another study
# What a message says of entries whose values mean nothing to a reader.
OPAQUE = {
    "data": "other contents",
    "model's source": "other contents",
    "format": "another version of shrinkage made it",
}


def identify(study: Study, *, data_digest: str, model_digest: str) -> dict[str, object]:
    """What must agree for records to belong to one study: the question and the bytes of the data.

    The path of the data, the study's folder and the number of jobs are not part of it. Nor is
    `prefer`, which only decides what is recommended.
    """
    identity = dataclasses.asdict(study)
    del identity["prefer"]
    if study.sample is None:
        del identity["sample"]  # as in studies of versions that had no samples
    identity["data"] = data_digest
    identity["model's source"] = model_digest
    identity["format"] = FORMAT
    return json.loads(json.dumps(identity))  # type: ignore[no-any-return]


def hash_identity(identity: Mapping[str, object]) -> str:
    """The sha256 of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def check_same(folder: Path, there: Mapping[str, object], here: Mapping[str, object]) -> None:
    """Refuse a folder that holds another study.

    Raises
    ------
    UsageError
    """
    if there != here:
        raise UsageError(
            f"out {str(folder)!r} holds another study, different in "
            f"{describe_differences(there, here)}: name another folder, or delete that one"
        )


def describe_differences(there: Mapping[str, object], here: Mapping[str, object]) -> str:
    """The entries in which two identities differ, in words."""
    differences = []
    for key in sorted({*there, *here}):
        if there.get(key) != here.get(key):
            values = f"{there.get(key)!r} there, {here.get(key)!r} here"
            differences.append(f"{key} ({OPAQUE.get(key, values)})")
    return ", ".join(differences)
