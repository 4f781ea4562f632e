"""Probe all installed optimizers in parallel, each in a separate process."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue

from shrinkage.penalties.arrays import checked_above
from shrinkage.probe.catalogue import Entry, find_installed
from shrinkage.probe.law import Law
from shrinkage.probe.limits import TIMEOUT, shorten

SECONDS = 3.0  # of processor time that one optimizer may take
GRACE = 6.0  # times these on the clock, before its process is ended
OVERTIME = 2.0  # seconds for a process to say by itself that time is up


@dataclass(frozen=True)
class Row:
    """The result for one optimizer."""

    name: str
    law: Law | None
    reason: str = ""  # why there is no law

    @property
    def group(self) -> str:
        """The heading under which the survey lists it."""
        if self.law is None:
            return "could not be probed"
        if self.law.form == "none":
            return self.law.notes[-1]
        return self.law.law

    @property
    def remark(self) -> str:
        """The remark behind its name, under that heading."""
        if self.law is None:
            return self.reason
        if self.law.form == "none":
            return ""
        return self.law.verdict if self.law.as_documented is False else self.law.objective


def probe_in_process(text: str, *, lr: float, weight_decay: float, timeout: float = TIMEOUT) -> Law:
    """Run `probe` in a separate process, which is ended when time is up.

    Raises
    ------
    ValueError
        As `probe` does, and where the process ends before it has answered.
    """
    checked_above("lr", lr, 0.0)
    checked_above("weight_decay", weight_decay, 0.0)
    checked_above("timeout", timeout, 0.0)
    rates = {"lr": lr, "weight_decay": weight_decay}
    with _start_workers(1) as (worker,):
        answer = worker.answer({"factory": text, **rates, "timeout": timeout}, timeout + OVERTIME)
    if isinstance(answer, str):
        why = answer if answer.startswith("optimizer ") or " cannot be probed: " in answer else ""
        raise ValueError(why or f"{text} cannot be probed: {answer}")
    return answer


def survey(
    entries: Sequence[Entry] | None = None,
    *,
    lr: float = 0.1,
    weight_decay: float = 0.1,
    jobs: int | None = None,
    seconds: float = SECONDS,
    timeout: float | None = None,
) -> list[Row]:
    """Probe each optimizer; one that fails, hangs or crashes gets a row that says so.

    Parameters
    ----------
    entries : sequence of Entry, optional
        By default, all that is installed.
    lr, weight_decay : float, default 0.1
        As for `probe`.
    jobs : int, optional
        Processes; by default one a processor.
    seconds : float, default 3
        Of processor time that one may take.
    timeout : float, optional
        Seconds on the clock after which the process of one is ended; by default six times
        `seconds`. Where it is given, `seconds` is a sixth of it.

    Returns
    -------
    list of Row
        In the order of `entries`.

    Raises
    ------
    ValueError
        If lr, weight_decay or timeout is not above 0.
    """
    checked_above("lr", lr, 0.0)
    checked_above("weight_decay", weight_decay, 0.0)
    if timeout is not None:
        seconds = checked_above("timeout", timeout, 0.0) / GRACE
    count = jobs or os.cpu_count() or 1
    if entries is not None:
        count = max(1, min(count, len(entries)))
    request = {"lr": lr, "weight_decay": weight_decay, "seconds": seconds, "timeout": math.inf}
    idle: SimpleQueue[_Worker] = SimpleQueue()
    with _start_workers(count) as workers, ThreadPoolExecutor(count) as threads:
        entries = find_installed() if entries is None else entries  # while the workers begin
        waiting = [entry.name for entry in entries if not entry.reason]
        rows = {each.name: Row(each.name, None, each.reason) for each in entries if each.reason}
        for worker in workers:
            idle.put(worker)

        def probe_one(name: str) -> Row:
            worker = idle.get()
            try:
                answer = worker.answer({"factory": name, "name": name, **request}, GRACE * seconds)
            finally:
                idle.put(worker)
            if isinstance(answer, str):
                return Row(name, None, shorten(answer.removeprefix(f"{name} cannot be probed: ")))
            return Row(name, answer)

        try:
            rows |= {row.name: row for row in threads.map(probe_one, waiting)}
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.kill()
            raise
    return [rows[entry.name] for entry in entries]


class _Worker:
    """One process, restarted when the probed optimizer has ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = _start_process()
        self.is_ready = False

    def answer(self, request: dict[str, object], limit: float) -> Law | str:
        """The answer of the process within `limit` seconds: a law, or why there is none."""
        if self.process is None:
            self.process, self.is_ready = _start_process(), False
        requests, answers = self.process.stdin, self.process.stdout
        assert requests is not None
        assert answers is not None
        if not self.is_ready:
            answers.readline()  # comes when it has imported what it needs
            self.is_ready = True
        began, line = time.monotonic(), ""
        with suppress(BrokenPipeError):  # the process has ended
            requests.write(json.dumps({"limit": limit, **request}) + "\n")
            requests.flush()
            line = answers.readline()
        if not line:
            is_late = time.monotonic() - began >= limit
            end = _describe_end(self.end())
            return f"it hangs for {limit:g} s" if is_late else f"it ends its process, {end}"
        answer = json.loads(line)
        if "reason" in answer:
            return str(answer["reason"])
        return Law(**{**answer, "notes": tuple(answer["notes"])})

    def kill(self) -> None:
        """Kill the process; a thread that waits for its answer gets none."""
        if self.process is not None:
            self.process.kill()

    def end(self) -> int | None:
        """Wait for the end of the process and close its pipes; return its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.communicate()
        return process.returncode


def _describe_end(code: int | None) -> str:
    """How a process ended: "with 7" or "by SIGSEGV"."""
    if code is None or code >= 0:
        return f"with {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f"by {names.get(-code, f'signal {-code}')}"


def _start_process() -> subprocess.Popen[str]:
    """A worker that imports from the same places as this process."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "shrinkage.probe.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )


