"""The picture of each penalty, below the first sentence of its docstring.

mkdocstrings reads the package with Griffe, which calls this on what it has read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import griffe

FOLDER = Path(__file__).parent / "pictures"


class Pictures(griffe.Extension):
    """Show docs/pictures/penalty-l1.svg in the docstring of ``shrinkage.penalties...L1``."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        picture = FOLDER / f"penalty-{cls.name.lower()}.svg"
        if cls.docstring and "shrinkage.penalties" in cls.path and picture.exists():
            first, *rest = cls.docstring.value.split("\n\n")
            shown = f"![What {cls.name} looks like](../pictures/{picture.name})"
            cls.docstring.value = "\n\n".join([first, shown, *rest])
