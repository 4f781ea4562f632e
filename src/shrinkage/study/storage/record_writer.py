"""Write records while others are made: those that come during a transaction share the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shrinkage.study.records import Record


class RecordWriter:
    """Writes records in a thread of its own, each as soon as the one before it is on the disk.

    A transaction waits for the disk for some milliseconds, which is longer than a short trial
    takes: records that come meanwhile are written together. Slow ones are written one by one. On
    leaving the context, whatever the reason, all that were added are written. Ctrl-C interrupts
    the main thread alone, and so no transaction; another one on leaving is raised after the last.

    Parameters
    ----------
    write : function
        Writes some records in one transaction, such as `Store.add`.
    """

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self._waiting: list[Record] = []
        self._is_closed = False
        self._error: Exception | None = None
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, daemon=True)

    def add(self, record: Record) -> None:
        """Have a record written.

        Raises
        ------
        StoppedError
            If an earlier one could not be written; those before it are safe.
        """
        with self._news:
            if self._error is not None:
                raise self._error
            self._waiting.append(record)
            self._news.notify()

    def _write_all(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._is_closed)
                records, self._waiting = self._waiting, []
            if not records:
                return
            try:
                self._write(*records)
            except Exception as error:  # the main thread raises it
                self._error = error
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._news:
            self._is_closed = True
            self._news.notify()
        interrupt: KeyboardInterrupt | None = None
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt as another:
                interrupt = another
        if interrupt is not None:
            raise interrupt
        if self._error is not None and error is None:
            raise self._error
