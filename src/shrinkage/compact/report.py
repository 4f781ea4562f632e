from __future__ import annotations
from dataclasses import dataclass
from typing import Any
@dataclass
class Report:
    best: Any
    rejected: Any
def make_report(model, small, sample, best, rejected, time_it):
    return Report(best, rejected)
