"""The progress of a running study: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
)
from rich.progress import Progress as Bar

from shrinkage.study.formatting import format_duration, format_rate, format_score, pluralize
from shrinkage.study.records import Record, name_split
from shrinkage.study.scores import METRICS, Metric

LINES = 10  # plain lines in a whole study, roughly


class Progress:
    """Counts records, remembers the best mean score so far, and prints both with the rate.

    `clock` gives the seconds from which the rate follows.
    """

    def __init__(
        self, console: Console, bar: Bar | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._bar = bar
        self._clock = clock
        self._started, self._earlier = clock(), 0
        self._task = bar.add_task("", total=None, visible=False) if bar is not None else None
        self._total = 0
        self._done = 0
        self._metric = METRICS["accuracy"]
        self._folds: int | None = None
        self._scores: dict[tuple[str, float], list[float]] = {}

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def start(
        self,
        total: int,
        earlier: Sequence[Record],
        metric: Metric,
        *,
        folds: int | None = None,
        expected: str = "",
    ) -> None:
        """Begin a study of `total` trials, with the records of an earlier run.

        `expected` says how long the others will take.
        """
        self._total, self._done = total, len(earlier)
        self._started, self._earlier = self._clock(), len(earlier)
        self._metric, self._folds = metric, folds
        done = len(earlier)
        for record in earlier:
            self._count(record)
        if done:
            self.say(f"{done} of {pluralize(total, 'trial')} already recorded")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total, completed=done, visible=True)
        if done < total:
            self.say(f"{pluralize(total - done, 'trial')} to run{expected}")

    def advance(self, record: Record) -> None:
        """Count one more record."""
        self._done += 1
        self._count(record)
        if record.validation_score is None:
            trial = record.trial
            self.say(
                f"diverged: {trial.method} at {trial.strength:.3g}, "
                f"{name_split(trial.seed, self._folds)}, {record.reason}"
            )
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, description=self._describe_state())
        elif self._done * LINES // self._total > (self._done - 1) * LINES // self._total:
            self.say(f"{self._done}/{self._total} trials, {self._describe_state()}")

    def _count(self, record: Record) -> None:
        if record.validation_score is not None:
            key = (record.trial.method, record.trial.strength)
            self._scores.setdefault(key, []).append(record.validation_score)

    def _describe_state(self) -> str:
        """What is best so far, the rate of this run, and how long the other trials will take."""
        seconds = (self._clock() - self._started) / (self._done - self._earlier)  # of a trial
        left = self._total - self._done
        clauses = [self._describe_best(), *([format_rate(seconds)] if seconds else [])]
        if seconds and left:
            clauses.append(f"about {format_duration(seconds * left)} left")
        return ", ".join(clauses)

    def _describe_best(self) -> str:
        if not self._scores:
            return "none finished so far"
        (method, strength), scores = max(
            self._scores.items(),
            key=lambda item: (len(item[1]), self._metric.gain(fmean(item[1]))),
        )
        at = f" at {strength:.2g}" if strength else ""
        return f"best so far {method}{at}: {format_score(fmean(scores))}"


def describe_expected(seconds: float, processes: int) -> str:
    """How long trials will take, as the end of a sentence that says what this leaves out.

    >>> describe_expected(41.3, 2)
    ', about 40 s with 2 at a time, without compiling and the fit of the recommended model'
    """
    at_a_time = f" with {processes} at a time" if processes > 1 else ""
    return (
        f", about {format_duration(seconds)}{at_a_time}, without compiling and the fit of the "
        "recommended model"
    )


@contextmanager
def show_progress(quiet: bool) -> Iterator[Progress]:
    """Show progress on standard error, or nothing if `quiet`."""
    console = Console(stderr=True, quiet=quiet)
    if quiet or not (console.is_terminal or console.is_jupyter):
        yield Progress(console, None)
        return
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=console) as bar:
        yield Progress(console, bar)
