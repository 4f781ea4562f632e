"""Examples in docstrings, which Markdown would take for quotations where no section is theirs.

mkdocstrings reads the package with Griffe, which calls this on what it has read.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1(?=\S).*)*", re.MULTILINE)


class Examples(griffe.Extension):
    """Fence the examples of every docstring of a package."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fence_examples(obj.docstring.value)


def fence_examples(docstring: str) -> str:
    """Fence the doctests before the Examples section, and end sentences with one colon."""
    prose, heading, examples = docstring.partition("\nExamples\n---")
    prose = DOCTEST.sub(lambda match: f"{match[1]}```pycon\n{match[0]}\n{match[1]}```", prose)
    return re.sub(r"(?<=\w)::$", ":", prose, flags=re.MULTILINE) + heading + examples
