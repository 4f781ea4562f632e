"""Which study this is: two questions are one study if and only if they have one identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

# What is said of a difference whose values say nothing.
UNREADABLE = {
    "data": "other contents",
    "model's source": "other contents",
    "format": "another version of shrinkage made it",
}


def digest(identity: dict[str, object]) -> str:
    """The sha256 of an identity: the study's name among studies."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> str:
    """What two identities differ in, in words."""
    told = []
    for key in sorted({*there, *here}):
        if there.get(key) == here.get(key):
            continue
        values = f"{there.get(key)!r} there, {here.get(key)!r} here"
        told.append(f"{key} ({UNREADABLE.get(key, values)})")
    return ", ".join(told)
