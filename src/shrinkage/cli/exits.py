"""How a command ends: in one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from shrinkage.study.errors import StoppedError, UsageError

PACKAGES = {  # that the extra "study" installs, by the names that they are imported by
    "joblib",
    "llvmlite",  # with Numba
    "numba",
    "openpyxl",
    "pandas",
    "plotly",
    "pyarrow",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "torch",
    "typer",
}
SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal is gone"}


class InterruptedBySignal(KeyboardInterrupt):
    """A signal has asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def end_in_a_sentence(study: Path | None = None) -> Iterator[None]:
    """End in one sentence and an exit code: 2 for usage, 1 when stopped, 130 when interrupted.

    `study` is a folder that keeps finished trials.
    """
    try:
        yield
    except UsageError as error:
        _exit_with(str(error), 2)
    except StoppedError as error:
        _exit_with(str(error), 1)
    except MemoryError as error:
        _exit_with(f"there is not enough memory: {error}", 1)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has stopped, as "| head" does: typer is silent
            raise
        _exit_with(str(error), 1)
    except ModuleNotFoundError as error:
        _exit_with(_missing_module_message(error), 1)
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, InterruptedBySignal) else signal.SIGINT
        sentence = SIGNALS[signal.Signals(number).name]
        if study is not None and (study / "study.sqlite").exists():
            sentence += f"; {study} keeps what is done, and the same command goes on from it"
        _exit_with(sentence, 128 + number)


@contextmanager
def own_the_process() -> Iterator[None]:
    """Set up signals, streams and warnings for a process that runs one command.

    The first signal interrupts the command, which then ends in an orderly way; a second signal does
    not disturb it. A third ends the process at once: finished records are on the disk by then, and
    the workers end with it.
    """
    warnings.formatwarning = lambda message, *_, **__: f"shrinkage: {message}\n"
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # None, or no stream of Python's own
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    _set_handlers(_interrupt, instead_of=(signal.SIG_DFL, signal.default_int_handler))
    try:
        yield
    finally:
        _set_handlers(signal.SIG_IGN, instead_of=HANDLERS)  # the command is done
        _flush()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _set_handlers(_arm_immediate_end, instead_of=(_interrupt,))
    raise InterruptedBySignal(number)


def _arm_immediate_end(number: int, frame: FrameType | None) -> None:
    _set_handlers(_end_at_once, instead_of=(_arm_immediate_end,))


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    with suppress(OSError):
        cursor = b"\x1b[?25h" if os.isatty(2) else b""  # a progress bar hides it
        os.write(2, cursor + b"shrinkage: ended at once\n")
    os._exit(128 + number)


HANDLERS = (_interrupt, _arm_immediate_end, _end_at_once)


def _set_handlers(handler: object, instead_of: tuple[object, ...]) -> None:
    """Set a handler for signals that have one of `instead_of`; ignored ones stay ignored."""
    for name in SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in instead_of:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _missing_module_message(error: ModuleNotFoundError) -> str:
    """What to install, or which line of whose file asks for the module."""
    if error.name in PACKAGES:
        return f"{error.name} is not installed: pip install 'shrinkage[study]'"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<frozen ")]  # no importlib
    place = f"line {own[-1].lineno} of {own[-1].filename}" if own else "a program"
    if not error.name:
        return f"{place} lacks a module ({' '.join(str(error).split()) or 'it does not say which'})"
    return f"{place} imports the module {error.name!r}, which Python does not find: install it"


def _flush() -> None:
    """Flush the streams; a broken one must not raise an error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):  # None, or closed
            continue
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _exit_with(sentence: str, code: int) -> NoReturn:
    with suppress(OSError):  # standard error may be gone with its terminal
        typer.echo(f"shrinkage: {sentence}", err=True)
    raise typer.Exit(code)
