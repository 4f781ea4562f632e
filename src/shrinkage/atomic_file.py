"""Replace a file as a whole: readers see the old content or the new one, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def draft_beside(path: Path) -> Path:
    """This process's draft of the file at `path`, with symbolic links resolved."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.{os.getpid()}.draft")


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a draft beside `path` to write to, and move it into place at the end of the block.

    Symbolic links are resolved, so the file they point to is replaced. If the block raises, the
    draft is removed and the file stays as it is.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note.txt"
    ...     with replace_file(path) as draft:
    ...         _ = draft.write_text("complete")
    ...     path.read_text(), len(os.listdir(folder))
    ('complete', 1)
    """
    draft = draft_beside(path)
    try:
        yield draft
        os.replace(draft, os.path.realpath(path))
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
