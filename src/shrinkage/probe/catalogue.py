"""Which optimizers are installed. PyTorch is imported when they are looked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import NamedTuple

from shrinkage.probe.limits import shorten

LIBRARIES = ("torch.optim", "torch_optimizer", "pytorch_optimizer", "timm.optim")


class Entry(NamedTuple):
    """An optimizer by the name it can be imported by, or a library and why it cannot be."""

    name: str
    reason: str = ""


def find_installed(libraries: Iterable[str] = LIBRARIES) -> list[Entry]:
    """Every optimizer of the libraries that are installed, each in the first that has it.

    A library that is installed but does not import has one entry, which says why.
    """
    from torch.optim import Optimizer

    from shrinkage.probe.isolation import isolate

    entries: list[Entry] = []
    seen: set[int] = set()
    for library in libraries:
        if importlib.util.find_spec(library.partition(".")[0]) is None:
            continue
        try:
            with isolate():
                module = importlib.import_module(library)
        except Exception as error:  # foreign code may raise anything while it is imported
            reason = f"{type(error).__name__}: {shorten(error)}"
            entries.append(Entry(library, f"it is installed but does not import: {reason}"))
            continue
        kinds = {
            name: kind
            for name, kind in vars(module).items()
            if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer
        }
        names: dict[int, str] = {}
        # Of two names of one class its own comes first, and is the one that is listed.
        for name, kind in sorted(kinds.items(), key=lambda item: item[0] != item[1].__name__):
            if id(kind) not in seen:
                names.setdefault(id(kind), name)
        seen |= names.keys()
        entries += [Entry(f"{library}.{name}") for name in sorted(names.values(), key=str.lower)]
    return entries