@contextmanager
def _start_workers(count: int) -> Iterator[list[_Worker]]:
    """That many workers, which end with the block."""
    workers = [_Worker() for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.end()


def group_by_law(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group the rows by law: the most frequent law first, rows without a law last."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)

    def rank(group: str) -> tuple[int, int, str]:
        """Laws, no simple law, no effect, not probed."""
        law = groups[group][0].law
        kind = 3 if law is None else 2 if law.form == "none" else int(not law.is_simple)
        return kind, -len(groups[group]), group

    return {group: groups[group] for group in sorted(groups, key=rank)}


def to_text(rows: Sequence[Row]) -> str:
    """The table grouped by law, and a line for each that is not as documented."""
    width = max((len(row.name) for row in rows), default=0)
    blocks = []
    for group, members in group_by_law(rows).items():
        lines = [f"{group}  [{len(members)}]"]
        lines += [f"  {row.name.ljust(width)}  {row.remark}".rstrip() for row in members]
        blocks.append("\n".join(lines))
    broken = [row.law for row in rows if row.law is not None and row.law.as_documented is False]
    if broken:
        lines = [f"NOT as documented  [{len(broken)}]"]
        blocks.append("\n".join([*lines, *(f"  {law.optimizer}: {law.law}" for law in broken)]))
    return "\n\n".join(blocks)


def to_records(rows: Sequence[Row]) -> list[dict[str, str | float | None]]:
    """The rows as plain values, grouped by law, for a page."""
    return [
        {
            "optimizer": row.name,
            "law": group,
            "objective": "" if row.law is None else row.law.objective,
            "verdict": "" if row.law is None else row.law.verdict,
            "misfit": None if row.law is None or row.law.form == "none" else row.law.misfit,
            "also": row.reason if row.law is None else "; ".join(row.law.facts),
        }
        for group, members in group_by_law(rows).items()
        for row in members
    ]
