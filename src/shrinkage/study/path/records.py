"""What a path keeps: plain data, written by fitting, read by tables, files and the page."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """The models at one strength: the shrunk ones or, where they score better, the relaxed ones.

    A relaxed model is trained on without a penalty, on the inputs that the shrunk one keeps.
    """

    strength: float
    kept: tuple[str, ...]  # by the model of all rows but the test part
    entering: tuple[str, ...]  # kept here, and not at the next larger strength
    leaving: tuple[str, ...]  # kept at the next larger strength, and not here
    scores: tuple[float, ...]  # of each seed, on its validation part
    counts: tuple[int, ...]  # inputs that each seed's model keeps
    score: float  # mean of `scores`
    error: float  # its standard error; nan for one seed
    norms: tuple[
        float, ...
    ]  # of the shrunk weights of each input, in the order of `PathResults.path_inputs`
    shrunk_score: float = math.nan  # mean validation score of the shrunk models
    relaxed_steps: int = 0  # without a penalty before `scores`; 0: those are the shrunk models


@dataclass(frozen=True)
class InputFacts:
    """One input of the table along the path."""

    name: str
    columns: int  # of the first layer: one for numbers, one a level for text
    is_kept: bool  # at the chosen strength
    entering: float | None  # the largest strength at which it is kept
    stability: float | None  # the share of resamples that keep it at the chosen strength
    norm: float  # of its weights at the chosen strength
