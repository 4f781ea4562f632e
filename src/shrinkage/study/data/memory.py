"""How much memory a study takes, and how much the machine has."""

from __future__ import annotations

import os
from pathlib import Path

from shrinkage.study.data.splits import SeedParts
from shrinkage.study.data.table import Table
from shrinkage.study.formatting import pluralize

LIBRARIES = 0.4e9  # bytes of a process that has loaded what a study needs, without torch
TORCH = 0.6e9  # bytes of one that has loaded torch, too
MUCH = 0.1e9  # bytes of the data, from which on the user is told of the memory
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def describe_memory(
    table: Table, parts: SeedParts, processes: int, machine: float | None = None
) -> list[str]:
    """What the study takes, and a warning where it is more than the machine has.

    There is no sentence for small data.

    Parameters
    ----------
    processes : int
        Others that run trials, each of which loads torch and copies a seed's rows.
    machine : float, optional
        The bytes that the machine has; by default asked of the system.
    """
    columns = sum(column.nbytes for _, column in table.frame.items())
    if columns + parts.kept_bytes < MUCH:
        return []
    # The recommended model is fitted on rows of its own; processes share a file in memory.
    data = columns + parts.kept_bytes + parts.seed_bytes * (1 + len(parts) * (processes > 0))
    fixed = LIBRARIES + TORCH * processes
    total = fixed + data + parts.seed_bytes * processes
    inputs = parts[0].train.X.shape[1]
    rows = len(table.target)
    sentences = [
        f"it takes about {total / 1e9:.1f} GB of memory for {pluralize(rows, 'row')} × "
        f"{pluralize(inputs, 'input')}"
    ]
    machine = find_memory() if machine is None else machine
    if machine is not None and total > machine:
        fitting = rows * max(machine / 2 - fixed, 0.0) / (total - fixed)
        rounded = max(1000, int(float(f"{fitting:.0e}")))
        sentences.append(
            f"this machine has {machine / 1e9:.1f} GB of memory, which is less: a first look at a "
            f"part of the rows, as --sample {rounded}, would fit"
        )
    return sentences


def find_memory() -> float | None:
    """The bytes of memory that this process may use; None where the system does not say."""
    try:
        limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    for limit in map(Path, LIMITS):  # of a container
        try:
            limits.append(float(limit.read_text()))
        except (OSError, ValueError):  # none, or "max"
            continue
    return min(limits)
