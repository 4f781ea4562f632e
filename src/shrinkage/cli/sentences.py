"""How a command ends: in one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from shrinkage.study.errors import StoppedError, UsageError

INTERRUPTED = 130  # what a shell expects after Ctrl-C


@contextmanager
def in_sentences(study: Path | None = None) -> Iterator[None]:
    """End in one sentence and an exit code: 2 for usage, 1 when stopped, 130 when interrupted.

    `study` is a folder that keeps what is done.
    """
    try:
        yield
    except UsageError as error:
        _end(str(error), 2)
    except StoppedError as error:
        _end(str(error), 1)
    except MemoryError as error:
        _end(f"there is not enough memory: {error}", 1)
    except OSError as error:
        _end(str(error), 1)
    except ModuleNotFoundError as error:
        _end(f"{error.name} is not installed: pip install 'shrinkage[study]'", 1)
    except KeyboardInterrupt:
        kept = f"; {study} keeps what is done, and the same command goes on from it"
        _end(f"interrupted{kept if study else ''}", INTERRUPTED)


def _end(sentence: str, code: int) -> None:
    typer.echo(f"shrinkage: {sentence}", err=True)
    raise typer.Exit(code)
