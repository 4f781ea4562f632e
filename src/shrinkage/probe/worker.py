"""A process that probes on request: it reads requests and writes a line of JSON for each.

Foreign code that hangs or crashes ends this process and no other.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import sys

import torch

from shrinkage.probe.limits import shorten
from shrinkage.probe.probing import probe


def main() -> None:
    """Read requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    if hasattr(os, "register_at_fork"):  # a forked copy would keep the pipe open
        os.register_at_fork(after_in_child=lambda: os.close(answers.fileno()))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # also for what compiled code prints
        os.dup2(silence, stream)
    # A first step, before time counts: torch imports for it what it has not yet.
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    torch.optim.SGD([weight], lr=0.1).step()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        faulthandler.dump_traceback_later(request.pop("limit"), exit=True)
        try:
            answer = dataclasses.asdict(probe(**request))
        except ValueError as error:
            answer = {"reason": str(error)}
        # Foreign code may raise anything, and the next request must be answered.
        except BaseException as error:
            answer = {"reason": f"{type(error).__name__}: {shorten(error)}".removesuffix(": ")}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
